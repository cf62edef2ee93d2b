"""How long a search has been at work: the time in which any of its trials ran.

Not the hours of its workers one upon the other, and no pause, no wait for a worker
that never came, no gap after one that was killed. Kept in the search's row
(`seconds`, counted until `clocked`), by the hearts that keep its trials alive.
"""

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from clinic.models import Job, Trial


def start(*, job: Job) -> None:
    """A trial is about to be begun; the job is locked. Until now nothing is counted,
    unless another one ran."""
    now = timezone.now()
    alive = job.trials.filter(state=Trial.State.RUNNING, lease_until__gte=now)
    if alive.exists():
        tick(job_id=job.pk)
    else:
        Job.objects.filter(pk=job.pk).update(clocked=now)


def tick(*, job_id: int) -> float:
    """One of its trials still runs: count what has gone by. -> seconds in all

    Of two who count the same time one wins. A gap longer than a lease is none of
    work: everybody was dead or asleep.
    """
    row = Job.objects.filter(pk=job_id)
    clocked, seconds = row.values_list("clocked", "seconds").get()
    now = timezone.now()
    gap = (now - clocked).total_seconds() if clocked else 0.0
    worked = gap if 0 < gap <= settings.LEASE_SECONDS else 0.0
    counted = row.filter(clocked=clocked).update(
        clocked=now, seconds=F("seconds") + worked
    )
    return seconds + worked if counted else row.values_list("seconds", flat=True).get()
