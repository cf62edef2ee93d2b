"""What the model in service says, against what it said before."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from clinic import shift
from clinic.models import ModelVersion
from search.calibration import spread
from search.holdout import Case, Measured
from tests.clinic.factories import make_model, make_prediction, make_study

pytestmark = pytest.mark.django_db


def ago(**how):
    return timezone.now() - timedelta(**how)


def scores():
    return shift.scores(ago(days=30))


class TestStability:
    def test_the_same_scores_are_stable(self):
        scores = np.random.default_rng(0).random(1000)
        assert shift.stability(scores, scores) == 0

    def test_a_draw_from_the_same_is_small_and_another_is_large(self):
        rng = np.random.default_rng(0)
        then = rng.beta(2, 5, 2000)
        assert shift.stability(then, rng.beta(2, 5, 2000)) < 0.02
        assert shift.stability(then, rng.beta(5, 2, 2000)) > 0.5

    def test_it_is_the_sum_that_the_books_give(self):
        """10 and 10 against 5 and 15 in the two bins of four that hold any."""
        then = np.repeat([0.1, 0.9], 10)
        now = np.repeat([0.1, 0.9], [5, 15])
        by_hand = -5 / 22 * np.log(5.5 / 10.5) + 5 / 22 * np.log(15.5 / 10.5)
        assert shift.stability(then, now) == pytest.approx(by_hand)

    def test_an_empty_bin_does_not_make_it_infinite(self):
        then = np.linspace(0, 1, 100)
        assert np.isfinite(shift.stability(then, np.full(100, 0.99)))


@pytest.fixture
def holdout(monkeypatch):
    """Give the model in service a holdout with these probabilities."""

    def give(probabilities):
        images = tuple(
            Case(str(i), str(i), str(i), i % 2, p) for i, p in enumerate(probabilities)
        )
        known = Measured("tester", 0.5, images=images)
        monkeypatch.setattr(shift.registry, "facts", lambda model: known)

    return give


@pytest.fixture
def learnt():
    """Give the card of the model in service these probabilities of its training."""

    def give(probabilities):
        told = {"training_scores": spread(np.asarray(probabilities))}
        ModelVersion.objects.filter(stage="active").update(card=told)

    return give


@pytest.fixture
def read():
    """Sixty images were read, as often suspicious as not."""
    for probability in np.linspace(0, 1, 30):
        make_prediction(make_study(), float(probability))


class TestScores:
    def test_a_card_that_tells_nothing_is_not_measured_on_either_side(self):
        make_prediction()
        found = scores()
        assert found.count == 2  # images
        assert [one.side for one in found.shifts] == ["training set", "holdout"]
        for one in found.shifts:
            assert (one.index, one.shares, one.words) == (None, [], "")
            assert one.trouble

    def test_without_a_model_there_is_nothing_to_measure(self):
        found = scores()
        assert (found.model, found.shifts) == (None, [])

    def test_few_readings_tell_no_shift(self, holdout):
        make_prediction()
        holdout(np.linspace(0, 1, 100))
        assert "2 images read in this time" in scores().shifts[1].trouble

    def test_few_known_images_tell_no_shift_but_are_drawn(self, read, learnt):
        learnt(np.linspace(0, 1, 49))
        found = scores()
        assert "49 images in its training set" in found.shifts[0].trouble
        assert [*found.chart.lines] == ["now", "training set"]

    @pytest.mark.parametrize("side", [0, 1])
    def test_a_shift_is_told_in_a_figure_and_in_words(
        self, side, holdout, learnt, read
    ):
        (learnt, holdout)[side](np.linspace(0, 1, 100))
        found = scores()
        assert found.shifts[side].index < 0.1
        assert found.shifts[side].words == "no shift worth a word"
        assert found.shifts[1 - side].index is None
        assert sum(found.now) == pytest.approx(1)
        for _ in range(60):
            make_prediction(make_study(), 0.99)
        assert scores().shifts[side].words == shift.LARGE

    def test_percentiles_stand_for_all_training_images(self, learnt, read):
        drawn = np.random.default_rng(0).beta(2, 5, 5000)
        learnt(drawn)
        found = scores().shifts[0]
        assert found.images == 5000
        assert found.index == pytest.approx(
            shift.stability(drawn, np.repeat(np.linspace(0, 1, 30), 2)), rel=0.1
        )
        shares = np.histogram(drawn, shift.BINS, (0, 1))[0] / 5000
        assert found.shares == pytest.approx(shares, abs=0.02)

    @pytest.mark.parametrize(
        "told",
        [
            [],
            {},
            {"images": 60},
            {"images": 60, "percentiles": []},
            {"images": 60, "percentiles": [0.5, 7]},
            {"images": "many", "percentiles": [0.5]},
            {"images": 60, "percentiles": [None]},
        ],
    )
    def test_a_card_that_tells_nonsense_is_not_measured(self, told):
        model = make_prediction().model
        ModelVersion.objects.filter(pk=model.pk).update(card={"training_scores": told})
        assert "does not tell" in scores().shifts[0].trouble

    def test_only_what_the_model_in_service_says_now_counts(self):
        other = make_model("other", stage="candidate")
        make_prediction(model=other)
        make_prediction(superseded_at=timezone.now())
        make_prediction(created=ago(days=60))
        assert scores().count == 0
