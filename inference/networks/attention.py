"""Attention that radiologists teach: look where they would mark a fracture."""

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Features (N, C, H, W) -> the same, stronger where a fracture is suspected.

    Their mean over the cells becomes a mix: `share` of it is weighted by a softmax
    over `marks`, the rest is the plain mean. What an image's label teaches does not
    reach `marks`; only marked boxes say where to look. So the logit is linear in the
    features that are looked at, and its relevance goes where they are.
    """

    def __init__(self, channels: int, share: float) -> None:
        super().__init__()
        self.share = share
        self.marks = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.weighted(x, self.marks(x))

    def weighted(self, x: Tensor, marks: Tensor) -> Tensor:
        """x by the weights of its cells, whose mean is 1."""
        chances = torch.softmax(marks.detach().float().flatten(1), 1).view_as(marks)
        cells = marks.shape[-2] * marks.shape[-1]
        return x * (1 - self.share + self.share * cells * chances).to(x.dtype)

    def begin(self) -> None:
        """Look everywhere alike, and suspect little: few cells hold a fracture."""
        nn.init.zeros_(self.marks.weight)
        nn.init.constant_(self.marks.bias, -3.0)
