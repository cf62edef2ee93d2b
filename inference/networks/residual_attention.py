"""ResNet18 that attends: masks learnt from the labels alone say what counts where.

Residual attention (Wang et al. 2017, arXiv:1704.06904), the future work of the thesis
this project began with.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from inference.networks.gate import Gate
from inference.networks.resnet import Block, ResNet18, initialise

HALVINGS = 3, 2, 1  # of the mask of each stage, down to a 32nd of the image


class ResidualAttention(ResNet18):
    """(N, 1, H, W) -> (N, 1) logits.

    The weights of a ResNet18 are, under their names, its own: what has been trained
    without masks can go on with them. Options as of ResNet18.
    """

    def __init__(self, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__(width, dropout)
        for stage, halvings in enumerate(HALVINGS):
            channels, place = width * 2**stage, stage - len(HALVINGS)
            mask = _mask(channels, halvings)
            self.features[place] = Attended(*self.features[place], Gate(mask, floor=1))


class Attended(nn.Sequential):
    """Two blocks and a gate: what the first one sees decides how much the second
    one's features count."""

    def forward(self, x: Tensor) -> Tensor:
        first, trunk, gate = self
        x = first(x)
        return gate(trunk(x), x)


class Hourglass(nn.Module):
    """(N, channels, H, W) -> the same shape, each cell seen from far away."""

    def __init__(self, channels: int, halvings: int) -> None:
        super().__init__()
        self.block = Block(channels, channels, stride=1)
        deeper = halvings > 1
        self.inner = Hourglass(channels, halvings - 1) if deeper else None

    def forward(self, x: Tensor) -> Tensor:
        small = self.block(F.max_pool2d(x, 2, ceil_mode=True))
        if self.inner:
            small = small + self.inner(small)
        return F.interpolate(small, x.shape[-2:], mode="bilinear")


def _mask(channels: int, halvings: int) -> nn.Sequential:
    """Near 0 before it has learnt anything: the network begins as a plain ResNet18."""
    hourglass = Hourglass(channels, halvings).apply(initialise)
    last = nn.Conv2d(channels, channels, 1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.constant_(last.bias, -3.0)
    return nn.Sequential(hourglass, last, nn.Sigmoid())
