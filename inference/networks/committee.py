"""Several networks of one kind that look at the same views and are heard alike.

What each learnt by chance averages out (deep ensembles, Lakshminarayanan et al.
2017, arXiv:1612.01474). Their maps lie side by side in one, so whatever reads,
explains or doubts one network does the same with a committee.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from inference.networks.squeezenet import SqueezeNet


class Committee(nn.Module):
    """(N, 1, H, W) -> (N, 1) logits: the mean of those of `members` SqueezeNets.

    attention, stride: as theirs.
    """

    origin = SqueezeNet.origin

    def __init__(
        self, members: int = 3, attention: float = 0.0, stride: int = 16
    ) -> None:
        super().__init__()
        kind = {"attention": attention, "stride": stride}
        seated = [SqueezeNet(**kind) for _ in range(members)]
        self.stride = stride
        self.channels = members * SqueezeNet.channels
        self.features = Panel(member.features for member in seated)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.channels, 1)
        )
        nn.init.normal_(self.head[-1].weight, std=1e-3)
        nn.init.zeros_(self.head[-1].bias)

    @property
    def gradcam_layer(self) -> nn.Module:
        return self.features

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Panel(nn.ModuleList):
    """The members' maps of one image, side by side: (N, M C, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([features(x) for features in self], 1)


def seated(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Weights of the committee whose members have the SqueezeNet weights `states`."""
    layer = max(name for name in states[0] if name.startswith("head.")).split(".")[1]
    heads = [
        (state[f"head.{layer}.weight"], state[f"head.{layer}.bias"]) for state in states
    ]
    weights, biases = zip(*heads, strict=True)
    return {
        f"features.{seat}.{name.removeprefix('features.')}": value
        for seat, state in enumerate(states)
        for name, value in state.items()
        if name.startswith("features.")
    } | {
        "head.2.weight": torch.cat(weights, 1) / len(states),
        "head.2.bias": torch.stack(biases).mean(0),
    }
