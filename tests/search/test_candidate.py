"""A candidate begins with what is cut out, learns as FractNet's did, and is judged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from inference.networks import build
from inference.preprocess import Recipe
from search import candidate
from search.candidate import Task, attempt, begun, plan
from search.evaluate import auroc
from search.example import Example
from search.patches import Patches
from search.samples import Samples
from search.spaces import SPACES
from search.spaces.ofa import SMALLEST
from search.supernet import Supernet
from search.train import Material, predict
from search.trainee import Trainee

RECIPE = Recipe(width=24, height=32, mean=0.3, std=0.25)


def made(count, seed):
    """Noise; a bright bar where it is "broken"."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 80, (count, 32, 24)).astype(np.uint8)
    labels = np.arange(count) % 2
    pixels[labels == 1, 8:24, 6:18] = 250
    none = tuple(np.zeros((0, 4), np.float32) for _ in range(count))
    return Samples(pixels, labels, np.arange(count), none)


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    supernet = Supernet(SPACES["ofa-1.0"], mean=0.1, std=0.5).eval()
    material = Material(made(16, 0), made(16, 0), made(8, 1))
    return Task("ofa-1.0", material, RECIPE, supernet, batch=8)


def test_it_learns_as_fractnets_candidates_did(task):
    chosen, _ = begun(replace(task, supernet=None), SMALLEST)
    asked = plan(replace(task, batch=Task.batch), chosen, candidate.EPOCHS)
    (stage,) = asked.stages
    assert (stage.epochs, stage.rate, stage.scale) == (5, 0.02, 1.0)
    assert (asked.optimizer, asked.batch, asked.decay) == ("sgd", 128, 1e-4)
    assert (asked.ema, asked.recipe) == (0.99, RECIPE)


def test_it_begins_with_the_supernets_weights_used_to_these_views(task):
    chosen, start = begun(task, SMALLEST)
    ours = task.supernet.weights(SMALLEST, RECIPE)
    assert start.keys() == ours.keys()
    for name, value in start.items():
        used = "running" in name or "tracked" in name
        assert used or torch.equal(value, ours[name]), name
    network = build(chosen).eval()
    network.load_state_dict(start)
    pixels = task.material.everything.pixels[:, None] / np.float32(255)
    views = (torch.from_numpy(pixels) - RECIPE.mean) / RECIPE.std
    with torch.no_grad():
        convolved = network.features[1][0](network.features[0](views))
    norm = network.features[1][1]
    expected = convolved.mean((0, 2, 3))
    assert torch.allclose(norm.running_mean, expected, rtol=1e-3, atol=1e-4)


def test_other_normalisation_is_made_up_for(task):
    """What the supernet saw as (grey - 0.1) / 0.5 comes as (grey - 0.3) / 0.25."""
    grey = torch.rand(2, 1, 32, 24)
    network = build(task.supernet.arch(SMALLEST)).eval()
    with torch.no_grad():
        network.load_state_dict(task.supernet.cut(SMALLEST))
        theirs = network.features[:2]((grey - 0.1) / 0.5)
        network.load_state_dict(task.supernet.weights(SMALLEST, RECIPE))
        ours = network.features[:2]((grey - 0.3) / 0.25)
    inside = (..., slice(1, None), slice(1, None))
    assert torch.allclose(ours[inside], theirs[inside], rtol=1e-3, atol=1e-4)


def test_it_is_trained_once_and_judged_by_the_weights_it_ends_with(task, tmp_path):
    told = []
    tried = attempt(
        task, SMALLEST, tmp_path, epochs=2, tell=lambda *it: told.append(it)
    )
    assert len(tried.history) == 2 and told[-1] == (1.0, 1.0)
    # Two batches and the epoch's end, twice.
    assert [kept for _, kept in told] == [0.0, 0.0, 0.5, 0.5, 0.5, 1.0]
    assert [done for done, _ in told] == [0.25, 0.5, 0.5, 0.75, 1.0, 1.0]
    assert tried.costs == {
        "parameters": SPACES["ofa-1.0"].parameters(SMALLEST),
        "madds": SPACES["ofa-1.0"].madds(SMALLEST, 32, 24),
    }
    network = build(tried.arch)
    network.load_state_dict(tried.weights)
    logits = predict(network.eval(), task.material.validation, RECIPE)
    assert tried.scores == {"auroc": auroc(task.material.validation.labels, logits)}
    built = sum(p.numel() for p in network.parameters() if isinstance(p, nn.Parameter))
    assert built == tried.costs["parameters"]
    told.clear()
    again = attempt(
        task, SMALLEST, tmp_path, epochs=2, tell=lambda *it: told.append(it)
    )
    assert again.history == tried.history and not told


def test_the_recipe_is_as_it_is_described(task, tmp_path, monkeypatch):
    """A climb over 15 %, then a cosine from 0.02; momentum, decay, a short leash."""
    rates, groups, norms = [], [], []
    learn, clip = Trainee.learn, nn.utils.clip_grad_norm_

    def learnt(self, batch, rate):
        rates.append(rate)
        groups.append(self.optimizer.param_groups[0])
        return learn(self, batch, rate)

    def clipped(weights, most):
        norms.append(most)
        return clip(weights, most)

    monkeypatch.setattr(Trainee, "learn", learnt)
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", clipped)
    attempt(replace(task, batch=4), SMALLEST, tmp_path, epochs=5)
    steps = len(rates)
    done = np.arange(steps) / steps
    climb = 0.02 * (0.04 + 0.96 * done / 0.15)
    fall = 0.01 * (1 + np.cos(np.pi * (done - 0.15) / 0.85))
    assert steps >= 20 and done[1] < 0.15
    assert rates == pytest.approx(np.where(done < 0.15, climb, fall).tolist())
    assert {(g["momentum"], g["weight_decay"]) for g in groups} == {(0.9, 1e-4)}
    assert set(norms) == {5.0} and len(norms) == steps


def test_a_supernet_of_another_width_is_refused_in_words(task):
    with pytest.raises(ValueError, match=r"width 1.0, candidates of ofa-1.2"):
        replace(task, space="ofa-1.2")


def test_of_patches_it_is_told_how_well_it_finds_fractures(task, tmp_path):
    """Every image has one patch, on its fracture where it has one."""
    seen = made(8, 1)
    mark = (0.0, 0.0, 9.0, 9.0)
    found = [
        Example(Path(f"{i}"), label, str(i), str(i), boxes=(mark,) * label)
        for i, label in enumerate(seen.labels.tolist())
    ]
    boxes, overlaps = np.array([mark] * 8), seen.labels.astype(float)
    proposed = Patches(tuple(found), seen, boxes, np.ones(8), overlaps)
    tried = attempt(replace(task, proposed=proposed), SMALLEST, tmp_path, epochs=2)
    network = build(tried.arch)
    network.load_state_dict(tried.weights)
    logits = predict(network.eval(), seen, RECIPE)
    assert tried.scores == {
        "auroc": auroc(seen.labels, logits),
        "aufroc": proposed.area(logits),
    }
