from collections import Counter
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch

from inference.artifact import Spec
from inference.calibrate import probability
from inference.doubt import Limits
from inference.networks import Arch, build
from inference.phantom import phantom
from inference.preprocess import Recipe, views
from inference.reader import Reader, Source
from search import calibration
from search.calibration import (
    abstentions,
    cautious,
    coverage,
    familiar,
    reliability,
)
from search.card import Judged
from search.data import Example
from search.samples import Samples, prepare
from search.train import predict
from tests.inference import tiny

RECIPE = Recipe(width=64, height=96, polarity="none", split=False, align=False)
SPEC = Spec("x", Arch("resnet18", (("width", 16),)), RECIPE, "alo", threshold=0.3)


def judged(labels, logits, tmp_path=None):
    found = [
        Example(tmp_path, int(label), str(i), str(i)) for i, label in enumerate(labels)
    ]
    return Judged(found, np.asarray(logits, float))


def samples(seeds, owners=None):
    pixels = [(phantom(n, rows=128, columns=100).pixels >> 4) for n in seeds]
    drawn = np.stack([views(p.astype(np.uint8), RECIPE)[0].pixels for p in pixels])
    owners = np.arange(len(drawn)) if owners is None else np.array(owners)
    return Samples(drawn, np.zeros(len(drawn), int), owners, ())


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return build(SPEC.arch).eval()


class TestReliability:
    def test_perfect_probabilities_have_no_error(self):
        scores = np.repeat([0.25, 0.75], 400)
        labels = np.concatenate([np.arange(400) < 100, np.arange(400) < 300])
        found = reliability(labels.astype(int), scores)
        assert found["ece"] == pytest.approx(0)
        told = found["bins"][2]
        assert (told["low"], told["high"], told["count"]) == (0.2, 0.3, 400)
        assert (told["mean_probability"], told["fractured"]) == (0.25, 100)

    def test_the_error_is_the_gap_weighted_by_images(self):
        scores = np.array([0.95] * 3 + [0.05])
        found = reliability(np.array([1, 0, 0, 0]), scores)
        assert found["ece"] == pytest.approx((3 * abs(0.95 - 1 / 3) + 0.05) / 4)

    def test_every_image_is_in_one_bin_even_at_the_ends(self):
        found = reliability(np.array([0, 1, 1]), np.array([0.0, 1.0, 0.1]))
        assert sum(b["count"] for b in found["bins"]) == 3
        assert found["bins"][-1]["count"] == 1 and found["bins"][5]["count"] == 0
        assert found["bins"][5]["mean_probability"] is None

    def test_the_temperature_is_seen_in_it(self):
        rng = np.random.default_rng(0)
        chances = rng.uniform(0.05, 0.95, 4000)
        labels = (rng.random(4000) < chances).astype(int)
        over = 3 * np.log(chances / (1 - chances))  # three times too sure
        found = calibration.calibration(
            judged(labels, over), replace(SPEC, temperature=3)
        )
        assert found["ece"] < 0.03 < found["ece_without_temperature"]


def test_leaving_out_what_is_near_the_threshold_leaves_fewer_errors():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 2000)
    labels = (rng.random(2000) < probability(logits, 1.0)).astype(int)
    spec = replace(SPEC, threshold=0.5)
    curve = coverage(judged(labels, logits), spec)
    assert [row["coverage"] for row in curve] == [
        1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5,
    ]  # fmt: skip
    wrong = np.mean((logits >= 0) != labels)
    assert curve[0]["error"] == pytest.approx(wrong)
    assert curve[-1]["error"] < 0.5 * wrong


def test_coverage_is_about_the_models_own_threshold():
    # Wrong only right around the threshold, which is far from one half.
    threshold = float(probability(np.array([-2.0]), 1.0)[0])
    logits = np.array([-2.1, -1.9, 3.0, 4.0, -5.0, -6.0])
    curve = coverage(
        judged([1, 0, 1, 1, 0, 0], logits), replace(SPEC, threshold=threshold)
    )
    assert curve[0]["error"] == pytest.approx(2 / 6)
    assert curve[-1]["error"] == 0


class TestFamiliar:
    def test_the_training_is_near_and_noise_is_far(self):
        rng = np.random.default_rng(2)
        mixing = rng.normal(size=(8, 8))
        known = familiar(rng.normal(size=(500, 8)) @ mixing + 5)
        near = known.distance(rng.normal(size=(500, 8)) @ mixing + 5)
        assert near.mean() == pytest.approx(1, abs=0.2)
        assert known.distance(np.zeros((1, 8)))[0] > near.max()

    def test_a_channel_that_never_speaks_does_no_harm(self):
        features = np.random.default_rng(3).normal(size=(50, 4))
        features[:, 2] = 0
        assert np.isfinite(familiar(features).distance(features)).all()


class TestCautious:
    def test_limits_let_nearly_all_of_validation_through(self, network):
        training, validation = samples(range(30)), samples(range(30, 50))
        spec, known, _ = cautious(network, SPEC, training, validation)
        assert spec.limits.contrast > 0 and spec.limits.sharpness > 0
        assert spec.limits.unlike > 0
        found = abstentions(network, spec, known, validation)
        assert found["images"] == 20
        assert found["poor_quality"] + found["unlike_training"] <= 2

    def test_strangers_are_turned_away_each_for_its_reason(self, network):
        training, validation = samples(range(30)), samples(range(30, 50))
        spec, known, _ = cautious(network, SPEC, training, validation)
        flat = np.where(validation.pixels > 0, 90, 0).astype(np.uint8)
        found = abstentions(network, spec, known, replace(validation, pixels=flat))
        assert found["poor_quality"] == 20
        noise = np.random.default_rng(4).integers(0, 256, validation.pixels.shape)
        noisy = replace(validation, pixels=noise.astype(np.uint8))
        assert abstentions(network, spec, known, noisy)["unlike_training"] == 20

    def test_what_it_says_of_its_training_images_is_kept_as_percentiles(self, network):
        """Image by image: as suspicious as the more suspicious of its views."""
        training = samples(range(30), np.repeat(range(15), 2))
        _, _, scores = cautious(network, SPEC, training, samples(range(30, 50)))
        logits = predict(network, training, SPEC.recipe).reshape(15, 2).max(1)
        chances = probability(logits, SPEC.temperature)
        assert scores["images"] == 15
        assert scores["percentiles"][::50] == pytest.approx(
            np.quantile(chances, [0, 0.5, 1]), abs=2e-3
        )

    def test_an_image_counts_once_and_one_good_view_saves_it(self, network):
        training, validation = samples(range(30)), samples(range(30, 34), [0, 0, 1, 1])
        spec, known, _ = cautious(network, SPEC, training, samples(range(30, 50)))
        half = validation.pixels.copy()
        half[1] = half[3] = 0
        spec = replace(spec, limits=replace(spec.limits, unlike=0.0))
        found = abstentions(network, spec, known, replace(validation, pixels=half))
        assert (found["images"], found["poor_quality"]) == (2, 0)

    def test_the_uncertain_are_counted_and_kept_as_they_were_asked_for(self, network):
        asked = replace(SPEC, limits=Limits(uncertain_from=0.0, uncertain_to=1.0))
        training, validation = samples(range(30)), samples(range(30, 50))
        spec, known, _ = cautious(network, asked, training, validation)
        assert (spec.limits.uncertain_from, spec.limits.uncertain_to) == (0, 1)
        found = abstentions(network, spec, known, validation)
        assert sum(found.values()) == 40  # each image, and its reason

    def test_those_are_counted_of_whom_the_reader_says_nothing(self, tmp_path):
        """Two radiographs, and one that is out of focus."""
        pictures = [(phantom(seed).pixels >> 4).astype(np.uint8) for seed in range(3)]
        pictures[2] = cv2.GaussianBlur(pictures[2], (0, 0), 8)
        files = [tmp_path / f"{i}.png" for i in range(3)]
        for file, pixels in zip(files, pictures):
            cv2.imwrite(str(file), pixels)
        found = [Example(f, 0, f.name, f.name, part="wrist") for f in files]
        looks, _ = prepare(found, tiny.SPEC.recipe, tmp_path / "work")
        network, blurred = tiny.network(), Limits(sharpness=0.01)
        for limits in blurred, replace(blurred, uncertain_from=0.0, uncertain_to=1.0):
            spec = replace(tiny.SPEC, limits=limits)
            counts = abstentions(network, spec, None, looks)
            reader, said = Reader(spec, network), Counter()
            for file in files:
                source = Source(file.name, partial(file.open, "rb"))
                said[reader.read([source], "upper_limb").code] += 1
            assert counts["poor_quality"] == 1
            for code in "poor_quality", "unlike_training", "uncertain":
                assert counts[code] == said[code]
