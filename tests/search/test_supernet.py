"""What is cut out of the supernet answers as the supernet does."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inference.networks import build
from inference.networks.mobilenet import Bottleneck
from search.spaces import SPACES
from search.spaces.ofa import LARGEST, PUBLISHED, SMALLEST
from search.supernet import Supernet, recalibrate

SPACE = SPACES["ofa-1.0"]
VIEWS = torch.randn(3, 1, 48, 40, generator=torch.Generator().manual_seed(0))
SOME = [SMALLEST, PUBLISHED, SPACE.sample(np.random.default_rng(1))]


@pytest.fixture(scope="module")
def trained():
    """With everything a trained one has: biases, statistics, kernels that turn."""
    torch.manual_seed(0)
    made = Supernet(SPACE)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
        elif getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.3)
    for kernels in made.kernels:
        for matrix in kernels.parameters():
            matrix.data += torch.randn_like(matrix) / 10
    recalibrate(made.largest, [torch.randn(8, 1, 48, 40)])
    return made.eval()


@pytest.fixture
def supernet(trained):
    return deepcopy(trained)


@torch.no_grad()
def elastic(supernet, architecture, x):
    """The sub-network inside the largest one, nothing cut: what it lacks is zeroed.

    An own reading of the paper, sharing no line with the supernet's slices."""
    network = deepcopy(supernet.largest)
    blocks = [m for m in network.modules() if isinstance(m, Bottleneck)][1:]
    for place, block in enumerate(blocks):
        stage, position = divmod(place, 4)
        if position >= architecture.depths[stage]:
            block.register_forward_hook(lambda _, args, y: args[0])
            continue
        middle = block.widen[0][0].in_channels * architecture.expansions[place]
        kernel = block.filter[0][0].weight
        kernel.data = turned(supernet.kernels[place], kernel, architecture, place)
        for layer in (block.widen, block.filter):
            layer.register_forward_hook(first(middle))
        if block.gate is not None:
            squeezed = max(8, (middle // 4 + 4) // 8 * 8)
            if squeezed < 0.9 * (middle // 4):
                squeezed += 8
            block.gate.mask[2].register_forward_hook(first(squeezed))
    return network(x)


def first(channels):
    def keep(module, args, y):
        return y * (torch.arange(y.shape[1]) < channels)[:, None, None]

    return keep


def turned(matrices, kernel, architecture, place):
    """The 7 x 7 kernel with a smaller one in its middle."""
    size = architecture.kernels[place]
    if size == 7:
        return kernel.data
    middle = kernel[:, 0, 1:6, 1:6].reshape(-1, 25) @ matrices.five.T
    if size == 3:
        middle = middle.view(-1, 5, 5)[:, 1:4, 1:4].reshape(-1, 9) @ matrices.three.T
    return F.pad(middle.view(-1, 1, size, size), [(7 - size) // 2] * 4)


@pytest.mark.parametrize("architecture", SOME)
def test_what_is_cut_answers_like_the_supernet_itself(supernet, architecture):
    network = build(supernet.arch(architecture)).eval()
    network.load_state_dict(supernet.cut(architecture))
    with torch.no_grad():
        alone, inside = network(VIEWS), supernet(VIEWS, architecture)
    assert torch.equal(alone, inside)
    expected = elastic(supernet, architecture, VIEWS)
    assert torch.allclose(alone, expected, rtol=1e-4, atol=1e-4 * expected.abs().max())


def test_the_largest_is_the_supernet_whole(supernet):
    with torch.no_grad():
        assert torch.equal(supernet(VIEWS, LARGEST), supernet.largest(VIEWS))


def test_a_sub_network_teaches_those_that_share_its_weights(supernet):
    supernet.train()
    supernet(VIEWS, SMALLEST).sum().backward()
    block = supernet.largest.features[4][0]
    learnt = block.widen[0][0].weight.grad.abs().sum((1, 2, 3)) > 0
    assert learnt.tolist() == [True] * 48 + [False] * 48
    assert supernet.kernels[0].three.grad.abs().sum() > 0
    assert supernet.largest.features[4][2].widen[0][0].weight.grad is None


def test_what_batch_norms_see_of_it_stays_in_the_supernet(supernet):
    norm = supernet.largest.features[4][0].widen[0][1]
    before = norm.running_mean.clone()
    supernet.train()
    supernet(VIEWS, SMALLEST)
    changed = norm.running_mean != before
    assert changed[:48].all() and not changed[48:].any()


def test_sorting_changes_no_answer_of_the_largest(supernet):
    with torch.no_grad():
        before = supernet(VIEWS, LARGEST)
        supernet.sort()
        after = supernet(VIEWS, LARGEST)
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-4 * before.abs().max())


def test_sorting_brings_what_counts_to_the_front(supernet):
    supernet.sort()
    for _, block in supernet.blocks():
        counts = block.narrow[0].weight.abs().sum((0, 2, 3))
        assert (counts.diff() <= 1e-6).all()
        if block.gate is not None:
            counts = block.gate.mask[3].weight.abs().sum((0, 2, 3))
            assert (counts.diff() <= 1e-6).all()


def test_sorting_leaves_an_expansion_that_was_trained_its_channels(supernet):
    four = deepcopy(LARGEST)
    four = SPACE.from_json(SPACE.to_json(four) | {"e": [4] * 20})
    with torch.no_grad():
        before = supernet(VIEWS, four)
        supernet.sort(apart=(4,))
        after = supernet(VIEWS, four)
        assert torch.allclose(before, after, rtol=1e-4, atol=1e-4 * before.abs().max())
        supernet.sort()
        assert not torch.allclose(before, supernet(VIEWS, four), rtol=0.01)


def test_recalibrated_statistics_are_the_mean_over_images(supernet):
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5))
    large, small = torch.randn(6, 1, 4, 4) * 3 + 1, torch.randn(2, 1, 4, 4)
    recalibrate(network, [large, small])
    mean = (6 * large.mean() + 2 * small.mean()) / 8
    variance = (6 * large.var(correction=0) + 2 * small.var(correction=0)) / 8
    assert network[0].running_mean.item() == pytest.approx(mean.item(), rel=1e-5)
    assert network[0].running_var.item() == pytest.approx(variance.item(), rel=1e-5)
    assert not network.training and not network[0].training
    with pytest.raises(ValueError, match="no image"):
        recalibrate(network, [])


def test_recalibration_sees_the_batch_itself_at_every_layer(supernet):
    """Not what statistics of other sub-networks make of it."""
    network = build(supernet.arch(SMALLEST))
    network.load_state_dict(supernet.cut(SMALLEST))
    recalibrate(network, [VIEWS])
    with torch.no_grad():
        reading = network(VIEWS)
        network.train()
        learning = network(VIEWS)
    assert torch.allclose(reading, learning, rtol=1e-3, atol=1e-3)
