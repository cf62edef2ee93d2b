"""Small networks that have everything a trained one has, without the training."""

import pytest
import torch
from torch import Tensor, nn

from inference.explain import bounds
from inference.networks import ARCHS, NETWORKS, Arch, build
from inference.networks.attention import Attention
from inference.preprocess import Recipe

BLACK_AND_WHITE = bounds(Recipe())


PLAIN = {
    "resnet18": Arch("resnet18", (("width", 16),)),
    "rx": Arch("rx", (("hidden", (32, 16)), ("widths", (8, 8, 16, 16)))),
    "rx-batch-norm": Arch(
        "rx", (("batch_norm", True), ("pool_every", 2), ("widths", (8,) * 6))
    ),
}
LOOKING = {
    "squeezenet": Arch("squeezenet", (("attention", 0.5),)),
    "residual_attention": Arch("residual_attention", (("width", 16),)),
    "mobilenet": ARCHS["mobilenet-small"],
    "committee": Arch("committee", (("attention", 0.5), ("members", 2))),
}
TOGETHER = {
    "aggregator": Arch("aggregator", (("view", ("rx", PLAIN["rx"].options)),)),
}
SMALL = PLAIN | LOOKING | TOGETHER
assert {arch.family for arch in SMALL.values()} == NETWORKS.keys(), "name one of each"


@pytest.fixture(params=SMALL)
def small_network(request) -> nn.Module:
    return lived_in(SMALL[request.param])


@pytest.fixture(params=PLAIN)
def plain_network(request) -> nn.Module:
    return lived_in(PLAIN[request.param])


def lived_in(arch: Arch) -> nn.Module:
    """Biases and batch-norm statistics far from where they start."""
    torch.manual_seed(0)
    network = build(arch)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
            module.momentum = 1.0
        elif getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.5)
        if isinstance(module, Attention):
            nn.init.normal_(module.marks.weight, std=0.01)
    network(torch.empty(8, 1, 96, 64).uniform_(*BLACK_AND_WHITE))
    return network.eval()


@pytest.fixture
def small_views() -> Tensor:
    """(3, 1, 96, 64) between black and white, the first one partly black."""
    generator = torch.Generator().manual_seed(1)
    views = torch.empty(3, 1, 96, 64).uniform_(*BLACK_AND_WHITE, generator=generator)
    views[0, :, :, :24] = BLACK_AND_WHITE[0]
    return views
