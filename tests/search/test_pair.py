"""Where networks look is taught by boxes, and each member of a committee is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.networks import Arch, build
from search.pair import Pair
from search.trainee import Trainee
from tests.search.test_trainee import PLAN, broken

BOARD = Arch("committee", (("attention", 0.5), ("members", 2), ("stride", 8)))


@pytest.mark.parametrize("focus", [0.0, 2.0])
def test_boxes_move_every_members_attention(focus):
    trainee = Trainee(replace(PLAN, arch=BOARD, focus=focus))
    trainee.begin(PLAN.stages[0])
    assert len(trainee.attentions) == 2
    before = [a.marks.weight.detach().clone() for a in trainee.attentions]
    box = np.array([[10, 10, 40, 40]], np.float32)
    trainee.learn(replace(broken(2), boxes=[box] * 2), 1e-3)
    for attention, was in zip(trainee.attentions, before, strict=True):
        assert (attention.marks.weight - was).abs().max() > 5e-4


@pytest.mark.parametrize("arch", [BOARD, Arch("squeezenet", (("attention", 0.5),))])
def test_in_pairs_a_network_says_what_it_says_alone(arch):
    torch.manual_seed(0)
    network = build(arch).eval()
    views = torch.rand(2, 1, 96, 64)
    with torch.no_grad():
        logits, marks = Pair([network, torch.nn.Conv2d(network.channels, 1, 1)])(views)
        assert torch.allclose(logits, network(views)[:, 0], atol=1e-5)
    members = dict(arch.options).get("members", 1)
    side = network.stride
    assert marks.shape == (2, members, 96 // side, 64 // side)
