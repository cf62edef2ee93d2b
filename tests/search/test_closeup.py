"""Whoever looks at patches and whoever looks at whole views, by the same fractures."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from inference.networks import ARCHS, Arch, build
from inference.preprocess import Recipe, View
from search import aufroc, closeup
from search.candidate import Tried
from search.closeup import compared, suspected, within
from search.example import Example
from search.patches import Patches
from search.samples import Samples
from search.train import predict
from tests.search import specks
from tests.search.test_proposals import model

RECIPE = Recipe(width=32, height=32, mean=0.3, std=0.25)
MARK, BESIDE = (10.0, 20.0, 8.0, 8.0), (2.0, 2.0, 8.0, 8.0)


@pytest.fixture
def test_side(tmp_path):
    """Twenty patients with an image each, every second one with a mark; two patches."""
    rng, found = np.random.default_rng(0), []
    for number in range(20):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), specks.image(rng, speck=False))
        marks = (MARK,) * (number % 2)
        found.append(Example(path, number % 2, *[str(number)] * 2, boxes=marks))
    owners = np.repeat(np.arange(20), 2)
    overlaps = np.tile([0.0, 0.0, 1.0, 0.0], 10)
    pixels = rng.integers(0, 255, (40, 32, 32)).astype(np.uint8)
    none = (np.zeros((0, 4), np.float32),) * 40
    samples = Samples(pixels, (overlaps > 0.5).astype(int), owners, none)
    boxes = np.array([MARK, BESIDE] * 20)
    return Patches(tuple(found), samples, boxes, np.full(40, 0.5), overlaps)


@pytest.fixture
def tried():
    torch.manual_seed(0)
    arch = Arch("resnet18", (("width", 16),))
    costs = {"parameters": 7, "madds": 8}
    return Tried(arch, {}, build(arch).state_dict(), [], costs)


def view(pixels, affine):
    return View(pixels, np.array(affine, float), False, "")


def test_the_mean_inside_a_box_counts_on_whichever_view_shows_it():
    """A frame twice as large as its views; the second one is turned by a quarter."""
    body = np.full((60, 50), 9, np.uint8)
    plain = view(body, [[0.5, 0, 0], [0, 0.5, 0]])
    turned = view(body, [[0, -0.5, 49.5], [0.5, 0, -60]])
    low, high = np.zeros((60, 50), np.float32), np.zeros((60, 50), np.float32)
    low[15:25, 5:15], low[45:55, 5:15] = 0.4, 0.9  # frame (10..30, 30..50), (.., 90..)
    high[10:20, 25:35] = 0.7  # frame (140..160, 29..49)
    seen = [(plain, low), (turned, high)]
    assert within((12, 32, 12, 12), seen) == pytest.approx(0.4)
    assert within((12, 92, 12, 12), seen) == pytest.approx(0.9)
    assert within((144, 34, 10, 10), seen) == pytest.approx(0.7)
    assert within((0, 20, 40, 40), seen) == pytest.approx(0.4 / 4, rel=0.1)
    assert within((60, 60, 8, 8), seen) == 0
    assert within((500, 500, 8, 8), seen) == within(MARK, []) == 0


def test_a_box_on_a_place_counts_more_than_one_that_just_holds_it():
    spots = np.zeros((60, 50), np.float32)
    spots[cv2.circle(np.zeros((60, 50), np.uint8), (25, 30), 6, 1, -1) == 1] = 0.8
    seen = [(view(np.full((60, 50), 9, np.uint8), np.eye(2, 3)), spots)]
    assert within((20, 25, 10, 10), seen) > within((15, 20, 12, 12), seen) > 0


def test_what_is_no_part_of_a_limb_is_not_suspected():
    pixels = np.zeros((60, 50), np.uint8)
    spots = np.full((60, 50), 0.9, np.float32)
    assert within((10, 10, 8, 8), [(view(pixels, np.eye(2, 3)), spots)]) == 0


def test_each_patch_is_scored_on_its_own_image(test_side, tmp_path, monkeypatch):
    asked = []

    def looked(folder, found):
        asked.append((folder, found))
        for number, _ in enumerate(found):
            spots = np.zeros((48, 32), np.float32)
            spots[20:28, 10:18] = number / 100  # the first patch's box
            yield [(view(np.full((48, 32), 9, np.uint8), np.eye(2, 3)), spots)]

    monkeypatch.setattr(closeup, "looked", looked)
    scores = suspected(tmp_path, test_side).reshape(20, 2)
    assert asked == [(tmp_path, test_side.examples)]
    assert scores[:, 0] == pytest.approx(np.arange(20) / 100)
    assert not scores[:, 1].any()


def test_both_are_judged_by_the_same_fractures_of_the_same_patients(
    test_side, tried, tmp_path, monkeypatch
):
    """The model finds every fracture, the network what it can."""
    right = test_side.samples.labels.astype(float)
    monkeypatch.setattr(closeup, "suspected", lambda *_: right)
    told = compared(test_side, tried, RECIPE, tmp_path)
    assert told["incumbent"]["area"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    network = build(tried.arch).eval()
    network.load_state_dict(tried.weights)
    logits = predict(network, test_side.samples, RECIPE)
    assert told["candidate"]["area"]["value"] == pytest.approx(test_side.area(logits))
    expected = aufroc.areas(test_side.judged(logits), groups=test_side.patients)
    low, high = np.quantile(expected[1:] - 1, (0.05, 0.95))
    less = told["difference"]
    assert (less["low"], less["high"]) == pytest.approx((low, high))
    assert less["value"] == pytest.approx(expected[0] - 1)
    assert {told[who]["fractures"] for who in ("candidate", "incumbent")} == {10}


def test_where_nobody_is_in_service_the_network_stands_alone(test_side, tried):
    told = compared(test_side, tried, RECIPE, None)
    assert list(told) == ["candidate"]
    assert (told["candidate"]["parameters"], told["candidate"]["madds"]) == (7, 8)


def test_a_real_model_says_of_every_patch_how_much_it_suspects(test_side, tmp_path):
    model(tmp_path / "model", ARCHS["squeezenet"])
    Path(test_side.examples[3].image).write_bytes(b"damaged since")
    scores = suspected(tmp_path / "model", test_side)
    assert ((scores >= 0) & (scores <= 1)).all() and scores.any()
    assert not scores[6:8].any()
