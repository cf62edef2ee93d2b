import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.aggregate import (
    AGGREGATIONS,
    Learned,
    alo,
    majority,
    mean,
    noisy_or,
)

chances = st.floats(0, 1)
studies = st.lists(chances, min_size=1, max_size=9)


@pytest.mark.parametrize("aggregate", AGGREGATIONS.values(), ids=AGGREGATIONS)
class TestEveryAggregation:
    """What the reader relies on, whatever the rule."""

    @given(studies, chances)
    def test_the_most_suspicious_image_votes_for_a_flag(
        self, aggregate, images, threshold
    ):
        evidence = aggregate(images, threshold)
        if evidence.probability >= threshold:
            assert max(images) in [images[i] for i in evidence.voted]
        assert evidence.voted
        assert 0 <= evidence.probability <= 1

    @given(studies, chances, chances)
    def test_the_probability_does_not_depend_on_the_threshold(
        self, aggregate, images, one, other
    ):
        assert aggregate(images, one)[0] == aggregate(images, other)[0]

    @given(studies)
    def test_the_order_of_the_images_does_not_matter(self, aggregate, images):
        turned = aggregate(images[::-1], 0.5)
        assert turned.probability == aggregate(images, 0.5).probability

    @given(chances, chances)
    def test_a_single_image_is_the_study(self, aggregate, image, threshold):
        chance, voted = aggregate([image], threshold)
        assert (chance, voted) == (pytest.approx(image, abs=1e-15), (0,))


@pytest.mark.parametrize("aggregate", [alo, majority], ids=["alo", "majority"])
@given(images=studies, threshold=chances)
def test_the_probability_is_that_of_an_image_that_voted(aggregate, images, threshold):
    evidence = aggregate(images, threshold)
    assert evidence.probability in [images[i] for i in evidence.voted]


@pytest.mark.parametrize("aggregate", [alo, majority], ids=["alo", "majority"])
@given(images=studies, threshold=chances)
def test_voters_stand_on_the_side_of_the_decision(aggregate, images, threshold):
    evidence = aggregate(images, threshold)
    flagged = evidence.probability >= threshold
    assert all((images[i] >= threshold) == flagged for i in evidence.voted)


def test_images_may_flag_together_what_none_flags_alone():
    evidence = noisy_or([0.4, 0.3], 0.5)
    assert evidence == (pytest.approx(1 - 0.6 * 0.7), (0,))


def test_the_mean_is_voted_for_by_its_own_side():
    assert mean([0.9, 0.8, 0.1], 0.5) == (pytest.approx(0.6), (0, 1))
    assert mean([0.9, 0.1, 0.1], 0.5) == (pytest.approx(1.1 / 3), (1, 2))


@given(studies, chances)
def test_at_least_one_positive_image_flags_the_study(images, threshold):
    flagged = alo(images, threshold).probability >= threshold
    assert flagged == any(p >= threshold for p in images)


@given(studies, chances)
def test_more_than_half_of_the_images_are_needed_for_a_majority(images, threshold):
    flagged = majority(images, threshold).probability >= threshold
    assert flagged == (sum(p >= threshold for p in images) > len(images) / 2)


@pytest.mark.parametrize(
    ("rule", "images", "probability", "voted"),
    [
        (alo, [0.1, 0.9, 0.6], 0.9, (1, 2)),
        (alo, [0.1, 0.4, 0.3], 0.4, (1,)),
        (majority, [0.1, 0.9, 0.6], 0.6, (1, 2)),
        (majority, [0.9, 0.2], 0.2, (1,)),
        (majority, [0.9, 0.8, 0.1, 0.2], 0.2, (2, 3)),
    ],
)
def test_who_voted_at_a_threshold_of_one_half(rule, images, probability, voted):
    assert rule(images, 0.5) == (probability, voted)


# --- Learned ---------------------------------------------------------------------

weights = st.floats(0, 5)
fitted = st.builds(Learned, weights, weights, st.floats(-5, 5), st.floats(-5, 5))


@given(fitted, studies, st.integers(0, 8), chances, chances)
def test_a_more_suspicious_image_never_calms_a_study(rule, images, i, one, other):
    low, high = sorted([one, other])
    rest = images[:i] + images[i + 1 :]
    before, after = (rule([*rest, p], 0.5).probability for p in (low, high))
    assert before <= after + 1e-12


@given(fitted, studies, chances)
def test_a_learned_rule_is_one_like_the_others(rule, images, threshold):
    evidence = rule(images, threshold)
    assert 0 <= evidence.probability <= 1
    assert {images[i] for i in evidence.voted} == {max(images)}
    assert rule(images[::-1], 0.1).probability == evidence.probability


@given(studies)
def test_of_the_largest_logit_alone_it_is_at_least_one(images):
    found = Learned(1.0, 0.0, 0.0, 0.0)(images, 0.5).probability
    assert found == pytest.approx(max(images), abs=1e-5)


def test_it_may_ask_for_more_where_there_are_more_images():
    rule = Learned(1.0, 0.0, -1.0, 0.0)
    assert rule([0.6, 0.6], 0.5).probability < rule([0.6], 0.5).probability


@pytest.mark.parametrize("wrong", [(-0.1, 1.0), (1.0, -0.1)])
def test_weights_that_would_turn_suspicion_around_are_refused(wrong):
    with pytest.raises(ValueError, match="less so"):
        Learned(*wrong, 0.0, 0.0)
