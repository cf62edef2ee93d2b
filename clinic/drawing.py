"""An architecture as a picture: a box a layer, in the order in which images pass.

Only where things stand is worked out here; `_architecture.html` draws it as SVG.
"""

from dataclasses import dataclass, field
from math import log2

from inference.blueprint import Block, Blueprint

STEP, WIDE, GAP = 47, 40, 7  # from box to box, a box, between boxes
MIDDLE, TALL = 150, 21  # the line through all boxes; pixels a doubling of channels
FEWEST = 8  # channels that a box of no height would stand for


@dataclass(frozen=True)
class Box:
    """words: inside, line by line. title: the whole of it, for whoever asks."""

    left: int
    height: int
    kind: str
    words: tuple[str, ...]
    title: str
    skips: bool = False

    @property
    def top(self) -> int:
        return MIDDLE - self.height // 2

    @property
    def centre(self) -> int:
        return self.left + WIDE // 2

    @property
    def lines(self) -> list[tuple[int, str]]:
        """(baseline, word)"""
        first = MIDDLE + 4 - 7 * (len(self.words) - 1)
        return [(first + 14 * place, word) for place, word in enumerate(self.words)]

    @property
    def arc(self) -> str:
        """The way of what is added to its output, around it."""
        before, after, over = self.left - GAP // 2, self.left + WIDE + 3, self.top - 16
        return f"M{before} {MIDDLE} V{over} H{after} V{MIDDLE}"


@dataclass(frozen=True)
class Bracket:
    """Boxes that work on the same channels."""

    left: int
    right: int
    words: str

    @property
    def centre(self) -> int:
        return (self.left + self.right) // 2

    @property
    def lines(self) -> list[tuple[int, str]]:
        """(baseline, word): short, for two boxes side by side have no more room."""
        short = self.words.replace(" channels", " ch").split(": ")
        return [(290 + 14 * place, word) for place, word in enumerate(short)]


@dataclass
class Drawing:
    boxes: list[Box] = field(default_factory=list)
    brackets: list[Bracket] = field(default_factory=list)

    @property
    def width(self) -> int:
        return len(self.boxes) * STEP + GAP

    @property
    def flow(self) -> str:
        """The line that images follow."""
        return f"M0 {MIDDLE} H{self.width}"

    @property
    def rows(self) -> list[str]:
        """The same in words."""
        return [box.title for box in self.boxes]


def draw(plan: Blueprint, height: int, width: int) -> Drawing:
    """A network for images of this size."""
    found = Drawing()
    sides = _halved(height, width, 2)
    words = f"first convolution: 3×3, {plan.first} channels, {_size(sides)}"
    _add(found, plan.first, "end", ("3×3",), words)
    _block(found, plan.fixed, sides, "fixed")
    _bracket(found, 0, f"{plan.fixed.after} channels")
    for number, stage in enumerate(plan.stages, 1):
        begun = len(found.boxes)
        for block in stage:
            sides = _halved(*sides, block.stride)
            _block(found, block, sides, f"stage {number}")
        told = f"stage {number}: {stage[-1].after} channels, {_size(sides)}"
        _bracket(found, begun, told)
    begun = len(found.boxes)
    words = f"last convolution: 1×1, {plan.last} channels, {_size(sides)}"
    _add(found, plan.last, "end", ("1×1",), words)
    words = f"mean over the image, then {plan.mixed} features"
    _add(found, plan.mixed, "end", ("mean",), words)
    _add(found, 2 * FEWEST, "end", ("p",), "one probability")
    _bracket(found, begun, "head")
    return found


def _block(found: Drawing, block: Block, sides: tuple[int, int], where: str) -> None:
    kernel = f"{block.kernel}×{block.kernel}"
    gate = "SE" if block.squeezed else ""
    told = ", ".join(
        filter(
            None,
            (
                f"{where}: kernel {kernel}, expansion {block.expansion}",
                f"{block.before} → {block.middle} → {block.after} channels",
                f"stride {block.stride}, {_size(sides)}",
                "h-swish" if block.swish else "ReLU",
                f"squeeze-and-excitation to {block.squeezed}" if gate else "",
                "added to its input" if block.skips else "",
            ),
        )
    )
    words = tuple(filter(None, (kernel, f"e{block.expansion}", gate)))
    kind = "swish" if block.swish else "relu"
    _add(found, block.middle, kind, words, told, skips=block.skips)


def _add(
    found: Drawing,
    channels: int,
    kind: str,
    words: tuple[str, ...],
    title: str,
    *,
    skips: bool = False,
) -> None:
    left = GAP + len(found.boxes) * STEP
    tall = max(round(TALL * log2(channels / FEWEST)), 14 * len(words) + 8)
    found.boxes.append(Box(left, tall, kind, words, title, skips))


def _bracket(found: Drawing, begun: int, words: str) -> None:
    first, last = found.boxes[begun], found.boxes[-1]
    found.brackets.append(Bracket(first.left, last.left + WIDE, words))


def _halved(height: int, width: int, stride: int) -> tuple[int, int]:
    return -(-height // stride), -(-width // stride)


def _size(sides: tuple[int, int]) -> str:
    return "×".join(map(str, sides))
