"""Several processes that train one network, here two on CPUs by way of gloo."""

import atexit
import multiprocessing
import os
from dataclasses import replace

import pytest
import torch

from inference.networks import Arch
from search import together, train
from search.checkpoint import CHECKPOINT
from search.trainee import Plan, Stage, Trainee
from tests.search import test_train

# Without batch norms, which see half a batch each, and without what is dropped anew.
PLAIN = Arch(
    "rx",
    (("dropout", 0.0), ("grid", (2, 1)), ("hidden", (8,)), ("widths", (4, 8, 8, 16))),
)
# Adam's steps are as long where gradients are all rounding.
PLAN = Plan(
    PLAIN,
    (Stage(2, 1.0, False, 0.02),),
    test_train.PLAN.recipe,
    batch=8,
    optimizer="sgd",
)


class Stopped(Exception):
    pass


class Fatal(train.Material):
    """Wherever it is unpickled Python cannot finalize, as sometimes under gloo."""

    def __setstate__(self, state):
        vars(self).update(state)
        atexit.register(os.abort)


@pytest.fixture(scope="module")
def material():
    made = test_train.made
    return train.Material(made(16, 0), made(16, 1), made(16, 2))


@pytest.fixture(scope="module")
def alone(material, tmp_path_factory):
    return train.fit(PLAN, material, tmp_path_factory.mktemp("alone"))


def flat(weights):
    return torch.cat([weights[name].flatten() for name in sorted(weights)])


def apart(one, two):
    """How far, by how far the first has come since the beginning."""
    come = flat(one.best) - flat(Trainee(PLAN).network.state_dict())
    return ((flat(one.best) - flat(two.best)).norm() / come.norm()).item()


def test_two_learn_what_one_does(material, alone, tmp_path):
    told = []
    found = together.fit(
        PLAN, material, tmp_path, tell=lambda *now: told.append(now), members=2
    )
    assert apart(alone, found) < 0.05
    half = train.fit(replace(PLAN, batch=4), material, tmp_path / "half")
    assert apart(alone, half) > 0.1  # else anything would pass
    steps = [done for _, done in told]
    assert steps == [0.5, 1.0, 1, 1.5, 2.0, 2]  # by one of them alone
    assert [len(history) for history, _ in told] == [0, 0, 1, 1, 1, 2]
    losses = [[e["loss"] for e in progress.history] for progress in (alone, found)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_member_whose_work_is_done_ends_before_python_finalizes(material, tmp_path):
    plan = replace(PLAN, stages=(replace(PLAN.stages[0], epochs=1),))
    found = together.fit(plan, Fatal(**vars(material)), tmp_path, members=2)
    assert [entry["epoch"] for entry in found.history] == [1]


def test_no_more_of_them_learn_than_a_batch_has_samples(tmp_path):
    few = test_train.made(4, 0).of([0, 1, 2])  # of which one is fractured
    plan = replace(PLAN, stages=(replace(PLAN.stages[0], epochs=1),))
    found = together.fit(plan, train.Material(few, few, few), tmp_path, members=3)
    assert len(found.history) == 1


def test_a_training_that_diverges_ends_all_of_them_in_one_sentence(material, tmp_path):
    plan = replace(PLAN, stages=(replace(PLAN.stages[0], rate=1e30),))
    with pytest.raises(ValueError, match=r"^The training diverged in epoch 1: .*\.$"):
        together.fit(plan, material, tmp_path, members=2)
    assert not multiprocessing.active_children()
    assert not (tmp_path / CHECKPOINT).exists()


def test_stopped_they_all_end_and_one_goes_on_from_there(material, tmp_path):
    """They are heard from five times a second, and do not wait to be: of sixty short
    epochs they may do a few more than the first."""

    def stop(history, done):
        if history:
            raise Stopped

    plan = replace(PLAN, stages=(replace(PLAN.stages[0], epochs=60),))
    with pytest.raises(Stopped):
        together.fit(plan, material, tmp_path, tell=stop, members=2)
    assert not multiprocessing.active_children()
    before = Trainee(plan).resume(tmp_path / CHECKPOINT).history
    assert 1 <= len(before) < 60
    resumed = train.fit(plan, material, tmp_path)
    assert len(resumed.history) == 60
    assert resumed.history[: len(before)] == before
