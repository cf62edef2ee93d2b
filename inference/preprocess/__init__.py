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

__all__ = ["Recipe", "View", "restore", "tensor", "views"]

restore = geometry.restore


@dataclass(frozen=True)
class Recipe:
    """How a frame becomes views. Saved within every model artifact.

    polarity: "border" looks within frames and collimation, "corners" is the
    thesis's rule, "none" leaves the frame as it is. mean, std: of the training
    views, in the unit [0, 1].
    """

    width: int = 341
    height: int = 512
    polarity: str = "border"
    split: bool = True
    align: bool = True
    mean: float = 0.34587
    std: float = 0.22898


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

    pixels: uint8 (rows, columns). What cannot be told (an empty frame, a round
    part) is left as it is rather than guessed.
    """
    small, shrink = geometry.shrunk(pixels)
    inverted = polarity.RULES[recipe.polarity](small)
    if inverted:
        small = 255 - small
    found = parts.find(small, split=recipe.split)
    return [
        _view(pixels, small, shrink, part, recipe, inverted, suffix)
        for part, suffix in zip(found, _suffixes(len(found)))
    ]


def tensor(views: Sequence[View], recipe: Recipe) -> np.ndarray:
    """float32 (N, 1, height, width), normalised by the recipe's mean and std."""
    stack = np.stack([view.pixels for view in views])[:, None].astype(np.float32)
    return (stack / np.float32(255) - np.float32(recipe.mean)) / np.float32(recipe.std)


def _suffixes(count: int) -> Sequence[str]:
    return [""] if count == 1 else ascii_lowercase[:count]


def _view(
    pixels: np.ndarray,
    small: np.ndarray,
    shrink: np.ndarray,
    part: np.ndarray,
    recipe: Recipe,
    inverted: bool,
    suffix: str,
) -> View:
    turn = alignment.turn(small, part) if recipe.align else 0.0
    placed = geometry.place(part, turn, recipe.width, recipe.height)
    affine = geometry.compose(placed, shrink)
    size = (recipe.width, recipe.height)
    drawn = geometry.warp(pixels, affine, size, outside=255 if inverted else 0)
    if inverted:
        drawn = 255 - drawn
    inside = cv2.warpAffine(part.astype(np.uint8), placed, size, flags=cv2.INTER_LINEAR)
    return View(drawn * inside, affine, inverted, suffix)
