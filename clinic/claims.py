"""Who works on a study: it is taken, given back, or set aside, each in words.

The row is the claim. Who moves it to `reading` has it until the lease ends; whoever
else is sent for the same study finds it taken and leaves it alone.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from clinic import audit, tags
from clinic.models import Study

State = Study.State


def lease() -> datetime:
    """Until when work that begins now may take."""
    return timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)


@transaction.atomic
def take(pk: int) -> Study | None:
    """The study, if it is to be had; it is set aside once all attempts broke off.

    The attempt is counted before it is made: what ends the whole process (memory, a
    decoder that hangs) leaves nobody to count it afterwards.
    """
    study = Study.objects.select_for_update().filter(pk=pk).first()
    if study is None or not _is_to_be_had(study):
        return None
    if study.attempts >= settings.MAX_ATTEMPTS:
        words = f"Reading broke off {study.attempts} times without an answer."
        _set_aside(study, "broken_off", words)
        return None
    study.state, study.lease_until = State.READING, lease()
    study.attempts += 1
    study.save()
    return study


def _is_to_be_had(study: Study) -> bool:
    now = timezone.now()
    if study.state == State.READING:
        return study.lease_until is None or study.lease_until < now
    # A bell that rang before the last image came must not cut its study short.
    all_came = study.state == State.RECEIVING and study.due_at <= now
    return study.state == State.WAITING or all_came


@transaction.atomic
def give_back(taken: Study, pause: timedelta, code: str, words: str) -> None:
    """Not the study's fault: no attempt is counted, and there is always another."""
    study = _still(taken)
    if study:
        study.attempts -= 1
        _put_back(study, pause, code, words)


@transaction.atomic
def fail(taken: Study, error: str) -> None:
    """An attempt failed: try again later, or set the study aside after the last."""
    study = _still(taken)
    if study is None:
        return
    words = f"{error} in attempt {study.attempts} of {settings.MAX_ATTEMPTS}."
    if study.attempts < settings.MAX_ATTEMPTS:
        pause = timedelta(seconds=2**study.attempts)
        _put_back(study, pause, "failing", f"Reading is tried again: {words}")
    else:
        _set_aside(study, "failing", f"Reading failed: {words}")


@transaction.atomic
def give_up(taken: Study, code: str, words: str) -> None:
    """Trying again cannot help."""
    study = _still(taken)
    if study:
        _set_aside(study, code, words)


def _still(taken: Study) -> Study | None:
    """The row, locked, if nobody has taken or changed it since."""
    return (
        Study.objects.select_for_update()
        .filter(pk=taken.pk, state=State.READING, lease_until=taken.lease_until)
        .first()
    )


def _put_back(study: Study, pause: timedelta, code: str, words: str) -> None:
    study.state, study.due_at = State.WAITING, timezone.now() + pause
    _say(study, code, words)


def _set_aside(study: Study, code: str, words: str) -> None:
    study.state = State.FAILED
    _say(study, code, words)
    audit.record("study.set_aside", study, code=code, reason=study.reason)


def _say(study: Study, code: str, words: str) -> None:
    study.lease_until = None
    study.code, study.reason = code, tags.text(words, 500)
    study.save()
