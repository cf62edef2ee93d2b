"""From the changes feed of the PACS to rows: what came, and what is due for reading.

The cursor moves in the transaction that keeps what it passed, so that a kill
loses nothing and doubles nothing. Taking the same feed in again changes nothing:
an object is known by its identifier and its digest.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from clinic import arrivals, audit, tags
from clinic.models import PacsCursor, Study
from clinic.pacs import Change, GoneFromPacs, Pacs, PacsUnavailable, RemoteInstance

CURSOR = 1
ANSWER_KEPT = timedelta(seconds=5)  # how stale "last answer of the PACS" may get
RING_AGAIN = timedelta(seconds=5)
AT_THE_DOOR = 32  # studies rung for and not begun; more would only fill the queue

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """What one stretch of the feed led to. gone: named there, and no more.

    last: the newest change that was seen, not the newest that is said to exist:
    the cursor never passes what nobody looked at.
    """

    since: int
    last: int
    done: bool
    instances: tuple[RemoteInstance, ...] = ()
    gone: tuple[str, ...] = ()
    starts_over: bool = False


def sync(pacs: Pacs, *, pages: int = 10) -> list[Study]:
    """Take in at most `pages` pages of what is new, and give the studies due.

    A study is given once, and again after a while if no worker has begun it. A
    PACS that does not answer is put on record in words, and nothing is due until
    it does: whoever reads would need it, too.
    """
    try:
        for _ in range(pages):
            cursor = PacsCursor.objects.get_or_create(pk=CURSOR)[0]
            page = _fetch(pacs, cursor.sequence)
            # Quiet seconds are not worth a write.
            if page.last == page.since and _is_fresh(cursor):
                break
            if _keep(page) and page.done:
                break
    except PacsUnavailable as error:
        _note_trouble(str(error) or "The PACS does not answer.")
        return []
    return _ring()


def knock(*, pacs: Pacs) -> None:
    """Put on record whether the PACS can be sent to; taking in does not tell."""
    words = ""
    try:
        pacs.health()
    except PacsUnavailable as error:
        words = tags.text(str(error) or "The PACS does not answer.", 500)
    changed = PacsCursor.objects.filter(pk=CURSOR).exclude(shut=words)
    if changed.update(shut=words):
        log.warning(words or "The PACS can be sent to again")


@transaction.atomic
def requeue(*, study: Study, by: AbstractBaseUser) -> Study:
    """Have a study that was set aside read once more."""
    study = Study.objects.select_for_update().get(pk=study.pk)
    if study.state != Study.State.FAILED:
        raise ValidationError("Only a study that was set aside can be tried again.")
    study.state, study.code, study.reason = Study.State.WAITING, "", ""
    study.attempts, study.due_at = 0, timezone.now()
    study.save()
    audit.record("study.requeued", study, by)
    return study


def _is_fresh(cursor: PacsCursor) -> bool:
    seen = cursor.seen_at
    return not cursor.trouble and bool(seen) and timezone.now() - seen < ANSWER_KEPT


def _fetch(pacs: Pacs, since: int) -> Page:
    """Ask the PACS for the next changes and for what they are about.

    Outside any transaction: nobody waits for a lock while a PACS thinks.
    """
    answer = pacs.changes(since)
    if answer.last < since:
        return Page(since, 0, done=False, starts_over=True)
    found: dict[str, RemoteInstance] = {}
    gone = []
    for study_id in _named(answer.changes, "NewStudy"):
        try:
            found |= {remote.id: remote for remote in pacs.instances(study_id)}
        except GoneFromPacs:
            gone.append(study_id)
    for instance_id in _named(answer.changes, "NewInstance"):
        try:
            found[instance_id] = found.get(instance_id) or pacs.instance(instance_id)
        except GoneFromPacs:
            gone.append(instance_id)
    last = max((change.sequence for change in answer.changes), default=since)
    return Page(since, last, answer.done, tuple(found.values()), tuple(gone))


def _named(changes: Iterable[Change], kind: str) -> Iterator[str]:
    """Each resource that `kind` of change is about, once, in order."""
    return iter(dict.fromkeys(change.id for change in changes if change.kind == kind))


@transaction.atomic
def _keep(page: Page) -> bool:
    """Make rows of a page; False when the feed has to be asked again.

    That is so after a restore, and when another watcher was faster.
    """
    cursor = PacsCursor.objects.select_for_update().get(pk=CURSOR)
    if cursor.sequence != page.since:
        return False
    events = [audit.Event("pacs.gone", f"pacs/{id}") for id in page.gone]
    if page.starts_over:
        log.warning("The PACS starts over: taking all in again")
        events.append(audit.Event("pacs.restored", cursor, {"before": page.since}))
    events += arrivals.take_in(page.instances)
    _move(cursor, page.last)
    audit.record_all(events)
    return not page.starts_over


def _move(cursor: PacsCursor, sequence: int) -> None:
    if cursor.trouble:
        log.info("The PACS answers again")
    cursor.sequence, cursor.seen_at, cursor.trouble = sequence, timezone.now(), ""
    cursor.save()


def _note_trouble(words: str) -> None:
    words = tags.text(words, 500)
    changed = PacsCursor.objects.filter(pk=CURSOR).exclude(trouble=words)
    if changed.update(trouble=words):
        log.warning("The PACS is away: %s", words)


def _ring() -> list[Study]:
    """The studies to tell a worker of now; told again later if none begins."""
    if not Study.objects.due().exists():
        return []
    now = timezone.now()
    with transaction.atomic():
        room = max(0, AT_THE_DOOR - Study.objects.rung().count())
        due = Study.objects.due().select_for_update(
            skip_locked=connection.features.has_select_for_update_skip_locked
        )
        rung = list(due[:room])
        for study in rung:
            study.state, study.lease_until = Study.State.WAITING, None
            study.due_at, study.changed = now + RING_AGAIN, now
        Study.objects.bulk_update(rung, ["state", "lease_until", "due_at", "changed"])
    return rung
