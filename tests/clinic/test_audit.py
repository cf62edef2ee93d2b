"""A record that nobody can change without its showing."""

import math
import uuid
from datetime import date

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic import audit
from clinic.models import AuditEvent
from tests.clinic.factories import make_review

pytestmark = pytest.mark.django_db


def record_some(count=4):
    for number in range(count):
        audit.record("thing.done", f"thing/{number}", number=number)


class TestTheChain:
    def test_each_event_vouches_for_the_one_before(self, study, radiologist):
        audit.record("study.opened", study, radiologist, why=0.5, when=date(2024, 1, 2))
        audit.record("study.read", study)
        one, two = AuditEvent.objects.order_by("pk")
        assert (one.previous, two.previous) == (audit.GENESIS, one.digest)
        assert (one.target, one.actor) == (f"study/{study.pk}", radiologist)
        assert one.detail == {"why": 0.5, "when": "2024-01-02"}
        assert audit.head() == two.digest
        assert audit.verify() == []

    def test_an_event_goes_with_the_transaction_it_is_about(self):
        with pytest.raises(RuntimeError), transaction.atomic():
            audit.record("thing.done", "thing/1")
            raise RuntimeError
        assert not AuditEvent.objects.exists()
        record_some()
        assert audit.verify() == []

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE clinic_auditevent SET action = 'thing.undone' WHERE target = %s",
            "UPDATE clinic_auditevent SET target = 'x' WHERE target = %s",
            "UPDATE clinic_auditevent SET at = '2001-01-01 00:00' WHERE target = %s",
            "UPDATE clinic_auditevent SET detail = '{}' WHERE target = %s",
            "UPDATE clinic_auditevent SET digest = 'x' WHERE target = %s",
            "UPDATE clinic_auditevent SET previous = 'x' WHERE target = %s",
            "DELETE FROM clinic_auditevent WHERE target = %s",
        ],
    )
    def test_a_tampered_row_shows(self, change):
        record_some()
        with connection.cursor() as cursor:
            cursor.execute(change, ["thing/1"])
        assert audit.verify()

    def test_another_actor_shows(self, radiologist, administrator):
        audit.record("thing.done", "thing/1", radiologist)
        with connection.cursor() as cursor:
            statement = "UPDATE clinic_auditevent SET actor_id = %s"
            cursor.execute(statement, [administrator.pk])
        assert "changed" in audit.verify()[0]

    def test_a_cut_tail_shows_against_the_head_kept_elsewhere(self):
        record_some()
        kept = audit.head()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM clinic_auditevent WHERE target = 'thing/3'")
        assert audit.verify() == [] and audit.head() != kept

    def test_nothing_recorded_is_whole(self):
        assert audit.verify() == []


def anything():
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    return st.recursive(
        plain,
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )


KEEP = [HealthCheck.function_scoped_fixture]


@settings(max_examples=60, suppress_health_check=KEEP)
@given(detail=st.dictionaries(st.text(), anything(), max_size=3))
def test_whatever_is_recorded_comes_back_as_it_was_digested(detail):
    with transaction.atomic():
        audit.record_all([audit.Event("thing.done", "thing/1", detail)])
        assert audit.verify() == []
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    "value",
    [-0.0, 1e22, 1.5e-300, math.nan, math.inf, "\x00", "\ud800", uuid.UUID(int=1)],
)
def test_what_databases_disagree_about_is_settled_before(value):
    audit.record("thing.done", "thing/1", value=value, keys={"a\x00": value})
    assert audit.verify() == []


class TestTheSeal:
    """What the database refuses, whoever asks."""

    @pytest.mark.parametrize("table", ["clinic_auditevent", "clinic_review"])
    @pytest.mark.parametrize("verb", ["DELETE FROM {}", "UPDATE {} SET id = id + 100"])
    def test_rows_stay_as_they_are(self, prediction, radiologist, table, verb):
        make_review(prediction, radiologist)
        record_some()
        audit.seal()
        audit.seal()
        statement = verb.format(table)
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
        record_some()
        assert audit.verify() == []
