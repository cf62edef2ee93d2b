"""A gate is learnt like anything else and explained as a constant."""

import pytest
import torch
from torch import nn

from inference.explain import bounds
from inference.explain.lrp import COMPOSITES, propagate, ruled
from inference.networks.gate import Gate
from inference.preprocess import Recipe

BOUNDS = bounds(Recipe())
CONSERVING = [name for name, composite in COMPOSITES.items() if composite.conserves]


def squeezing(channels):
    """Squeeze-and-excitation, of layers that have no relevance rule."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid()
    )


class Gated(nn.Module):
    """Every way to gate: by oneself, by what one was made of, by h-swish."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8))
        self.swish = nn.Hardswish()
        self.squeezed = Gate(squeezing(8))
        self.trunk = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.added = Gate(nn.Sequential(nn.Conv2d(8, 8, 1), nn.Sigmoid()), floor=1.0)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 1)
        )

    def forward(self, x):
        x = self.squeezed(self.swish(self.first(x)))
        return self.head(self.added(self.trunk(x), x))


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = Gated()
    for module in made.modules():
        if getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.3)
    made(torch.empty(8, 1, 24, 16).uniform_(*BOUNDS))
    return made.eval()


@pytest.fixture
def views():
    return torch.empty(3, 1, 24, 16).uniform_(*BOUNDS)


def test_it_multiplies_by_what_its_mask_says():
    gate, x = Gate(nn.Sigmoid()), torch.randn(2, 3, 4, 5)
    assert torch.equal(gate(x), x * x.sigmoid())
    assert torch.equal(gate(x, x[:, :1]), x * x[:, :1].sigmoid())
    assert torch.equal(Gate(nn.Sigmoid(), floor=1.0)(x), x * (1 + x.sigmoid()))


def test_a_gate_that_looks_up_a_hard_sigmoid_is_h_swish():
    x = torch.linspace(-5, 5, 101)
    assert torch.allclose(Gate(nn.Hardsigmoid())(x), nn.Hardswish()(x), atol=1e-6)


def test_training_reaches_the_signal_and_the_mask():
    gate, x = Gate(squeezing(3)), torch.randn(2, 3, 4, 5, requires_grad=True)
    gate(x).square().sum().backward()
    assert gate.mask[1].weight.grad.abs().sum() > 0
    with torch.no_grad():
        through_the_signal_alone = 2 * gate(x) * gate.weights(x)
    assert not torch.allclose(x.grad, through_the_signal_alone)


@pytest.mark.parametrize("name", CONSERVING)
def test_no_relevance_is_lost_or_made_at_a_gate(name, network, views):
    relevance = propagate(network, views, COMPOSITES[name], BOUNDS)
    logits = network(views)[:, 0]
    assert relevance.sum(dim=(1, 2)).tolist() == pytest.approx(logits.tolist(), 2e-3)


@pytest.mark.parametrize("name", COMPOSITES)
def test_the_ruled_copy_gives_the_same_logits(name, network, views):
    copy = ruled(network, COMPOSITES[name], BOUNDS)
    assert torch.allclose(copy(views), network(views), rtol=1e-4, atol=1e-4)


class Constant(nn.Module):
    """Multiplies by weights that were seen before."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, signal, seen=None):
        return signal * self.weights


def test_without_damping_it_is_gradient_times_input_at_constant_gates(network, views):
    """And not plain gradient x input, in which the masks would take part."""
    relevance = propagate(network, views, COMPOSITES["lrp0"], BOUNDS)
    plain = multiplied(network, views)
    with torch.no_grad():
        x = network.first(views)
        network.swish = Constant((x / 6 + 0.5).clamp(0, 1))
        x = network.swish(x)
        network.squeezed = Constant(network.squeezed.weights(x))
        network.added = Constant(network.added.weights(network.squeezed(x)))
    expected = multiplied(network, views)
    assert torch.allclose(relevance, expected, rtol=1e-3, atol=1e-4 * expected.std())
    assert not torch.allclose(relevance, plain, rtol=0.1)


def multiplied(network, views):
    views = views.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(views).sum(), views)
    return (views * gradient)[:, 0].detach()
