import time

import cv2
import numpy as np
import pytest

from inference.doubt import REASONS, Familiar, Limits, quality
from inference.phantom import phantom
from inference.preprocess import Recipe, views

FEW = np.zeros((96, 64), np.uint8)


@pytest.fixture(scope="module")
def view():
    pixels = (phantom(3).pixels >> 4).astype(np.uint8)
    return views(pixels, Recipe(width=171, height=256))[0].pixels


def blurred(view, sigma):
    return np.where(view > 0, cv2.GaussianBlur(view, (0, 0), sigma), 0).astype(np.uint8)


class TestQuality:
    def test_blur_takes_sharpness(self, view):
        found = [quality(blurred(view, sigma)).sharpness for sigma in (0.1, 1, 2, 4)]
        assert found == sorted(found, reverse=True)
        assert found[-1] < 0.5 * found[0]

    def test_a_fainter_picture_has_less_contrast_and_is_as_sharp(self, view):
        faint = np.where(view > 0, 100 + view * 0.4, 0).astype(np.uint8)
        assert quality(faint).contrast == pytest.approx(
            0.4 * quality(view).contrast, 0.1
        )
        assert quality(faint).sharpness == pytest.approx(quality(view).sharpness, 0.5)

    def test_an_empty_view_is_worth_nothing(self):
        assert quality(FEW) == quality(FEW + 0) and quality(FEW).contrast == 0

    def test_it_costs_less_than_five_milliseconds(self, view):
        large = cv2.resize(view, (341, 512))
        spent = []
        for _ in range(9):
            start = time.thread_time()
            quality(large)
            spent.append(1e3 * (time.thread_time() - start))
        assert min(spent) < 5


class TestLimits:
    def test_the_defaults_never_abstain(self, view):
        never = Limits()
        assert never.poor([FEW]) == never.poor([view]) == ""
        assert not never.strange(1e9)
        assert not any(never.undecided(p) for p in (0.0, 0.5, 1.0))

    def test_each_fault_is_told_in_its_own_words(self, view):
        good = quality(view)
        assert Limits(contrast=good.contrast + 0.01).poor([view]) == REASONS["contrast"]
        assert (
            Limits(sharpness=good.sharpness + 0.01).poor([view]) == REASONS["sharpness"]
        )
        assert Limits(good.contrast, good.sharpness).poor([view]) == ""

    def test_one_good_view_is_enough(self, view):
        limits = Limits(contrast=0.1, sharpness=0.01)
        assert limits.poor([FEW, view]) == limits.poor([view, FEW]) == ""
        assert limits.poor([FEW, FEW]) == REASONS["contrast"]

    def test_undecided_is_between_the_limits(self):
        limits = Limits(uncertain_from=0.3, uncertain_to=0.6)
        assert [limits.undecided(p) for p in (0.29, 0.3, 0.59, 0.6)] == [0, 1, 1, 0]

    def test_strange_is_beyond_the_limit(self):
        assert [Limits(unlike=1.5).strange(d) for d in (1.5, 1.51)] == [False, True]


def test_distance_is_measured_in_the_spread_of_the_training():
    known = Familiar(np.array([1.0, 2.0]), np.diag([1.0, 0.1]))  # spread 1 and 10
    found = known.distance(np.array([[1.0, 2.0], [3.0, 2.0], [1.0, 22.0]]))
    assert found == pytest.approx([0, np.sqrt(2), np.sqrt(2)])
