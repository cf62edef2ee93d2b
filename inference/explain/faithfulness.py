"""Does a map show what the network looked at? Four measures, none of them enough.

A map must point at the finding (pointing game, positive mass), the network must
depend on what it marks (deletion, insertion), and it must depend on the network
(randomisation): some maps please the eye and fail the last.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Box = tuple[float, float, float, float]  # x, y, width, height in pixels


class Curves(NamedTuple):
    """Mean probability, [0, 1], while the image is taken away (low is good) and
    given back (high is good), most relevant blocks first."""

    deletion: float
    insertion: float


def inside(point: tuple[float, float], box: Box, margin: float = 0.0) -> bool:
    """Is (x, y) in the box, or at most `margin` pixels from a side of it? Asked of a
    map's peak it is the pointing game (Zhang et al. 2018,
    doi:10.1007/s11263-017-1059-x), which `search.pointing` plays."""
    return all(
        start - margin <= place < start + size + margin
        for place, start, size in zip(point, box[:2], box[2:])
    )


def positive_mass(relevance: np.ndarray, box: Box) -> float:
    """The share, [0, 1], of all positive relevance (H, W) that lies in the box."""
    positive = np.maximum(relevance, 0)
    x, y, width, height = (max(0, round(value)) for value in box)
    found = positive[y : y + height, x : x + width].sum()
    return float(found / max(positive.sum(), np.finfo(np.float32).tiny))


def curves(
    network: nn.Module, view: Tensor, relevance: Tensor, steps: int = 20, side: int = 8
) -> Curves:
    """Replace blocks of view (1, 1, H, W) by blur, by relevance (H, W), and watch
    (Petsiuk et al. 2018, arXiv:1806.07421)."""
    rank = _ranks(relevance, side)
    blurred = _blurred(view)
    shares = torch.linspace(0, 1, steps + 1)[:, None, None, None]
    taken = rank < shares
    deleted = _probabilities(network, torch.where(taken, blurred, view))
    inserted = _probabilities(network, torch.where(taken, view, blurred))
    return Curves(*(float(torch.trapezoid(p) / steps) for p in (deleted, inserted)))


def randomisation(
    explain: Callable[[nn.Module, Tensor], Tensor],
    network: nn.Module,
    view: Tensor,
    seed: int,
) -> float:
    """|Spearman's rho| between the maps of the network and of one with the weights
    of every layer shuffled (Adebayo et al. 2018, arXiv:1810.03292): 0 is good."""
    maps = [explain(n, view)[0] for n in (network, shuffled(network, seed))]
    ranks = torch.stack([m.flatten().argsort().argsort().double() for m in maps])
    return abs(float(torch.corrcoef(ranks)[0, 1]))


def shuffled(network: nn.Module, seed: int, last: bool = False) -> nn.Module:
    """A copy with the weights of every layer, or of the last only, in random order:
    the same distributions, nothing learned."""
    generator, copy = torch.Generator().manual_seed(seed), deepcopy(network)
    weights = [p for p in copy.parameters() if p.dim() > 1]
    for weight in weights[-1:] if last else weights:
        order = torch.randperm(weight.numel(), generator=generator)
        weight.data = weight.data.flatten()[order].view_as(weight)
    return copy


def _ranks(relevance: Tensor, side: int) -> Tensor:
    """Of each pixel's block, from 0 (most relevant) up to 1: (H, W)."""
    blocks = F.avg_pool2d(relevance[None, None], side, ceil_mode=True)
    order = blocks.flatten().argsort(descending=True).argsort().float()
    ranks = (order / len(order)).view_as(blocks)
    large = F.interpolate(ranks, scale_factor=side, mode="nearest")
    return large[0, 0, : relevance.shape[0], : relevance.shape[1]]


def _blurred(view: Tensor) -> Tensor:
    """Box blur a third of the shorter side wide: no bone survives it."""
    half = min(view.shape[-2:]) // 6
    return F.avg_pool2d(view, 2 * half + 1, 1, half, count_include_pad=False)


@torch.no_grad()
def _probabilities(network: nn.Module, views: Tensor) -> Tensor:
    return torch.cat([network(some).sigmoid()[:, 0] for some in views.split(8)])
