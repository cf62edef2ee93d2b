"""Nothing that was received goes missing without its showing."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from clinic import intake, ledger
from clinic.models import ImageReading, Instance, Prediction, Study
from tests.clinic.factories import (
    SR,
    add_instance,
    leave_to_people,
    make_prediction,
    make_review,
    make_study,
)

pytestmark = pytest.mark.django_db
PARTS = ("read", "abstained", "not_ours", "unreadable", "failed", "waiting")


def adds_up(counts):
    return counts["received"] == sum(counts[part] for part in PARTS)


def set_aside(state):
    """A study of two images of which none was read."""
    prediction = make_prediction(state=state, probability=0.5, reason="Because.")
    prediction.images.update(state=state, reason="Because.")
    Study.objects.filter(pk=prediction.study_id).update(state=state, reason="Because.")
    return prediction


def test_an_empty_clinic_is_balanced():
    found = ledger.balance()
    assert found["balanced"]
    assert found["studies"]["received"] == found["images"]["received"] == 0
    assert found["studies"]["oldest_waiting_seconds"] == 0


def test_every_outcome_is_counted_once(radiologist):
    make_review(make_prediction(), radiologist)
    set_aside("not_ours")
    set_aside("unreadable")
    leave_to_people(make_prediction(make_study(images=4)))
    make_study(images=3, state="failed", reason="Four times.")
    for state in ("receiving", "waiting", "reading"):
        make_study(images=1, state=state)
    found = ledger.balance()
    wanted = {"received": 8, "read": 1, "not_ours": 1, "unreadable": 1}
    wanted |= {"abstained": 1}
    wanted |= {"failed": 1, "waiting": 3, "judged": 1}
    assert {key: found["studies"][key] for key in wanted} == wanted
    wanted = {"received": 16, "read": 2, "not_ours": 2, "unreadable": 2}
    wanted |= {"abstained": 4, "failed": 3, "waiting": 3}
    assert found["images"] == wanted
    assert found["balanced"] and adds_up(found["studies"]) and adds_up(found["images"])


def test_images_of_one_study_may_differ():
    prediction = make_prediction(make_study(images=3))
    some = prediction.images.first()
    ImageReading.objects.filter(pk=some.pk).update(state="unreadable", reason="Torn.")
    images = ledger.balance()["images"]
    assert (images["read"], images["unreadable"]) == (2, 1)


def test_a_study_being_read_again_waits_with_all_its_images(prediction):
    Study.objects.update(state="receiving", revision=2)
    add_instance(prediction.study, revision=2)
    found = ledger.balance()
    assert found["studies"]["waiting"] == 1 and found["studies"]["read"] == 0
    assert found["images"]["waiting"] == 3
    assert found["balanced"]


class TestWhatIsLost:
    def test_a_study_called_read_without_a_prediction(self, study):
        Study.objects.update(state="read")
        found = ledger.balance()
        assert not adds_up(found["studies"]) and not found["balanced"]

    def test_a_prediction_of_fewer_images_than_there_are(self, prediction):
        Study.objects.update(revision=2)
        found = ledger.balance()
        assert not adds_up(found["studies"]) and not found["balanced"]

    def test_a_superseded_prediction_justifies_nothing(self, prediction):
        Prediction.objects.update(superseded_at=timezone.now())
        found = ledger.balance()
        assert not adds_up(found["studies"]) and not found["balanced"]

    def test_a_state_that_the_prediction_does_not_share(self, prediction):
        Study.objects.update(state="not_ours", reason="Because.")
        found = ledger.balance()
        assert not adds_up(found["studies"]) and not found["balanced"]

    def test_a_study_left_to_people_without_a_prediction_that_says_so(self, prediction):
        Study.objects.update(state="abstained", reason="Because.")
        found = ledger.balance()
        assert not adds_up(found["studies"]) and not found["balanced"]

    def test_an_image_that_was_passed_over(self, prediction):
        add_instance(prediction.study)
        found = ledger.balance()
        assert adds_up(found["studies"]) and not adds_up(found["images"])
        assert not found["balanced"]


def test_reports_are_no_images(prediction):
    add_instance(prediction.study, role=Instance.Role.OTHER)
    assert ledger.balance()["images"]["received"] == 2
    assert ledger.balance()["balanced"]


def test_explanations_wait_for_themselves(prediction):
    make_prediction(explanation="done")
    Prediction.objects.filter(pk=prediction.pk).update(explanation="waiting")
    counts = ledger.balance()["explanations"]
    assert counts == {"waiting": 1, "done": 1, "failed": 0, "none": 0}


def test_the_longest_wait_is_told():
    make_study(last_arrival=timezone.now() - timedelta(seconds=90))
    make_prediction(make_study(last_arrival=timezone.now() - timedelta(days=9)))
    assert 90 <= ledger.balance()["studies"]["oldest_waiting_seconds"] < 120


def test_the_question_does_not_grow_with_the_clinic(django_assert_num_queries):
    for _ in range(5):
        make_prediction()
    with django_assert_num_queries(3):
        ledger.balance()


class TestAgainstThePacs:
    def test_what_was_not_taken_in_is_named(self, shelf):
        shelf.put(sop="1")
        intake.sync(shelf)
        assert ledger.missing(shelf) == []
        later = shelf.put(sop="2", SOPClassUID=SR)
        assert ledger.missing(shelf) == [later.id]

    def test_what_the_pacs_deleted_is_not_missing(self, shelf):
        stored = shelf.put()
        del shelf.objects[stored.id]
        assert ledger.missing(shelf) == []

    def test_every_page_of_the_feed_is_asked_for(self, shelf, monkeypatch):
        for number in range(7):
            shelf.put(sop=str(number))
        asked = shelf.changes
        monkeypatch.setattr(shelf, "changes", lambda since: asked(since, limit=2))
        assert len(ledger.missing(shelf)) == 7


class TestTheCommand:
    @pytest.fixture
    def printed(self, shelf, monkeypatch):
        from clinic.management.commands import ledger as command

        monkeypatch.setattr(command, "open_pacs", lambda: shelf)

        def run(*arguments):
            out = StringIO()
            code = 0
            try:
                call_command("ledger", *arguments, stdout=out)
            except SystemExit as end:
                code = end.code
            return json.loads(out.getvalue()), code

        return run

    def test_a_quiet_clinic_is_settled(self, printed, prediction):
        found, code = printed("--verify")
        assert found["settled"] and found["balanced"] and code == 0
        assert found["audit"]["broken"] == []

    def test_waiting_is_not_settled(self, printed, study):
        found, code = printed()
        assert not found["settled"] and found["balanced"] and code == 0

    def test_nor_is_an_explanation_on_its_way(self, printed, prediction):
        Prediction.objects.update(explanation="waiting")
        assert not printed()[0]["settled"]

    def test_nor_is_an_object_still_in_the_pacs_alone(self, printed, shelf):
        shelf.put()
        found, _ = printed()
        assert not found["settled"] and found["pacs"]["missing"] == 1

    def test_a_pacs_that_is_away_settles_nothing(self, printed, shelf):
        shelf.away = "Nobody answers."
        found, code = printed()
        assert found["pacs"] == {"missing": None, "trouble": "Nobody answers."}
        assert not found["settled"] and code == 0

    def test_a_loss_is_an_error(self, printed, study):
        Study.objects.update(state="read")
        found, code = printed()
        assert not found["balanced"] and code == 1

    def test_a_broken_chain_is_an_error(self, printed, prediction):
        from django.db import connection

        from clinic import audit

        audit.record("thing.done", "thing/1")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE clinic_auditevent SET action = 'x'")
        assert printed()[1] == 0
        found, code = printed("--verify")
        assert found["audit"]["broken"] and code == 1


def test_a_database_without_tables_is_told_with_its_remedy(tmp_path):
    asked = [sys.executable, str(settings.BASE_DIR / "manage.py"), "ledger"]
    environment = os.environ | {"OSTEON_DATA": str(tmp_path), "DATABASE_URL": ""}
    done = subprocess.run(asked, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("The database cannot be used: no such table")
    assert "made ready by `manage.py migrate`" in done.stderr
