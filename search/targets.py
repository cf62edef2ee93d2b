"""From marked fractures to the cells of a network's map that should show them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def targets(
    boxes: Sequence[np.ndarray],
    shape: tuple[int, int],
    origin: float,
    stride: int = 16,
) -> Tensor:
    """Which cells of a map lie in a box or touch it, (N, 1, h, w).

    boxes: (k, 4) left, top, right, bottom in pixels. origin: pixel at the middle
    of cell (0, 0), stride: pixels from one to the next; as networks tell them.
    """
    rows, columns = (origin + stride * np.arange(side) for side in shape)
    cells = np.zeros((len(boxes), 1, *shape), np.float32)
    reach = stride / 2
    for cell, found in zip(cells, boxes, strict=True):
        for left, top, right, bottom in found:
            down = (rows >= top - reach) & (rows <= bottom + reach)
            across = (columns >= left - reach) & (columns <= right + reach)
            cell[0] += np.outer(down, across)
    return torch.from_numpy(cells.clip(max=1))
