"""From what happened to a chain of events that nobody can quietly change.

Each event's digest covers the digest before it, so that a changed, removed or
inserted row breaks every link after it. The newest digest, kept elsewhere (the
ledger prints it), also shows a cut tail. No patient's name belongs in here.
"""

import hashlib
import json
import math
from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.utils import timezone

from clinic.models import AuditEvent, Review
from clinic.tags import text

GENESIS = "0" * 64
CHAIN_LOCK = 0x0A0D17  # PostgreSQL advisory lock: one writer appends at a time


@dataclass(frozen=True)
class Event:
    """target: a row ("study/12" is kept of it) or such a name itself."""

    action: str
    target: models.Model | str
    detail: dict[str, object] = field(default_factory=dict)
    actor: AbstractBaseUser | None = None


def record(
    action: str,
    target: models.Model | str,
    actor: AbstractBaseUser | None = None,
    **detail: object,
) -> None:
    """Append one event, within the caller's transaction if there is one."""
    record_all([Event(action, target, detail, actor)])


@transaction.atomic
def record_all(events: list[Event]) -> None:
    """Append `events` in their order.

    Holds the chain until the transaction ends: call it last in a transaction,
    after every row is locked, or two transactions may wait for each other.
    """
    if not events:
        return
    _hold_the_chain()
    previous = head()
    rows = []
    for event in events:
        row = _row(event)
        row.previous, row.digest = previous, _digest(previous, row)
        previous = row.digest
        rows.append(row)
    AuditEvent.objects.bulk_create(rows)


def head() -> str:
    """The newest digest: it vouches for every event before it."""
    newest = AuditEvent.objects.order_by("-pk").values_list("digest", flat=True)
    return newest.first() or GENESIS


def verify() -> list[str]:
    """What is wrong with the chain, in words; empty when it is whole."""
    found, previous = [], GENESIS
    for row in AuditEvent.objects.order_by("pk").iterator():
        if row.previous != previous:
            found.append(f"Before event {row.pk}, an event is missing or was added.")
        if row.digest != _digest(row.previous, row):
            found.append(f"Event {row.pk} was changed after it was written.")
        previous = row.digest
    return found


def _hold_the_chain() -> None:
    # SQLite needs nothing: its transactions are IMMEDIATE, one writer at a time.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])


def _row(event: Event) -> AuditEvent:
    target = event.target
    if isinstance(target, models.Model):
        target = f"{target._meta.model_name}/{target.pk}"
    detail = json.loads(json.dumps(event.detail, cls=DjangoJSONEncoder))
    return AuditEvent(
        at=timezone.now(),
        actor=event.actor,
        action=event.action,
        target=text(target, 64),
        detail=_storable(detail),
    )


def _storable(value: object) -> object:
    """`value` in a form that comes back from a JSON column exactly as it went in.

    PostgreSQL's jsonb refuses NUL and NaN, and gives -0.0 and 1e22 back as
    integers; the digest must not depend on that.
    """
    if isinstance(value, str):
        return text(value, 2000)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {text(key, 200): _storable(item) for key, item in value.items()}
    return value


def _number(value: float) -> float | int | str:
    if not math.isfinite(value):
        return str(value)
    return int(value) if value.is_integer() else value


def _digest(previous: str, row: AuditEvent) -> str:
    said = {
        "at": row.at.isoformat(),
        "actor": row.actor_id,
        "action": row.action,
        "target": row.target,
        "detail": row.detail,
    }
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()


# --- The database's own refusal ------------------------------------------------

SQLITE_SEAL = """
CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'append-only: rows of {table} stay as they are'); END
"""
POSTGRES_REFUSAL = """
CREATE OR REPLACE FUNCTION clinic_append_only() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'append-only: rows of % stay as they are', TG_TABLE_NAME; END
$$ LANGUAGE plpgsql
"""
POSTGRES_SEAL = """
CREATE OR REPLACE TRIGGER {table}_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION clinic_append_only()
"""


@transaction.atomic
def seal() -> None:
    """Have the database itself refuse to change reviews and events. Idempotent.

    Part of bootstrap rather than of a migration: SQLite drops a table's triggers
    whenever a migration rebuilds it, and a test database must be emptied.
    """
    tables = [model._meta.db_table for model in (Review, AuditEvent)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRES_REFUSAL)
            for table in tables:
                cursor.execute(POSTGRES_SEAL.format(table=table))
            return
        for table in tables:
            for verb in ("UPDATE", "DELETE"):
                cursor.execute(SQLITE_SEAL.format(table=table, verb=verb))
