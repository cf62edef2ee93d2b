"""MobileNetV3 (Howard et al. 2019, arXiv:1905.02244) as Once-For-All varies it.

Cai et al. 2020 (arXiv:1908.09791): one family of sub-networks whose weights can be
cut out of one trained network. See `inference.blueprint` for what may vary.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from inference.blueprint import Block, blueprint
from inference.networks.gate import Gate
from inference.networks.resnet import Add, initialise


class MobileNet(nn.Module):
    """(N, 1, H, W) -> (N, 1) logits.

    width, depths, kernels, expansions: as in `blueprint`. colours: 3 looks at grey
    as three equal channels, which is what weights made for photographs expect.
    dropout: share of the mixed features dropped in training.
    """

    origin, stride = 0.0, 16

    def __init__(
        self,
        width: float,
        depths: Sequence[int],
        kernels: Sequence[int],
        expansions: Sequence[int],
        colours: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        plan = blueprint(width, depths, kernels, expansions)
        *stages, coarse = (
            nn.Sequential(*(Bottleneck(block) for block in stage))
            for stage in plan.stages
        )
        self.channels = plan.stages[-2][-1].after
        self.features = nn.Sequential(
            Grey() if colours == 3 else nn.Identity(),
            _convolution(colours, plan.first, 3, stride=2),
            nn.Hardswish(),
            Bottleneck(plan.fixed),
            *stages,
        )
        self.head = nn.Sequential(
            coarse,
            _convolution(plan.blocks[-1].after, plan.last, 1),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(plan.last, plan.mixed, 1, bias=False),
            nn.Hardswish(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(plan.mixed, 1),
        )
        self.apply(initialise)

    @property
    def gradcam_layer(self) -> nn.Module:
        return self.features

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Grey(nn.Module):
    """(N, 1, H, W) -> (N, 3, H, W), all alike."""

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, 3, -1, -1)


class Bottleneck(nn.Module):
    """Inverted bottleneck (Sandler et al. 2018, arXiv:1801.04381): (N, before, H, W)
    -> (N, after, H / stride, W / stride)."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        middle, activation = block.middle, nn.Hardswish if block.swish else nn.ReLU
        widen = _convolution(block.before, middle, 1), activation()
        filtering = _convolution(middle, middle, block.kernel, block.stride, middle)
        self.widen = nn.Sequential(*widen) if block.widens else nn.Identity()
        self.filter = nn.Sequential(filtering, activation())
        self.gate = excitation(middle, block.squeezed) if block.squeezed else None
        self.narrow = _convolution(middle, block.after, 1)
        self.add = Add() if block.skips else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.filter(self.widen(x))
        y = self.narrow(y if self.gate is None else self.gate(y))
        return y if self.add is None else self.add(x, y)


def excitation(channels: int, squeezed: int) -> Gate:
    """How much of each channel counts (Hu et al. 2018, arXiv:1709.01507)."""
    mask = nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, squeezed, 1),
        nn.ReLU(),
        nn.Conv2d(squeezed, channels, 1),
        nn.Hardsigmoid(),
    )
    return Gate(mask)


def _convolution(
    before: int, after: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    convolution = nn.Conv2d(
        before, after, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(after))
