"""A training in stages: resumable, replayable, guided by marked fractures."""

from dataclasses import replace
from math import cos, pi

import numpy as np
import pytest
import torch

from inference.networks import Arch
from inference.preprocess import Recipe
from search import train
from search.checkpoint import CHECKPOINT
from search.samples import Samples, batches
from search.train import Material, fit
from search.trainee import Plan, Progress, Stage, Trainee

TINY = Arch(
    "rx",
    (
        ("batch_norm", True),
        ("dropout", 0.1),
        ("grid", (2, 1)),
        ("hidden", (8,)),
        ("widths", (4, 8, 8, 16)),
    ),
)
STAGES = (Stage(2, 0.75, True, 3e-3), Stage(2, 1.0, False, 1e-3))
PLAN = Plan(TINY, STAGES, Recipe(width=64, height=96), batch=8)


def made(count, seed):
    """Noise; a bright bar where it is "broken"."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 80, (count, 96, 64)).astype(np.uint8)
    labels = np.arange(count) % 2
    boxes = []
    for image, label in zip(pixels, labels):
        x, y = rng.integers(8, 40), rng.integers(8, 70)
        if label:
            image[y : y + 16, x : x + 16] = 250
        boxes.append(np.array([[x, y, x + 16, y + 16]] * label, np.float32))
    boxes = tuple(b.reshape(-1, 4) for b in boxes)
    return Samples(pixels, labels, np.arange(count), boxes)


@pytest.fixture(scope="module")
def material():
    return Material(made(32, 0), made(16, 1), made(16, 2))


def weights(progress):
    return {name: value.numpy() for name, value in progress.best.items()}


def same(one, two):
    return all(np.array_equal(one[name], two[name]) for name in one)


def test_the_same_seed_gives_the_same_weights(material, tmp_path):
    one = fit(PLAN, material, tmp_path / "one")
    two = fit(PLAN, material, tmp_path / "two")
    other = fit(replace(PLAN, seed=1), material, tmp_path / "other")
    assert one.history == two.history
    assert same(weights(one), weights(two))
    assert not same(weights(one), weights(other))


@pytest.mark.parametrize(
    ("after", "optimizer"), [(1, "adamw"), (2, "adamw"), (3, "adamw"), (2, "sgd")]
)
def test_interrupted_after_any_epoch_it_goes_on_as_if_it_had_not(
    material, tmp_path, monkeypatch, after, optimizer
):
    plan = replace(PLAN, optimizer=optimizer)
    whole = fit(plan, material, tmp_path / "whole")
    save, saved = Trainee.save, []

    def save_then_stop(self, *args):
        save(self, *args)
        saved.append(args)
        if len(saved) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainee, "save", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        fit(plan, material, tmp_path / "halves")
    assert (tmp_path / "halves" / CHECKPOINT).exists()
    before = Trainee(plan).resume(tmp_path / "halves" / CHECKPOINT).seconds
    resumed = fit(plan, material, tmp_path / "halves")
    assert resumed.seconds > before > 0
    assert resumed.history == whole.history
    assert same(weights(resumed), weights(whole))


def test_a_finished_training_is_not_trained_again(material, tmp_path):
    first = fit(PLAN, material, tmp_path)
    before = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    assert same(weights(fit(PLAN, material, tmp_path)), weights(first))
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == before


def test_a_checkpoint_of_another_plan_is_refused(material, tmp_path):
    fit(PLAN, material, tmp_path)
    with pytest.raises(ValueError, match="another plan"):
        fit(replace(PLAN, batch=4), material, tmp_path)


def test_the_rate_climbs_to_its_peak_and_falls_along_a_cosine(
    material, tmp_path, monkeypatch
):
    """Two epochs of four steps, the first sixth of which climbs."""
    learn, rates = Trainee.learn, []

    def watched(self, batch, rate):
        rates.append(rate)
        return learn(self, batch, rate)

    monkeypatch.setattr(Trainee, "learn", watched)
    fit(replace(PLAN, stages=(Stage(2, 1.0, True, 1e-3),)), material, tmp_path)
    falling = [(step / 8 - 0.15) / 0.85 for step in range(2, 8)]
    expected = [0.04, 0.04 + 0.96 * 0.125 / 0.15]
    expected += [(1 + cos(pi * done)) / 2 for done in falling]
    assert rates == pytest.approx([1e-3 * share for share in expected])
    assert train.height(0.15) == 1.0


def test_only_the_last_stage_is_eligible(material, tmp_path):
    progress = fit(PLAN, material, tmp_path)
    assert [entry["eligible"] for entry in progress.history] == [False] * 2 + [True] * 2
    assert len(progress.history) == 4


def test_it_learns_what_a_bright_bar_means(material, tmp_path):
    stages = (Stage(12, 1.0, True, 1e-2),)
    progress = fit(replace(PLAN, stages=stages, ema=0.8), material, tmp_path)
    assert max(entry["auroc"] for entry in progress.history) > 0.9


def test_random_numbers_of_others_are_left_alone(material, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(PLAN, material, tmp_path)
    assert torch.equal(torch.rand(3), expected)


class Enough(Exception):
    pass


def test_who_watches_is_told_of_every_step_and_may_end_it(material, tmp_path):
    told = []
    whole = fit(
        PLAN,
        material,
        tmp_path / "whole",
        tell=lambda history, done: told.append((len(history), done)),
    )
    # 32 samples of everything, then 16 of ours, 8 a batch.
    steps = [0.25, 0.5, 0.75, 1, 1, 1.25, 1.5, 1.75, 2, 2, 2.5, 3, 3, 3.5, 4, 4]
    assert [done for _, done in told] == steps
    assert [known for known, _ in told][3:5] == [0, 1]

    def stop(history, done):
        if done > 2:
            raise Enough

    with pytest.raises(Enough):
        fit(PLAN, material, tmp_path / "halves", tell=stop)
    assert len(Trainee(PLAN).resume(tmp_path / "halves" / CHECKPOINT).history) == 2
    resumed = fit(PLAN, material, tmp_path / "halves")
    assert same(weights(resumed), weights(whole))


def test_a_weight_goes_with_its_sample(material):
    chosen = np.array([5, 2])
    counted = replace(material.ours, weights=np.arange(16, dtype=np.float32))
    assert counted.of(chosen).weights.tolist() == [5, 2]
    assert counted.scaled(0.5).weights.tolist() == counted.weights.tolist()
    (batch,) = batches(counted, chosen, 2, np.random.default_rng(0))
    assert batch.weights.tolist() == [5, 2]


def scored(*scores):
    """A progress whose eligible epochs scored so."""
    eligible = [{"study_auroc": score, "eligible": True} for score in scores]
    return Progress([{"study_auroc": 0.99, "eligible": False}, *eligible])


@pytest.mark.parametrize(
    ("scores", "patience", "stale"),
    [
        ((0.6, 0.7, 0.65), 1, True),
        ((0.6, 0.7, 0.65), 2, False),
        ((0.6, 0.7, 0.65, 0.7), 2, True),  # as good is not better
        ((0.6, 0.7), 1, False),
        ((), 1, False),
        ((0.6, 0.5, 0.5), 0, False),
    ],
)
def test_a_training_is_stale_once_its_patience_is_at_an_end(scores, patience, stale):
    assert scored(*scores).stale(patience) == stale


def test_it_ends_early_and_stays_ended(material, tmp_path):
    """At a rate of nothing no epoch is better than the first."""
    stages = (Stage(9, 1.0, True, 0.0),)
    plan = replace(PLAN, stages=stages, patience=3)
    first = fit(plan, material, tmp_path)
    assert len(first.history) == 4
    assert fit(plan, material, tmp_path).history == first.history


@pytest.mark.parametrize(("patience", "result"), [(3, 1), (0, 2)])
def test_with_patience_the_best_epoch_by_studies_counts_else_the_last(
    material, tmp_path, monkeypatch, patience, result
):
    told = iter([(0.9, 0.5), (0.8, 0.7), (0.7, 0.6)])
    kept = []

    def scores(samples, logits):
        return dict(zip(("auroc", "study_auroc"), next(told)))

    def save(self, folder, progress):
        kept.append(weights(progress))

    monkeypatch.setattr(train, "_scores", scores)
    monkeypatch.setattr(Trainee, "save", save)
    plan = replace(PLAN, stages=(Stage(3, 1.0, True, 1e-3),), patience=patience)
    last = fit(plan, material, tmp_path)
    assert not same(kept[0], kept[1])
    assert same(weights(last), kept[result])
    assert same(kept[1], kept[2]) == (result == 1)


def test_a_study_is_as_suspicious_as_its_most_suspicious_view(material):
    views = replace(
        material.validation.of(np.arange(4)),
        labels=np.array([1, 0, 0, 0]),
        studies=np.array([7, 7, 2, 2]),
    )
    logits = np.array([-1.0, 2.0, 1.0, -3.0], np.float32)
    assert train._scores(views, logits) == pytest.approx(
        {"auroc": 1 / 3, "study_auroc": 1.0}
    )
    apart = replace(views, studies=None)
    assert train._scores(apart, logits)["study_auroc"] == pytest.approx(1 / 3)


def test_a_study_goes_with_its_view(material):
    known = replace(material.ours, studies=np.arange(16) // 2)
    assert known.of(np.array([5, 2])).studies.tolist() == [2, 1]
    assert known.scaled(0.5).studies.tolist() == known.studies.tolist()


def test_views_turn_negative_as_often_as_asked(material):
    def drawn(invert):
        rng = np.random.default_rng(0)
        return next(batches(material.ours, np.arange(16), 16, rng, invert)).images

    plain, turned = drawn(0.0), drawn(1.0)
    assert np.allclose(turned, 1 - plain)
    some = np.array([not np.allclose(a, b) for a, b in zip(plain, drawn(0.5))])
    assert 2 <= some.sum() <= 14


def test_nobody_to_judge_by_is_said_in_words(material):
    nobody = material.validation.of(np.zeros(16, bool))
    with pytest.raises(ValueError, match="None of the radiographs"):
        train.predict(None, nobody, PLAN.recipe)


EXPLODING = replace(PLAN, stages=(Stage(3, 1.0, True, 1e30),), optimizer="sgd")


def test_a_training_that_diverges_ends_in_words_and_keeps_nothing_of_it(
    material, tmp_path
):
    told = []
    with pytest.raises(ValueError, match=r"diverged in epoch 1: its loss is nan\."):
        fit(EXPLODING, material, tmp_path, tell=lambda *now: told.append(now))
    assert not (tmp_path / CHECKPOINT).exists()
    assert not any(history for history, _ in told)


def test_so_does_one_whose_loss_is_a_number_and_whose_answers_are_none(
    material, tmp_path, monkeypatch
):
    def predict(network, samples, recipe):
        return np.array([np.nan] + [0.0] * (len(samples) - 1), np.float32)

    monkeypatch.setattr(train, "predict", predict)
    with pytest.raises(ValueError, match=r"epoch 1: not every .* a finite score\."):
        fit(PLAN, material, tmp_path)
