import numpy as np
import pytest

from inference.calibrate import probability


def test_a_logit_of_zero_is_an_even_chance():
    assert probability(np.zeros(3), 2.0).tolist() == [0.5, 0.5, 0.5]


def test_it_is_the_sigmoid():
    logits = np.linspace(-8, 8, 33)
    np.testing.assert_allclose(probability(logits, 1.0), 1 / (1 + np.exp(-logits)))


def test_a_higher_temperature_is_less_sure():
    assert (
        0.5 < probability(np.array([2.0]), 3.0)[0] < probability(np.array([2.0]), 1)[0]
    )


@pytest.mark.filterwarnings("error")
def test_huge_logits_stay_probabilities():
    assert probability(np.array([-1e4, 1e4], np.float32), 1.0).tolist() == [0.0, 1.0]
