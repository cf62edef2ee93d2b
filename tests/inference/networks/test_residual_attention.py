"""What the masks add to a ResNet18."""

import pytest
import torch
from torch import nn

from inference.networks.gate import Gate
from inference.networks.residual_attention import ResidualAttention
from inference.networks.resnet import ResNet18


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ResidualAttention(width=16).eval()


def masks(network):
    return [m for m in network.modules() if isinstance(m, Gate)]


def test_it_goes_on_from_what_a_resnet_has_learnt(network):
    """And says nearly the same before its masks have learnt anything."""
    plain = ResNet18(width=16).eval()
    kept = plain.state_dict()
    assert kept.keys() < network.state_dict().keys()
    network.load_state_dict({**network.state_dict(), **kept})
    for gate in masks(network):
        nn.init.constant_(gate.mask[-2].bias, -30.0)
    views = torch.randn(2, 1, 96, 64)
    assert torch.allclose(network(views), plain(views), rtol=1e-4, atol=1e-4)


def test_every_stage_at_full_resolution_has_a_mask_that_only_adds(network):
    seen = torch.randn(2, 1, 96, 64)
    found = []
    for gate in masks(network):
        gate.mask.register_forward_hook(lambda *call: found.append(call[-1]))
    network.train()(seen)
    assert [tuple(mask.shape[1:]) for mask in found] == [
        (16, 24, 16),
        (32, 12, 8),
        (64, 6, 4),
    ]
    assert all(mask.min() > 0 and mask.mean() < 0.2 for mask in found)
    assert {gate.floor for gate in masks(network)} == {1}


def test_a_mask_looks_further_than_the_features_it_weighs(network):
    """A quarter of the image away, where no 3x3 convolution of the trunk reaches."""
    gate, x = masks(network)[0], torch.randn(1, 16, 24, 16, requires_grad=True)
    gate.weights(x)[0, :, 12, 2].sum().backward()
    assert x.grad[0, :, :, 8:].abs().sum() > 0
