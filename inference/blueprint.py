"""A Once-For-All MobileNetV3 as a value: every block's sizes, and what they cost.

Cai et al. 2020 (arXiv:1908.09791): five stages of two to four blocks, each with its
own kernel and expansion, on top of MobileNetV3's layout (Howard et al. 2019,
arXiv:1905.02244). Whoever builds, counts, times or draws one reads it here, without
torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

DEPTHS = (2, 3, 4)
KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
WIDTHS = (1.0, 1.2)

FIRST, LAST, MIXED = 16, 960, 1280  # channels at width 1


class Stage(NamedTuple):
    """channels at width 1; the stride of its first block; h-swish instead of ReLU;
    squeeze-and-excitation."""

    channels: int
    stride: int
    swish: bool
    gated: bool


STAGES = (
    Stage(24, 2, False, False),
    Stage(40, 2, False, True),
    Stage(80, 2, True, False),
    Stage(112, 1, True, True),
    Stage(160, 2, True, True),
)


@dataclass(frozen=True)
class Block:
    """Inverted bottleneck: `before` channels, widened to `middle`, filtered, narrowed
    to `after`. squeezed: channels inside its gate, 0 without one."""

    before: int
    middle: int
    after: int
    kernel: int
    stride: int = 1
    swish: bool = False
    squeezed: int = 0

    @property
    def expansion(self) -> int:
        return self.middle // self.before

    @property
    def widens(self) -> bool:
        return self.expansion > 1

    @property
    def skips(self) -> bool:
        """Is its input added to its output?"""
        return self.stride == 1 and self.before == self.after

    @property
    def parameters(self) -> int:
        widening = self.widens * (self.before + 2) * self.middle
        filtering = (self.kernel**2 + 2) * self.middle
        gating = (2 * self.middle + 1) * self.squeezed
        gating += self.middle if self.squeezed else 0
        return widening + filtering + gating + (self.middle + 2) * self.after

    def madds(self, height: int, width: int) -> int:
        """Multiply-adds on an input of this size."""
        outside = prod(_strided(height, width, self.stride))
        widening = self.widens * self.before * self.middle * height * width
        filtering = self.kernel**2 * self.middle * outside
        gating = 2 * self.middle * self.squeezed
        return widening + filtering + gating + self.middle * self.after * outside


@dataclass(frozen=True)
class Blueprint:
    """One network: channels of the first layer, the blocks of each stage after the
    fixed first block, channels of the last convolution and of the mixed features."""

    first: int
    fixed: Block
    stages: tuple[tuple[Block, ...], ...]
    last: int
    mixed: int

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.fixed, *(block for stage in self.stages for block in stage))

    def parameters(self, channels: int = 1, classes: int = 1) -> int:
        """Learnt numbers, for images of `channels` and as many outputs as `classes`."""
        before = self.blocks[-1].after
        ends = (9 * channels + 2) * self.first + (before + 2 + self.mixed) * self.last
        blocks = sum(block.parameters for block in self.blocks)
        return ends + blocks + (self.mixed + 1) * classes

    def madds(
        self, height: int, width: int, channels: int = 1, classes: int = 1
    ) -> int:
        """Multiply-adds for one image; normalisation and activations not counted."""
        total = self.mixed * (self.last + classes)
        height, width = _strided(height, width, 2)
        total += 9 * channels * self.first * height * width
        for block in self.blocks:
            total += block.madds(height, width)
            height, width = _strided(height, width, block.stride)
        return total + self.blocks[-1].after * self.last * height * width


def blueprint(
    width: float,
    depths: Sequence[int],
    kernels: Sequence[int],
    expansions: Sequence[int],
) -> Blueprint:
    """kernels, expansions: one a block, in the order of the blocks.

    ValueError where they do not fit `depths`, or one is out of its range.
    """
    _check(width, depths, kernels, expansions)
    before = divisible(FIRST * width)
    fixed = Block(before, before, before, kernel=3)
    genes, stages = zip(kernels, expansions, strict=True), []
    for stage, depth in zip(STAGES, depths, strict=True):
        blocks = []
        for position in range(depth):
            kernel, expansion = next(genes)
            blocks.append(_block(stage, width, before, kernel, expansion, position))
            before = blocks[-1].after
        stages.append(tuple(blocks))
    last, mixed = divisible(LAST * width), divisible(MIXED * width)
    return Blueprint(fixed.before, fixed, tuple(stages), last, mixed)


def divisible(channels: float) -> int:
    """The nearest multiple of 8, and no less than nine tenths (Howard et al. 2019)."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _block(
    stage: Stage, width: float, before: int, kernel: int, expansion: int, position: int
) -> Block:
    middle = before * expansion
    return Block(
        before,
        middle,
        after=divisible(stage.channels * width),
        kernel=kernel,
        stride=1 if position else stage.stride,
        swish=stage.swish,
        squeezed=divisible(middle // 4) if stage.gated else 0,
    )


def _check(
    width: float,
    depths: Sequence[int],
    kernels: Sequence[int],
    expansions: Sequence[int],
) -> None:
    ranges = {
        "width": ([width], WIDTHS),
        "depth": (depths, DEPTHS),
        "kernel": (kernels, KERNELS),
        "expansion": (expansions, EXPANSIONS),
    }
    for name, (values, allowed) in ranges.items():
        for value in values:
            if value not in allowed:
                raise ValueError(f"{name} {value} is none of {allowed}")
    if len(depths) != len(STAGES):
        raise ValueError(f"{len(depths)} depths for {len(STAGES)} stages")
    for name, values in (("kernels", kernels), ("expansions", expansions)):
        if len(values) != sum(depths):
            raise ValueError(f"{len(values)} {name} for {sum(depths)} blocks")


def _strided(height: int, width: int, stride: int) -> tuple[int, int]:
    return -(-height // stride), -(-width // stride)
