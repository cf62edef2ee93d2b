"""What a job leaves on disk: its frozen data set, checkpoint, views and artifact.

Kept until an administrator removes it, which nobody may while the job may go on or
the model that it made is not retired. One that served may come back by a rollback
after what it learnt from has gone: the audit tells when, and of which data. The
artifact itself is kept by the registry.
"""

import shutil
from functools import partial
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from clinic import audit, freezing, provisions
from clinic.models import Job, ModelVersion
from clinic.store import StoreUnavailable


def room(job: Job) -> Path:
    """Where everything of `job` is kept."""
    return Path(settings.DATA_ROOT, "jobs", str(job.pk))


def verdicts(job: Job) -> Path:
    """Where its verdicts are frozen, if it learns from any."""
    return room(job) / f"verdicts-{job.pk}"


def people(job: Job) -> Path:
    """Where it is told, as HTML and as JSON, who is in them."""
    return freezing.people(verdicts(job))


def size(job: Job) -> int:
    """Bytes on this disk and in the artifact store; files that go meanwhile do not
    count."""
    found = provisions.size(job)
    for path in room(job).rglob("*"):
        try:
            found += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return found


def obstacle(job: Job) -> str:
    """Why its files cannot be removed yet, a sentence; empty if they can."""
    if job.is_open:
        return "The job needs them: it is not over."
    made = job.candidate
    if made and made.stage != ModelVersion.Stage.RETIRED:
        return (
            f"They are kept as long as {made.name} {made.brief}, which learnt from "
            f"them, is not retired; it is {made.get_stage_display().lower()}."
        )
    return ""


@transaction.atomic
def clear(*, job: Job, by: AbstractBaseUser) -> Job:
    """Remove them for good; a failed or cancelled job cannot go on any more.

    ValidationError, too, while the artifact store is away.
    """
    job = Job.objects.select_for_update().get(pk=job.pk)
    if found := obstacle(job):
        raise ValidationError(found)
    freed = size(job)
    job.cleared = timezone.now()
    job.save(update_fields=["cleared"])
    audit.record("job.cleared", job, by, bytes=freed, data=job.data_digest)
    transaction.on_commit(partial(shutil.rmtree, room(job), ignore_errors=True))
    try:
        provisions.release(job)
    except StoreUnavailable as error:
        raise ValidationError(str(error)) from error
    return job


def sweep(job: Job) -> None:
    """Remove what its worker wrote after all had been removed: that it was cancelled
    it hears at its next beat, and an administrator may be quicker."""
    if Job.objects.filter(pk=job.pk, cleared__isnull=False).exists():
        shutil.rmtree(room(job), ignore_errors=True)
