"""The life of a job: started, claimed, beating, ended, taken up again.

The row is the claim, as with studies: whoever holds it while its lease lasts works
on it. A worker whose claim is gone learns so at its next beat, and stops.
"""

import logging
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from clinic import audit, heartbeat, learning, leavings, search, tags
from clinic.claims import lease
from clinic.models import Job, ModelVersion
from clinic.pacs import PacsUnavailable
from clinic.store import StoreUnavailable
from inference.artifact import DamagedArtifact

State = Job.State
AGAIN = timedelta(seconds=10)  # until the PACS is asked for once more
KEPT = 200  # lines of a job's log
STOPPED = "its worker was stopped; another one goes on"
EPOCHS, RATES = (1, 200), (1e-6, 1e-1)  # from, to
SEEDS = 2**31 - 1

log = logging.getLogger(__name__)


class ClaimLost(Exception):
    """The job is this worker's no more: cancelled, or taken over by another."""


@transaction.atomic
def start(
    *,
    parent: ModelVersion,
    by: AbstractBaseUser,
    epochs: int,
    rate: float = 1e-4,
    seed: int = 0,
) -> Job:
    """Freeze the verdicts as they stand into a training that goes on from `parent`."""
    _refuse_outside("epochs", epochs, EPOCHS)
    _refuse_outside("rate", rate, RATES)
    _refuse_outside("seed", seed, (0, SEEDS))
    chosen = learning.choose()
    if chosen.obstacle:
        raise ValidationError(chosen.obstacle)
    learning.refuse_named_otherwise(parent)
    asked = {"parent": parent, "parameters": {"epochs": epochs, "rate": rate}}
    asked |= {"seed": seed, "verdicts": chosen.to_json()}
    # The parent's row is the lock: of two clicks at once one waits for the other.
    ModelVersion.objects.select_for_update().get(pk=parent.pk)
    if going := Job.objects.training(**asked).first():
        raise ValidationError(f"Training {going.pk} of just this has not ended yet.")
    job = Job.objects.create(by=by, **asked)
    said = {"parent": parent.digest, "seed": seed, "studies": chosen.studies}
    audit.record("job.started", job, by, **said, **job.parameters)
    return job


def claim(*, pk: int) -> Job | None:
    """The job, if it is to be had by this process and no other one runs.

    A search is to be had before its verdicts are in the artifact store, and once its
    trials have ended.
    """
    try:
        return None if heartbeat.stopping() else _claim(pk)
    except IntegrityError:  # another worker has just begun another job
        return None


@transaction.atomic
def _claim(pk: int) -> Job | None:
    job = Job.objects.select_for_update().filter(pk=pk).first()
    if job is None or not _to_be_had(job):
        return None
    if job.attempts >= settings.MAX_ATTEMPTS:
        words = f"The {work_on(job)} broke off {job.attempts} times without an answer."
        _end(job, State.FAILED, words)
        return None
    job.state, job.lease_until = State.RUNNING, lease()
    job.holder = f"{platform.node()}:{os.getpid()}:{get_random_string(8)}"[-100:]
    job.machine = f"{platform.node()}, {os.cpu_count()} cores"[:200]
    job.attempts += 1
    job.save()
    said = {"attempt": job.attempts, "machine": job.machine, "work": work_on(job)}
    audit.record("job.claimed", job, **said)
    return job


def work_on(job: Job) -> str:
    """What it is that whoever claims `job` does."""
    if job.kind != Job.Kind.SEARCH:
        return job.get_kind_display()
    return "making of the model" if job.pack else "freezing of the verdicts"


def beat(
    *,
    job: Job,
    step: str | None = None,
    done: float | None = None,
    history: Sequence[object] | None = None,
    line: str = "",
    worked: float = 0.0,
) -> None:
    """Keep the lease and write down how far it is. Raises ClaimLost.

    worked: seconds since the last beat; a search counts those of its trials alone
    (`clinic.stopwatch`). `job` itself learns what is written. With a new epoch the
    attempts are counted anew: what broke off before it did not do so again.
    """
    told = {"step": step, "done": done, "history": history}
    said = {name: value for name, value in told.items() if value is not None}
    if len(history or ()) > len(job.history):
        said["attempts"] = 1
    if line:
        moment = timezone.now().strftime("%Y-%m-%d %H:%M:%S")
        lines = [*job.log.splitlines(), f"{moment} {tags.text(line, 500)}"]
        said["log"] = "\n".join(lines[-KEPT:])
    if job.kind != Job.Kind.SEARCH:
        said["seconds"] = job.seconds + worked
    said["lease_until"] = lease()
    for name, value in said.items():
        setattr(job, name, value)
    if not _mine(job).update(**said):
        raise ClaimLost


def note(*, job: Job, **facts: str) -> None:
    """Write down facts of the run: commit, data_digest. Raises ClaimLost."""
    for name, value in facts.items():
        setattr(job, name, value)
    if not _mine(job).update(**facts):
        raise ClaimLost


@transaction.atomic
def finish(*, job: Job, compared: dict, candidate: ModelVersion | None = None) -> None:
    """It came to an end: this is what was found, and what a training made."""
    held = _held(job)
    held.candidate, held.compared = candidate, compared
    held.done = held.steps
    _end(held, State.DONE)
    said = {"digest": candidate.digest} if candidate else {}
    audit.record("job.done", held, held.by, **said, data=held.data_digest)


@transaction.atomic
def fail(*, job: Job, reason: str) -> None:
    """Trying again by itself cannot help; a person may still resume it."""
    _end(_held(job), State.FAILED, reason)


@transaction.atomic
def give_back(*, job: Job, pause: timedelta, step: str) -> None:
    """Not the job's fault: no attempt is counted, and there is always another."""
    held = _held(job)
    held.attempts -= 1
    held.due_at, held.step = timezone.now() + pause, tags.text(step, 100)
    _release(held, State.QUEUED)


@transaction.atomic
def cancel(*, job: Job, by: AbstractBaseUser) -> Job:
    """End it at the worker's next beat; what it has learnt so far stays on disk."""
    job = Job.objects.select_for_update().get(pk=job.pk)
    if not job.is_open:
        raise ValidationError(f"The job is {job.get_state_display()} already.")
    _release(job, State.CANCELLED)
    audit.record("job.cancelled", job, by, epochs=len(job.history))
    return job


@transaction.atomic
def resume(*, job: Job, by: AbstractBaseUser) -> Job:
    """Have a paused, cancelled or failed job go on where it was; a training, from its
    last whole epoch; a search, with those of its trials whose workers died."""
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.state not in (State.PAUSED, State.CANCELLED, State.FAILED):
        raise ValidationError(
            f"Only a paused, cancelled or failed job can go on; this one is "
            f"{job.get_state_display()}."
        )
    if job.cleared:
        raise ValidationError("Its files were removed: start a new job.")
    if job.kind == Job.Kind.MEASURE:
        refuse_second_measurement(job.parent)
    if job.kind == Job.Kind.SEARCH:
        search.retry(job=job, by=by)
        if not job.trials.exclude(state="failed").exists():
            words = "None of its candidates could be trained: start anew."
            raise ValidationError(words)
    job.attempts, job.reason, job.due_at = 0, "", timezone.now()
    job.ended = None
    _release(job, State.QUEUED)
    audit.record("job.resumed", job, by, epochs=len(job.history))
    return job


def refuse_second_measurement(model: ModelVersion) -> None:
    """ValidationError while one of `model` has not ended."""
    if going := Job.objects.measuring(model).first():
        raise ValidationError(f"Measurement {going.pk} of it has not ended yet.")


def alive(job: Job) -> AbstractContextManager[None]:
    """See `clinic.heartbeat`."""

    def leave() -> None:
        with suppress(ClaimLost):
            give_back(job=job, pause=AGAIN, step=STOPPED)

    return heartbeat.alive(
        f"job {job.pk}", lambda: _mine(job).update(lease_until=lease()), leave
    )


@contextmanager
def outcome(job: Job) -> Iterator[None]:
    """Whatever ends the work on a job is written on its row, in words."""
    try:
        yield
    except ClaimLost:
        log.info("job %d was cancelled or taken over; this worker stops", job.pk)
    except PacsUnavailable:
        step = "waiting for the PACS, which does not answer"
        give_back(job=job, pause=AGAIN, step=step)
        raise
    except StoreUnavailable:
        step = "waiting for the artifact store, which does not answer"
        give_back(job=job, pause=AGAIN, step=step)
        raise
    except (ValueError, FileNotFoundError, DamagedArtifact) as error:
        _failed(job, str(error))
    except Exception as error:
        what = work_on(job)
        _failed(job, f"The {what} ended with an error: {type(error).__name__}.")
        raise
    finally:
        leavings.sweep(job)


def _failed(job: Job, reason: str) -> None:
    try:
        fail(job=job, reason=reason)
    except ClaimLost:
        log.info("job %d was taken away before it failed: %s", job.pk, reason)


def _to_be_had(job: Job) -> bool:
    searches = job.kind == Job.Kind.SEARCH
    if not searches:
        return Job.objects.due().filter(pk=job.pk).exists()
    found = Job.objects.over() if job.pack else Job.objects.unprovided()
    return found.filter(pk=job.pk).exists()


def _mine(job: Job):
    return Job.objects.filter(pk=job.pk, state=State.RUNNING, holder=job.holder)


def _held(job: Job) -> Job:
    """The row, locked. Raises ClaimLost if nobody or another holds it by now."""
    held = _mine(job).select_for_update().first()
    if held is None:
        raise ClaimLost
    return held


def _end(job: Job, state: str, reason: str = "") -> None:
    job.reason, job.ended = tags.text(reason, 500), timezone.now()
    _release(job, state)
    if state == State.FAILED:
        audit.record("job.failed", job, reason=job.reason)


def _release(job: Job, state: str) -> None:
    job.state, job.holder, job.lease_until = state, "", None
    if state != State.QUEUED:
        job.step, job.ended = "", timezone.now()
    job.save()


def _refuse_outside(name: str, value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if not low <= value <= high:
        raise ValidationError({name: f"{name}: from {low:g} to {high:g}."})
