"""What marked fractures teach a network's map, cell by cell, and how far it is from it.

Every map has cells (N, 1, h, w), marks (N, M, h, w) of M networks, whose mean counts;
boxes: (k, 4) left, top, right, bottom in pixels of each view. origin: pixel at the
middle of cell (0, 0), stride: pixels from one to the next; as networks tell them.
weights: (N,), how much each view counts; None: all the same.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

BOX_WEIGHT = 5.0  # a cell in a box against one outside: fractures are small
SPREAD = 0.3  # of a box's side: how far from its middle a fracture still is
FAINT = 0.05  # what is less than this is nothing


def targets(
    boxes: Sequence[np.ndarray],
    shape: tuple[int, int],
    origin: float,
    stride: int = 16,
) -> Tensor:
    """Which cells of a map lie in a box or touch it, all of them alike: 0 or 1."""
    rows, columns = _places(shape, origin, stride)
    reach = stride / 2

    def inside(box: np.ndarray) -> np.ndarray:
        left, top, right, bottom = box
        down = (rows >= top - reach) & (rows <= bottom + reach)
        return np.outer(down, (columns >= left - reach) & (columns <= right + reach))

    return _drawn(boxes, shape, inside)


def middles(
    boxes: Sequence[np.ndarray],
    shape: tuple[int, int],
    origin: float,
    stride: int = 16,
) -> Tensor:
    """How near each cell lies to the middle of a box, in [0, 1].

    A box's rim is sound bone; where cells there count as much as its middle, a peak
    is as welcome beside the fracture as on it (a Gaussian of each box, as Zhou et al.
    2019, arXiv:1904.07850, mark the middles of objects). One that is smaller than a
    cell is seen by those beside it.
    """
    rows, columns = _places(shape, origin, stride)

    def near(box: np.ndarray) -> np.ndarray:
        left, top, right, bottom = box
        down = _bell(rows, (top + bottom) / 2, bottom - top, stride)
        across = _bell(columns, (left + right) / 2, right - left, stride)
        found = np.outer(down, across)
        return np.where(found < FAINT, 0, found)

    return _drawn(boxes, shape, near)


def suspicion(marks: Tensor, cells: Tensor, weights: Tensor | None = None) -> Tensor:
    """How wrong `marks`, logits, are about each of `cells` by itself."""
    weight = torch.tensor(BOX_WEIGHT, device=cells.device)
    wrong = F.binary_cross_entropy_with_logits(
        marks.float(), cells.expand_as(marks), pos_weight=weight, reduction="none"
    )
    return _counted(wrong, weights)


def distraction(marks: Tensor, cells: Tensor, weights: Tensor | None = None) -> Tensor:
    """How much attention, a softmax of `marks` over a view, goes past its `cells`.

    Cross-entropy, 0 for a view without any. `suspicion` asks of every cell whether it
    is one of a fracture; this one asks which of all cells it is, as a peak will.
    """
    cells = cells.flatten(2)
    shares = cells / cells.sum(2, keepdim=True).clamp(min=FAINT)
    looked = torch.log_softmax(marks.float().flatten(2), 2)
    return _counted(-(shares * looked).sum(2), weights)


def _counted(wrong: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over views, (N, …), each of which counts as much as it weighs."""
    if weights is None:
        return wrong.mean()
    return (wrong.flatten(1).mean(1) * weights).mean()


def _places(shape: tuple[int, int], origin: float, stride: int) -> list[np.ndarray]:
    return [origin + stride * np.arange(side) for side in shape]


def _bell(places: np.ndarray, middle: float, side: float, stride: int) -> np.ndarray:
    deviation = max(SPREAD * side, stride / 2)
    return np.exp(-0.5 * ((places - middle) / deviation) ** 2)


def _drawn(
    boxes: Sequence[np.ndarray],
    shape: tuple[int, int],
    draw: Callable[[np.ndarray], np.ndarray],
) -> Tensor:
    """Where boxes overlap, the nearest counts."""
    cells = np.zeros((len(boxes), 1, *shape), np.float32)
    for cell, found in zip(cells, boxes, strict=True):
        for box in found:
            np.maximum(cell[0], draw(box), out=cell[0])
    return torch.from_numpy(cells)
