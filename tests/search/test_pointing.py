"""Peaks against marked boxes, on frames small enough to see through."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from inference.artifact import Spec
from inference.explain import gradcam
from inference.networks import Arch
from inference.preprocess import Recipe
from search import pointing
from search.data import Example

RECIPE = Recipe(width=64, height=96, polarity="none", split=False, align=False)
SPEC = Spec("bright", Arch("rx"), RECIPE, "alo", threshold=0.5)


class Brightness(nn.Module):
    """The more light, the more fracture: every map is the picture itself."""

    origin, stride, channels = 8.0, 16, 1

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.AvgPool2d(16))
        self.gradcam_layer = self.features
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return self.head(self.features(x))


def example(folder, name, spot, boxes, label=1):
    pixels = np.zeros((96, 64), np.uint8)
    cv2.circle(pixels, spot, 6, 255, -1)
    cv2.imwrite(str(folder / name), pixels)
    return Example(folder / name, label, name, name, boxes=boxes)


@pytest.mark.parametrize(
    ("peak", "expected"),
    [
        ((25, 30), (True, True)),
        ((29.5, 30), (True, True)),  # a tenth of the longer side beyond the edge
        ((30.5, 30), (False, True)),  # 3 % of a frame of 100
        ((40, 30), (False, False)),
        (None, (False, False)),
    ],
)
def test_a_peak_hits_a_box_or_is_near_one(tmp_path, peak, expected):
    found = Example(tmp_path, 1, "s", "p", boxes=((20, 20, 8, 20),))
    assert pointing.hits(peak, found, (100, 60)) == expected


def test_shares_count_the_images_and_those_that_are_flagged(tmp_path):
    torch.manual_seed(0)
    on = example(tmp_path, "on.png", (24, 40), ((14, 30, 20, 20),))
    off = example(tmp_path, "off.png", (24, 40), ((40, 70, 10, 10),))
    by = {"gradcam": pointing.methods(SPEC)["gradcam"]}
    shares = pointing.played(Brightness(), SPEC, [on, off], by)["gradcam"]
    assert (shares["hits"], shares["near"]) == (0.5, 0.5)
    # The frame is normalised: a small spot on black is below the threshold.
    strict = pointing.Case(Brightness(), SPEC, on)
    assert shares["flagged"] == 2 * strict.flagged


def test_who_has_no_marked_fracture_does_not_play(tmp_path):
    sound = example(tmp_path, "a.png", (24, 40), (), label=0)
    unmarked = example(tmp_path, "b.png", (24, 40), ())
    assert pointing.marked([sound, unmarked]) == []
    said = pointing.card(Brightness(), SPEC, [sound, unmarked])
    assert said == {
        "images": 0,
        "reading": "Not measured: no image has a marked fracture.",
    }


def test_a_card_tells_which_images_each_method_hits(tmp_path, monkeypatch):
    by = {"lrp": lambda *_: -torch.ones(1, 96, 64), "gradcam": gradcam}
    monkeypatch.setattr(pointing, "methods", lambda _: by)
    on = example(tmp_path, "on.png", (24, 40), ((14, 30, 20, 20),))
    off = example(tmp_path, "off.png", (24, 40), ((40, 70, 10, 10),))
    told = pointing.card(Brightness(), SPEC, [on, off])
    assert told["hit_by"] == {"on.png": ["gradcam"], "off.png": []}
    assert (told["lrp"]["hits"], told["gradcam"]["hits"]) == (0.0, 0.5)


def test_chance_is_what_the_middle_and_what_anywhere_would_reach(tmp_path):
    centred = example(tmp_path, "c.png", (5, 5), ((22, 38, 20, 20),))
    aside = example(tmp_path, "d.png", (5, 5), ((0, 0, 10, 10),))
    found = pointing.chance([centred, aside])
    assert found["near_middle"] == 0.5
    wider = 0.06 * 96
    areas = [(20 + wider) ** 2 / 96 / 64, (10 + wider) ** 2 / 96 / 64]
    assert found["near_anywhere"] == pytest.approx(np.mean(areas), abs=1e-4)


@pytest.mark.parametrize(
    ("gamma", "other", "expected"),
    [
        ((0.5, 0.9), (0.6, 0.7), "alpha1beta0"),  # in the boxes counts first
        ((0.5, 0.6), (0.5, 0.7), "alpha1beta0"),  # then near them
        ((0.5, 0.7), (0.5, 0.7), "gamma"),
    ],
)
def test_the_rules_that_hit_the_boxes_are_shown(monkeypatch, gamma, other, expected):
    told = {"gamma": gamma, "alpha1beta0": other}
    shares = {n: dict(zip(("hits", "near"), s, strict=True)) for n, s in told.items()}
    monkeypatch.setattr(pointing, "played", lambda *_: shares)
    assert pointing.chosen(Brightness(), SPEC, []) == expected
