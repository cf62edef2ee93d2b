"""Learning without labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.networks import build
from search import pretext
from search.pretext import Siamese, pretrained
from tests.search.test_train import PLAN, made


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(pretext, "BATCH", 8)


def test_it_learns_that_two_pictures_of_one_radiograph_are_alike():
    torch.manual_seed(0)
    pupil = Siamese(build(PLAN.arch))
    optimizer = torch.optim.AdamW(pupil.parameters(), 3e-3)
    images = torch.from_numpy(made(8, 0).pixels[:, None] / np.float32(255))
    told = []
    for _ in range(25):
        loss = pupil(images, images.flip(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told.append(loss.item())
    assert told[-1] < told[0] - 0.3


def test_only_features_are_taken_along_and_labels_do_not_matter():
    samples = made(16, 0)
    learnt = pretrained(PLAN, samples, 1)
    features = build(PLAN.arch).features.state_dict()
    assert set(learnt) == {f"features.{name}" for name in features}
    blind = replace(samples, labels=samples.labels * 0)
    again = pretrained(PLAN, blind, 1)
    assert all(torch.equal(learnt[name], again[name]) for name in learnt)


def test_random_numbers_of_others_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    pretrained(PLAN, made(8, 0), 1)
    assert torch.equal(torch.rand(3), expected)
