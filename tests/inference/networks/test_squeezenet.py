"""The published weights, in a network that looks at one channel."""

import numpy as np
import pytest
import torch
from torch import nn

from inference.networks.squeezenet import MEANS, Fire, SqueezeNet, imagenet

MEAN, STD = 0.12, 0.2


@pytest.fixture(scope="module")
def published():
    """Random weights under the published names."""
    rng, found = np.random.default_rng(0), {}

    def layer(name, *shape):
        fan = np.prod(shape[1:])
        found[f"{name}.weight"] = rng.normal(0, fan**-0.5, shape).astype(np.float32)
        found[f"{name}.bias"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)

    layer("conv1", 96, 3, 7, 7)
    fires = [m for m in SqueezeNet().features if isinstance(m, Fire)]
    for number, fire in enumerate(fires, start=2):
        layer(f"fire{number}/conv1x1_1", *fire.squeeze[0].weight.shape)
        layer(f"fire{number}/conv1x1_2", *fire.narrow[0].weight.shape)
        layer(f"fire{number}/conv3x3_2", *fire.wide[0].weight.shape)
    return found


def test_every_feature_weight_has_its_published_one(published):
    found = imagenet(published, MEAN, STD)
    wanted = SqueezeNet().state_dict()
    assert found.keys() == {name for name in wanted if name.startswith("features")}
    assert all(found[name].shape == wanted[name].shape for name in found)


def test_a_finer_map_holds_the_coarser_one(published):
    """The published weights mean the same at stride 8: every other cell is equal."""
    coarse, fine = SqueezeNet().eval(), SqueezeNet(stride=8).eval()
    for network in coarse, fine:
        weights = {**network.state_dict(), **imagenet(published, MEAN, STD)}
        network.load_state_dict(weights)
    grey = torch.rand(1, 1, 128, 96)
    with torch.no_grad():
        few, many = coarse.features(grey), fine.features(grey)
    assert many.shape[-2:] == (16, 12)
    assert few.std() > 0
    assert torch.allclose(many[..., ::2, ::2], few, atol=1e-4, rtol=1e-4)


def test_another_stride_is_refused():
    with pytest.raises(ValueError, match="at stride 8 or 16, not 4"):
        SqueezeNet(stride=4)


def test_grey_gives_what_three_equal_channels_gave(published):
    network = SqueezeNet().eval()
    network.load_state_dict({**network.state_dict(), **imagenet(published, MEAN, STD)})
    grey = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        ours = network.features[0]((grey - MEAN) / STD)
        weight = torch.from_numpy(published["conv1.weight"])
        colour = 255 * grey - torch.from_numpy(MEANS)[:, None, None]
        bias = torch.from_numpy(published["conv1.bias"])
        theirs = nn.functional.conv2d(colour, weight, bias, stride=2, padding=3)
    inside = (..., slice(2, -2), slice(2, -2))  # the padding is ours alone
    assert torch.allclose(ours[inside], theirs[inside], atol=0.01, rtol=1e-4)
