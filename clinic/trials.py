"""The life of a trial: claimed, beating, ended; a killed worker loses no candidate.

The row is the claim, as with studies and jobs. What breaks off or fails is tried once
more, then set aside: the strategy learns that it failed, and the search goes on. No
try is counted where a worker was asked to stop, and counting begins anew whenever a
trial has come further than ever before: that many workers died on the way says
nothing against the candidate.
"""

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from clinic import audit, heartbeat, search, stopwatch, tags
from clinic.claims import lease
from clinic.jobs import ClaimLost
from clinic.models import Job, Trial
from clinic.store import StoreUnavailable

State = Trial.State
TRIES = 2  # of one candidate that comes no further
AGAIN = timedelta(seconds=10)  # until what failed is tried once more
# Why one is given back where nobody said so.
STOPPED, ENDED = "its worker was stopped", "its search was ended"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """values: one an objective, higher is better. measured: whatever else is known."""

    values: Sequence[float]
    measured: Mapping[str, object] = field(default_factory=dict)


# How much of the work is done, and how much of it is kept should it break off, [0, 1].
Tell = Callable[[float, float], None]
Evaluate = Callable[[Trial, Tell], Outcome]


def work(*, trial_id: int, evaluate: Evaluate) -> bool:
    """Take up a trial and see it through. Idempotent. -> whether it was to be had

    Raises what is no fault of the candidate, after the row says so.
    """
    trial = claim(pk=trial_id)
    if trial is None:
        return False
    with _outcome(trial), _alive(trial):
        finish(trial=trial, outcome=evaluate(trial, Clock(trial)))
    return True


class Clock:
    """Tells a trial's row how far it is and how long that took."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.told = trial, time.monotonic()

    def __call__(self, done: float, kept: float) -> None:
        now = time.monotonic()
        worked, self.told = now - self.told, now
        beat(trial=self.trial, done=done, kept=kept, worked=worked)


def claim(*, pk: int) -> Trial | None:
    """The trial, if it is to be had by this process."""
    try:
        return None if heartbeat.stopping() else _claim(pk)
    except IntegrityError:  # another worker has just begun another search
        return None


@transaction.atomic
def _claim(pk: int) -> Trial | None:
    trial = _locked(pk=pk)
    if trial is None or not Trial.objects.due().filter(pk=pk).exists():
        return None
    if trial.tries >= TRIES:
        words = f"{search.BROKE_OFF} {trial.tries} times and came no further."
        _set_aside(trial, words)
        return None
    if search.is_late(trial):
        _set_aside(trial, search.LATE)
        return None
    search.begin(job=trial.job)
    stopwatch.start(job=trial.job)
    trial.state, trial.lease_until = State.RUNNING, lease()
    trial.holder = f"{platform.node()}:{os.getpid()}:{get_random_string(8)}"[-100:]
    trial.machine = f"{platform.node()}, {os.cpu_count()} cores"[:200]
    trial.attempts, trial.tries = trial.attempts + 1, trial.tries + 1
    trial.save()
    _record("trial.claimed", trial, attempt=trial.attempts, machine=trial.machine)
    return trial


def beat(*, trial: Trial, done: float, kept: float = 0.0, worked: float = 0.0) -> None:
    """Keep the lease and write down how far it is. Raises ClaimLost.

    worked: seconds since the last beat. `trial` itself learns what is written.
    """
    said = {"lease_until": lease(), "done": done, "seconds": trial.seconds + worked}
    if kept > trial.kept:
        said |= {"kept": kept, "tries": 0}
    for name, value in said.items():
        setattr(trial, name, value)
    if not _mine(trial).update(**said):
        raise ClaimLost


@transaction.atomic
def finish(*, trial: Trial, outcome: Outcome) -> None:
    """Write down how good it is; the search goes on from there. Raises ClaimLost, and
    ValueError for what no database keeps as JSON."""
    held = _held(trial)
    held.values = [float(value) for value in outcome.values]
    held.measured, held.done = dict(outcome.measured), 1.0
    _refuse_what_is_not_finite(held)
    _release(held, State.DONE)
    search.proceed(trial=held)
    _record("trial.done", held, values=held.values)


@transaction.atomic
def fail(*, trial: Trial, reason: str) -> None:
    """Have it tried once more; after the last time set it aside. Raises ClaimLost."""
    held = _held(trial)
    held.tries = max(held.tries, 1)
    if held.tries >= TRIES:
        _set_aside(held, reason)
        return
    held.due_at, held.reason = timezone.now() + AGAIN, tags.text(reason, 500)
    _release(held, State.QUEUED)
    _record("trial.failed_once", held, reason=held.reason)


@transaction.atomic
def give_back(
    *, trial: Trial, pause: timedelta = timedelta(), reason: str = ""
) -> None:
    """Not the candidate's fault: no attempt is counted. Nothing if another has it."""
    held = _locked(pk=trial.pk, state=State.RUNNING, holder=trial.holder)
    if held:
        held.attempts, held.tries = held.attempts - 1, max(held.tries - 1, 0)
        held.due_at = timezone.now() + pause
        held.reason = tags.text(reason, 500) or held.reason
        _release(held, State.QUEUED)
        unsaid = STOPPED if held.job.is_open else ENDED
        _record("trial.given_back", held, reason=tags.text(reason, 500) or unsaid)


def _refuse_what_is_not_finite(held: Trial) -> None:
    found = {"its answer": held.values, "what was measured": held.measured}
    for name, said in found.items():
        try:
            json.dumps(said, allow_nan=False)
        except ValueError:
            words = f"Not everything in {name} is a finite number."
            raise ValueError(words) from None


def sweep() -> list[int]:
    """Whom to ring for. What broke off too often is set aside on the way."""
    broken_off = Trial.objects.due().filter(state=State.RUNNING, tries__gte=TRIES)
    for pk in list(broken_off.values_list("pk", flat=True)):
        claim(pk=pk)
    return list(Trial.objects.due().values_list("pk", flat=True))


@contextmanager
def _outcome(trial: Trial) -> Iterator[None]:
    """Whatever ends the work is written on the row, in words."""
    try:
        yield
    except ClaimLost:
        give_back(trial=trial)
        log.info("trial %d was stopped or taken over; this worker stops", trial.pk)
    except StoreUnavailable as error:
        give_back(trial=trial, pause=AGAIN, reason=str(error))
        log.warning("trial %d waits: %s", trial.pk, error)
    except ValueError as error:
        _failed(trial, str(error) or "The candidate could not be trained.")
    except Exception as error:
        _failed(trial, f"The training ended with an error: {type(error).__name__}.")
        raise


def _failed(trial: Trial, reason: str) -> None:
    try:
        fail(trial=trial, reason=reason)
        log.warning("trial %d failed: %s", trial.pk, reason)
    except ClaimLost:
        log.info("trial %d was taken away before it failed: %s", trial.pk, reason)


def _mine(trial: Trial):
    """The row, while this worker holds it and its search was not ended. One that is
    paused begins nothing new."""
    return Trial.objects.filter(
        pk=trial.pk,
        state=State.RUNNING,
        holder=trial.holder,
        job__in=Job.objects.filter(state__in=Job.OPEN),
    )


def _alive(trial: Trial) -> AbstractContextManager[None]:
    return heartbeat.alive(
        f"trial {trial.pk}",
        lambda: _keep(trial),
        lambda: give_back(trial=trial, pause=AGAIN),  # until it is killed
    )


def _keep(trial: Trial) -> int:
    stopwatch.tick(job_id=trial.job_id)
    return _mine(trial).update(lease_until=lease())


def _held(trial: Trial) -> Trial:
    """The row, locked with its search. Raises ClaimLost."""
    held = _locked(pk=trial.pk)
    if held is None or not _mine(trial).exists():
        raise ClaimLost
    return held


def _locked(**which: object) -> Trial | None:
    """A search is locked before its trials, always: two that end at once take turns."""
    found = Trial.objects.filter(**which).first()
    if found is None:
        return None
    job = Job.objects.select_for_update().get(pk=found.job_id)
    trial = Trial.objects.select_for_update().filter(**which).first()
    if trial:
        trial.job = job
    return trial


def _set_aside(trial: Trial, reason: str) -> None:
    trial.reason = tags.text(reason, 500)
    _release(trial, State.FAILED)
    search.proceed(trial=trial)
    _record("trial.set_aside", trial, reason=trial.reason)


def _release(trial: Trial, state: str) -> None:
    if trial.state == State.RUNNING:
        trial.job.seconds = stopwatch.tick(job_id=trial.job_id)
    trial.state, trial.holder, trial.lease_until = state, "", None
    if state != State.QUEUED:
        trial.ended = timezone.now()
    if state == State.DONE:
        trial.reason = ""
    trial.save()


def _record(action: str, trial: Trial, **said: object) -> None:
    audit.record(action, trial.job, trial=trial.number, **said)
