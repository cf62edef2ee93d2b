"""From a frame to the network's views, and from a view's relevance back.

Training and reading call the same `views`. Every view has one affine, frame
pixel to view pixel, composed of split, rotation, padding and resize; `restore`
inverts exactly that, so an overlay lies on the anatomy it is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import cv2
import numpy as np

from inference.preprocess import alignment, geometry, parts, polarity
from inference.preprocess.geometry import restore

__all__ = ["THESIS", "Recipe", "View", "restore", "tensor", "views"]

RULES = {
    "polarity": polarity.RULES,
    "splitter": parts.RULES,
    "upright": alignment.RULES,
}
LONGEST = 4096  # side of a view in pixels: no detector has many more


@dataclass(frozen=True)
class Recipe:
    """How a frame becomes views. Saved within every model artifact.

    polarity: "border" looks within frames and shutters, "corners" is the
    thesis's rule, "none" leaves the frame as it is. splitter, upright: which
    rule splits ("shutters" or the thesis's "otsu") and which turns ("hand" up
    or the thesis's "axis" only). mean, std: of the training views, in [0, 1].
    ValueError for a rule that nobody knows, a size or a std that makes no views.
    """

    width: int = 341
    height: int = 512
    polarity: str = "border"
    split: bool = True
    align: bool = True
    mean: float = 0.34587
    std: float = 0.22898
    splitter: str = "shutters"
    upright: str = "hand"

    def __post_init__(self) -> None:
        for name, rules in RULES.items():
            if (rule := getattr(self, name)) not in rules:
                raise ValueError(f"unknown {name} rule {rule!r}")
        for name in ("width", "height"):
            if not 1 <= (side := getattr(self, name)) <= LONGEST:
                raise ValueError(f"{name} {side} is not in [1, {LONGEST}]")
        if not self.std > 0:
            raise ValueError(f"std {self.std} is not above 0")


THESIS = Recipe(polarity="corners", splitter="otsu", upright="axis")


@dataclass(frozen=True)
class View:
    """One anatomic part as the network sees it.

    pixels: uint8 (height, width), dense is bright, black outside the part.
    affine: float64 (2, 3), frame pixel (x, y, 1) to view pixel (x, y), pixel
    centres at whole numbers. suffix: "" when the frame shows one part.
    """

    pixels: np.ndarray
    affine: np.ndarray
    inverted: bool
    suffix: str


def views(pixels: np.ndarray, recipe: Recipe) -> list[View]:
    """The parts of a frame, left to right, each upright; at least one.

    pixels: uint8 (rows, columns). Decisions are taken on a reduced frame, and
    again on the full one where they were close. What cannot be told (an empty
    frame, a round part) is left as it is rather than guessed.
    """
    reduced = geometry.reduction(pixels.shape)
    inverted, found, turns, sure = _decide(pixels, recipe, reduced)
    if not sure and reduced > 1:
        reduced = 1
        inverted, found, turns, _ = _decide(pixels, recipe, reduced)
    size = (recipe.width, recipe.height)
    suffixes = [""] if len(found) == 1 else ascii_lowercase
    drawn = []
    for part, turn, suffix in zip(found, turns, suffixes):
        placed = geometry.place(part.keep, turn, *size)
        affine = geometry.compose(placed, geometry.shrinking(reduced))
        image = _drawn(pixels, affine, size, inverted, part.air)
        keep = geometry.warped_mask(part.keep, placed, size)
        drawn.append(View(cv2.bitwise_and(image, keep), affine, inverted, suffix))
    return drawn


def tensor(views: Sequence[View], recipe: Recipe) -> np.ndarray:
    """float32 (N, 1, height, width), normalised by the recipe's mean and std."""
    stack = np.stack([view.pixels for view in views])[:, None].astype(np.float32)
    return (stack / np.float32(255) - np.float32(recipe.mean)) / np.float32(recipe.std)


def _decide(
    pixels: np.ndarray, recipe: Recipe, reduced: int
) -> tuple[bool, list[parts.Part], list[float], bool]:
    """Inverted?; the parts; how far each is to be turned; was nothing close?"""
    small = geometry.area_shrunk(pixels, reduced)
    inverted = polarity.RULES[recipe.polarity](small)
    small = cv2.bitwise_not(small) if inverted else small
    found, sure = parts.RULES[recipe.splitter](small, split=recipe.split)
    turns = [0.0] * len(found)
    if recipe.align:
        turned = [alignment.RULES[recipe.upright](small, part.body) for part in found]
        turns = [turn for turn, _ in turned]
        sure = sure and all(clear for _, clear in turned)
    return inverted, found, turns, sure


def _drawn(
    pixels: np.ndarray,
    affine: np.ndarray,
    size: tuple[int, int],
    inverted: bool,
    air: int,
) -> np.ndarray:
    """One resampling; air becomes black, the rest keeps its proportions."""
    image = geometry.warp(pixels, affine, size, outside=255 if inverted else 0)
    levels = np.arange(256)[::-1] if inverted else np.arange(256)
    table = np.rint((levels - air).clip(0) * (255 / (255 - air))).astype(np.uint8)
    return cv2.LUT(image, table)
