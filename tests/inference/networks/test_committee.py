"""A committee says what its members say on average."""

import pytest
import torch

from inference.explain import lrp
from inference.networks import Arch, build
from inference.networks.committee import seated
from tests.inference.conftest import lived_in

MEMBER = Arch("squeezenet", (("attention", 0.5), ("dropout", 0.3)))


def member(seed):
    network = lived_in(MEMBER)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.numel() > 1:
                weight += 0.05 * weight.std() * torch.randn_like(weight)
    return network


@pytest.fixture
def members():
    return [member(seed) for seed in range(3)]


@pytest.fixture
def committee(members):
    made = build(Arch("committee", (("attention", 0.5), ("members", 3)))).eval()
    made.load_state_dict(seated([one.state_dict() for one in members]))
    return made


def test_its_logit_is_the_mean_of_theirs(committee, members, small_views):
    with torch.no_grad():
        theirs = torch.stack([one(small_views) for one in members])
        assert theirs.std(0).min() > 1e-3  # else this would show nothing
        assert torch.allclose(committee(small_views), theirs.mean(0), atol=1e-4)


def test_all_of_them_see_the_pixels_by_the_same_rule(committee, members, small_views):
    """Its relevance is the mean of theirs but for the biases of the last layer, if
    the first layer of each keeps to the bounds of the pixels."""
    mine = lrp(committee, small_views)
    theirs = torch.stack([lrp(one, small_views) for one in members]).mean(0)
    assert (mine - theirs).norm() < 0.05 * theirs.norm()
