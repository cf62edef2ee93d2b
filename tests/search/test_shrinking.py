"""Progressive shrinking on a few tiny views: it learns, and survives being killed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.preprocess import Recipe
from search import shrinking
from search.samples import Samples, batches
from search.shrinking import PHASES, Phase, Plan, Pupil, shrink
from search.spaces.ofa import LARGEST, SMALLEST

WHOLE = Phase(1, 2e-3, depths=(4,), kernels=(7,), expansions=(6,))
PLAN = Plan(
    phases=(WHOLE, Phase(2, 1e-3, expansions=(4, 6))),
    recipe=Recipe(width=24, height=32, mean=0.2, std=0.2),
    batch=4,
    between=0,
)


def made(count):
    """Noise; a bright bar where it is "broken"."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 80, (count, 32, 24)).astype(np.uint8)
    labels = np.arange(count) % 2
    pixels[labels == 1, 8:24, 6:18] = 250
    none = tuple(np.zeros((0, 4), np.float32) for _ in range(count))
    return Samples(pixels, labels, np.arange(count), none)


SAMPLES = made(8)


def weights(pupil):
    assert not pupil.supernet.training
    state = pupil.supernet.state_dict()
    return {name: value.clone() for name, value in state.items()}


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


class Killed(Exception):
    pass


def killed(after):
    def tell(history):
        if len(history) == after:
            raise Killed

    return tell


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return weights(shrink(PLAN, SAMPLES, tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("after", [1, 2])
def test_a_killed_training_ends_in_the_same_weights(after, undisturbed, tmp_path):
    """After the first epoch a phase begins, and sorts; after the second it goes on."""
    with pytest.raises(Killed):
        shrink(PLAN, SAMPLES, tmp_path, killed(after))
    told = []
    again = shrink(PLAN, SAMPLES, tmp_path, lambda history: told.append(len(history)))
    assert told == list(range(after + 1, 4))
    assert same(undisturbed, weights(again))


def test_a_finished_training_is_not_done_again(undisturbed, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        shrink(PLAN, SAMPLES, tmp_path, killed(3))
    monkeypatch.delattr(shrinking, "_epoch")
    assert same(undisturbed, weights(shrink(PLAN, SAMPLES, tmp_path)))


def test_a_checkpoint_of_another_plan_is_refused(tmp_path):
    with pytest.raises(Killed):
        shrink(PLAN, SAMPLES, tmp_path, killed(1))
    with pytest.raises(ValueError, match="another plan"):
        shrink(replace(PLAN, seed=1), SAMPLES, tmp_path)


def test_the_largest_and_the_smallest_learn_from_the_same_steps():
    pupil = Pupil(PLAN)
    pupil.supernet.train()
    rng = np.random.default_rng(0)
    losses = [
        pupil.learn(batch, [LARGEST, SMALLEST], 1e-3)
        for _ in range(10)
        for batch in batches(SAMPLES, np.arange(8), 8, rng)
    ]
    early, late = np.mean(losses[:3], 0), np.mean(losses[-3:], 0)
    assert (late < 0.7 * early).all()


def test_all_but_the_largest_learn_what_the_largest_says():
    taught = Pupil(replace(PLAN, teaching=1.0))
    batch = next(batches(SAMPLES, np.arange(8), 8, np.random.default_rng(0)))
    once, twice = taught.learn(batch, [LARGEST, LARGEST], 0.0)
    logits = taught.supernet(
        shrinking.as_input(batch.images, PLAN.recipe), LARGEST
    ).detach()[:, 0]
    opinion = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, logits.sigmoid()
    )
    assert twice == pytest.approx(opinion.item(), rel=0.05)
    assert once != pytest.approx(twice, rel=0.05)


def test_phases_shrink_kernels_then_depths_then_widths():
    rng = np.random.default_rng(0)
    seen = []
    for phase in PHASES:
        drawn = [phase.largest, phase.smallest, *(phase.drawn(rng) for _ in range(60))]
        built = [(a.depths, a.built(a.kernels), a.built(a.expansions)) for a in drawn]
        seen.append([sorted(set(sum(genes, ()))) for genes in zip(*built)])
    assert seen == [
        [[4], [7], [6]],
        [[4], [3, 5, 7], [6]],
        [[3, 4], [3, 5, 7], [6]],
        [[2, 3, 4], [3, 5, 7], [6]],
        [[2, 3, 4], [3, 5, 7], [4, 6]],
        [[2, 3, 4], [3, 5, 7], [3, 4, 6]],
    ]
