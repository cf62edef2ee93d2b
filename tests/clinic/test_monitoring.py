"""Figures about the service, from rows whose answer is known."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clinic import monitoring
from clinic.models import Prediction, Study
from tests.clinic.factories import (
    make_prediction,
    make_review,
    make_study,
)

pytestmark = pytest.mark.django_db


def ago(**how):
    return timezone.now() - timedelta(**how)


def test_every_day_has_its_count_and_days_without_any_have_none():
    for days in (0, 0, 2, 6, 7):
        make_study(arrived=ago(days=days))
    found = monitoring.days(7)
    assert [count for _, count in found] == [1, 0, 0, 0, 1, 0, 2]
    assert found[-1][0] == timezone.localdate()


def test_what_was_not_read_is_counted_by_its_reason():
    why = {"reason": "Because.", "arrived": ago(days=1)}
    for code in ("other_anatomy", "other_anatomy", "no_view"):
        make_study(state="not_ours", code=code, **why)
    make_study(state="failed", code="", **why)
    make_study(state="failed", reason="Old.", arrived=ago(days=40))
    make_prediction()
    make_study()
    assert monitoring.unread(30) == [
        ("not a radiograph this model reads", "other_anatomy", 2),
        ("set aside after repeated failure", "–", 1),
        ("not a radiograph this model reads", "no_view", 1),
    ]


def left(code, count=1, of=3, **fields):
    """A study of which `count` of `of` images were left to people."""
    prediction = make_prediction(make_study(images=of), **fields)
    for image in prediction.images.all()[:count]:
        image.state, image.code, image.reason = "abstained", code, "Because."
        image.probability = None
        image.save()


class TestDoubt:
    def test_images_left_to_people_are_counted_by_reason_and_day(self):
        left("poor_quality", count=2)
        left("poor_quality", created=ago(days=2))
        left("unlike_training")
        left("unlike_training", superseded_at=timezone.now())
        left("uncertain", created=ago(days=40))
        found = monitoring.doubt(7)
        assert (found.asked, found.images) == (9, 4)
        assert found.reasons == [("poor_quality", 3, 2), ("unlike_training", 1, 1)]
        assert found.daily == {
            "poor_quality": [0, 0, 0, 0, 1, 0, 2],
            "unlike_training": [0, 0, 0, 0, 0, 0, 1],
        }
        assert found.share == pytest.approx(4 / 9)

    def test_nothing_asked_is_no_share(self):
        assert monitoring.doubt(7).share is None


class TestAgreement:
    def test_a_verdict_agrees_with_its_flag_or_not(self, radiologist):
        for probability, verdict in (
            (0.9, "fracture"),
            (0.1, "no_fracture"),
            (0.1, "fracture"),
            (0.9, "no_fracture"),
            (0.9, "unsure"),
        ):
            prediction = make_prediction(make_study(), probability)
            make_review(prediction, radiologist, verdict)
        (week,) = monitoring.agreement(7)
        assert (week.agreed, week.missed, week.false_alarms) == (2, 1, 1)
        assert (week.verdicts, week.agreement) == (4, 0.5)
        assert week.day.weekday() == 0

    def test_the_latest_verdict_of_a_study_counts(self, radiologist):
        prediction = make_prediction()
        make_review(prediction, radiologist, "no_fracture")
        make_review(prediction, radiologist, "fracture")
        (week,) = monitoring.agreement(7)
        assert (week.agreed, week.verdicts) == (1, 1)

    def test_a_reading_that_had_not_seen_every_image_agrees_with_nothing(
        self, radiologist
    ):
        make_review(make_prediction(make_study(), 0.1), radiologist, revision=2)
        assert monitoring.agreement(7) == []


def test_a_late_image_makes_no_earlier_reading_quick():
    prediction = make_prediction(make_study(images=0))
    Study.objects.update(last_arrival=prediction.created + timedelta(hours=1))
    assert len(monitoring.latencies(7)) == 1
    Study.objects.update(revision=2)
    assert monitoring.latencies(7) == []


def test_waiting_times_are_told_in_percentiles():
    for seconds in range(1, 101):
        study = make_study(images=0)
        prediction = make_prediction(study)
        moment = prediction.created - timedelta(seconds=seconds)
        Study.objects.filter(pk=study.pk).update(last_arrival=moment)
    Prediction.objects.filter(pk=prediction.pk).update(superseded_at=timezone.now())
    ((day, count, waits),) = monitoring.latencies(7)
    assert day == timezone.localdate()
    assert count == 99
    assert waits == pytest.approx(np.percentile(range(1, 100), (50, 90, 99)), abs=0.01)


def test_the_page_costs_the_same_however_many_studies(
    client, administrator, radiologist
):
    client.force_login(administrator)

    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get("/monitoring/?days=7").status_code == 200
        return len(captured)

    make_review(make_prediction(), radiologist)
    before = queries()
    for number in range(10):
        make_review(make_prediction(make_study(), number / 10), radiologist)
        make_study(state="failed", reason="So.", code=f"code{number}")
    assert queries() == before < 15


@pytest.mark.parametrize("days", ["", "8", "-1", "x", "99999999999999999999", "0"])
def test_nonsense_asks_for_a_month(client, administrator, days):
    client.force_login(administrator)
    page = client.get("/monitoring/", {"days": days}).content.decode()
    assert '<option value="30" selected>' in page
