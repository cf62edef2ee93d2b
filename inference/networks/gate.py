"""A gate: features, each multiplied by how much of it is let through."""

from torch import Tensor, nn


class Gate(nn.Module):
    """Signal (N, C, H, W) -> signal * (floor + mask).

    mask: a module that gives weights which multiply into the signal. What it looks at
    is the signal itself, as in squeeze-and-excitation (Hu et al. 2018,
    arXiv:1709.01507), or something else that is handed in. floor: 1 makes it add to
    the signal and never block it (Wang et al. 2017, arXiv:1704.06904).

    Training learns both. A gate decides how much counts, not what speaks for a
    fracture: an explanation takes its weights for constants, so all relevance goes
    through the signal and `mask` may be made of anything.
    """

    def __init__(self, mask: nn.Module, floor: float = 0.0) -> None:
        super().__init__()
        self.mask, self.floor = mask, floor

    def forward(self, signal: Tensor, seen: Tensor | None = None) -> Tensor:
        return signal * self.weights(signal if seen is None else seen)

    def weights(self, seen: Tensor) -> Tensor:
        return self.floor + self.mask(seen)
