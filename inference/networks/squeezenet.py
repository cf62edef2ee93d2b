"""SqueezeNet v1.0 (Iandola et al. 2016, arXiv:1602.07360) for radiographs.

It is here for its published weights, which have seen ImageNet: what a network knows
of textures and edges before its first radiograph decides how well it ends.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from inference.networks.attention import Attention
from inference.networks.resnet import initialise

# Channels of each fire module: squeezed, and of either half of what it gives.
FIRES = (
    ((16, 64), (16, 64), (32, 128)),
    ((32, 128), (48, 192), (48, 192), (64, 256)),
    ((64, 256),),
)
# What the published weights expect: grey in [0, 255] less these (blue, green, red).
MEANS = np.array((104.0, 117.0, 123.0), np.float32)


class SqueezeNet(nn.Module):
    """(N, 1, H, W) -> (N, 1) logits.

    dropout: share of the pooled features dropped in training. attention: how much
    of what is pooled comes from where the network suspects a fracture, [0, 1].
    stride: of the map of features, 16 or 8. At 8 the last pooling skips no cell and
    the kernels behind it reach as far as before (Yu and Koltun 2016, arXiv:1511.07122),
    so that published weights mean the same and the map says more finely where.
    """

    channels = 2 * FIRES[-1][-1][1]
    origin = 0.0

    def __init__(
        self, dropout: float = 0.0, attention: float = 0.0, stride: int = 16
    ) -> None:
        super().__init__()
        if stride not in (8, 16):
            raise ValueError(f"SqueezeNet has features at stride 8 or 16, not {stride}")
        self.stride = stride
        self.features = nn.Sequential(
            nn.Conv2d(1, 96, 7, stride=2, padding=3),
            nn.ReLU(),
            *_stage(96, FIRES[0]),
            *_stage(256, FIRES[1]),
            *_stage(512, FIRES[2], reach=16 // stride),
            *([Attention(self.channels, attention)] if attention else []),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(self.channels, 1),
        )
        self.apply(initialise)
        nn.init.normal_(self.head[-1].weight, std=1e-3)  # ImageNet's features are large
        if attention:
            self.features[-1].begin()

    @property
    def gradcam_layer(self) -> nn.Module:
        return self.features

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Fire(nn.Module):
    """(N, before, H, W) -> (N, 2 half, H, W) through `squeezed` channels.

    reach: how many cells the wide half's kernel looks aside.
    """

    def __init__(self, before: int, squeezed: int, half: int, reach: int = 1) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(before, squeezed, 1), nn.ReLU())
        self.narrow = nn.Sequential(nn.Conv2d(squeezed, half, 1), nn.ReLU())
        wide = nn.Conv2d(squeezed, half, 3, padding=reach, dilation=reach)
        self.wide = nn.Sequential(wide, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.narrow(x), self.wide(x)], 1)


def _stage(
    before: int, fires: Sequence[tuple[int, int]], reach: int = 1
) -> list[nn.Module]:
    inputs = (before, *(2 * half for _, half in fires))
    modules = [Fire(n, *fire, reach) for n, fire in zip(inputs, fires, strict=False)]
    return [nn.MaxPool2d(3, stride=2 // reach, padding=1), *modules]


def imagenet(
    published: Mapping[str, np.ndarray], mean: float, std: float
) -> dict[str, Tensor]:
    """The published ImageNet weights (names as in Caffe) as a `SqueezeNet`'s own.

    One channel stands for three equal ones, and the first layer takes grey in [0, 1]
    normalised by `mean` and `std` for what it was trained on.
    """
    names = [f"fire{i}" for i in range(2, 10)]
    weight, bias = published["conv1.weight"], published["conv1.bias"]
    shift = (weight.sum((2, 3)) * (255 * mean - MEANS)).sum(1)
    found = {
        "features.0.weight": 255 * std * weight.sum(1, keepdims=True),
        "features.0.bias": bias + shift,
    }
    places = [i for i, m in enumerate(SqueezeNet().features) if isinstance(m, Fire)]
    layers = {"squeeze": "conv1x1_1", "narrow": "conv1x1_2", "wide": "conv3x3_2"}
    for place, name in zip(places, names, strict=True):
        for ours, theirs in layers.items():
            for kind in ("weight", "bias"):
                key = f"{name}/{theirs}.{kind}"
                found[f"features.{place}.{ours}.0.{kind}"] = published[key]
    return {name: torch.from_numpy(np.array(value)) for name, value in found.items()}
