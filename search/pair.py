"""A network and where it is taught to look, as one: what learns."""

import torch
from torch import Tensor, nn

from inference.networks.attention import Attention
from inference.networks.committee import Panel


class Pair(nn.ModuleList):
    """A network, and a box head on its features for one that has no attention."""

    @property
    def attentions(self) -> list[Attention]:
        """That of the network, or of each member of a committee; [] without."""
        last = [list(features)[-1] for features in self._members()]
        return [module for module in last if isinstance(module, Attention)]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """-> logits (N,), and the maps of suspected fractures on the network's cells,
        (N, 1, h, w), or (N, M, h, w) of M members."""
        network, box_head = self
        if not self.attentions:
            features = network.features(images)
            return network.head(features)[:, 0], box_head(features)
        looked = [_looked(features, images) for features in self._members()]
        features, marks = (torch.cat(found, 1) for found in zip(*looked, strict=True))
        return network.head(features)[:, 0], marks

    def _members(self) -> list[nn.Module]:
        features = self[0].features
        return list(features) if isinstance(features, Panel) else [features]


def _looked(features: nn.Sequential, images: Tensor) -> tuple[Tensor, Tensor]:
    attention, seen = features[-1], features[:-1](images)
    marks = attention.marks(seen)
    return attention.weighted(seen, marks), marks
