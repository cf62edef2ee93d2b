"""Phantoms to learn from."""

import numpy as np

from inference.preprocess import Recipe
from search.phantoms import phantoms

RECIPE = Recipe(width=64, height=96)


def test_half_of_the_wrists_are_broken_and_every_break_is_marked():
    found = phantoms(6, RECIPE)
    assert found.pixels.shape == (12, 96, 64)
    assert np.bincount(found.studies).tolist() == [2] * 6
    broken = found.studies % 2 == 1
    assert (found.labels <= broken).all()
    assert found.labels.sum() >= 4  # a break may lie beside the view
    for label, boxes in zip(found.labels, found.boxes, strict=True):
        assert (len(boxes) > 0) == bool(label)
        assert ((boxes[:, :2] < (64, 96)) & (boxes[:, 2:] > 0)).all()


def test_the_same_seeds_give_the_same_wrists_and_others_give_others():
    one, two, other = phantoms(2, RECIPE), phantoms(2, RECIPE), phantoms(2, RECIPE, 2)
    assert np.array_equal(one.pixels, two.pixels)
    assert not np.array_equal(one.pixels, other.pixels)
