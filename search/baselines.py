"""What searched networks are held against: the networks of FractNet's Table 1.

MONAI's, for one channel and one logit. They are trained to be compared and never
shipped: nothing of them can be explained by LRP, so `inference` does not know them.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from inference import networks
from inference.networks import ARCHS, Arch
from search.spaces import SPACES
from search.supernet import arch


class Baseline(nn.Module):
    """(N, 1, H, W) -> (N, 1) logits, in the halves that training asks for.

    `features` ends at stride 32, where the others' end at 16: nobody may teach these
    by boxes. channels: of that map.
    """

    origin, stride = 0.0, 32

    def __init__(self, features: nn.Module, channels: int) -> None:
        super().__init__()
        self.features, self.channels = features, channels
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


# MONAI takes seconds to import, and most who import this train none of these.


def _densenet161() -> Baseline:
    from monai.networks.nets import DenseNet

    sizes = {"init_features": 96, "growth_rate": 48, "block_config": (6, 12, 36, 24)}
    made = DenseNet(2, 1, 1, **sizes)
    after = nn.Sequential(made.features, made.class_layers.relu)
    return Baseline(after, made.class_layers.out.in_features)


def _resnet152() -> Baseline:
    from monai.networks.nets import resnet152

    # Its own first stride is 1: four times the work.
    made = resnet152(
        spatial_dims=2,
        n_input_channels=1,
        num_classes=1,
        conv1_t_size=7,
        conv1_t_stride=2,
    )
    kept = [m for name, m in made.named_children() if name not in ("avgpool", "fc")]
    return Baseline(nn.Sequential(*kept), made.fc.in_features)


def _efficientnet(size: str) -> Baseline:
    from monai.networks.nets import EfficientNetBN

    made = EfficientNetBN(
        f"efficientnet-{size}",
        pretrained=False,
        spatial_dims=2,
        in_channels=1,
        num_classes=1,
        # As the others'. At their 0.01 a short training ends with norms that expect
        # what they did at its start, and one answer to everything.
        norm=("batch", {"eps": 1e-3, "momentum": 0.1}),
    )
    kept = (made._conv_stem_padding, made._conv_stem, made._bn0, made._swish)
    last = (made._conv_head_padding, made._conv_head, made._bn1, made._swish)
    features = nn.Sequential(*kept, *made._blocks, *last)
    return Baseline(features, made._fc.in_features)


FAMILIES: dict[str, Callable[..., nn.Module]] = {
    "densenet161": _densenet161,
    "resnet152": _resnet152,
    "efficientnet": _efficientnet,
}
# The first is what the others are held against; a space stands for its start.
LINE_UP: Mapping[str, Arch] = {
    "resnet18": ARCHS["resnet18"],
    "densenet161": Arch("densenet161"),
    "resnet152": Arch("resnet152"),
    "efficientnet-b0": Arch("efficientnet", (("size", "b0"),)),
    "efficientnet-b1": Arch("efficientnet", (("size", "b1"),)),
    **{name: arch(space, space.start) for name, space in SPACES.items()},
}


def entrant(name: str) -> Arch:
    """One of LINE_UP, or of an architecture in a file: as a search tells it, or as OFA
    publishes them. ValueError, in words, for anything else."""
    if name in LINE_UP:
        return LINE_UP[name]
    if not Path(name).is_file():
        known = ", ".join(LINE_UP)
        raise ValueError(f"no network {name}: {known}, or a file of an architecture")
    said, refusals = _read(Path(name)), []
    for space in SPACES.values():
        try:
            return arch(space, space.from_json(said))
        except ValueError as error:
            refusals.append(str(error))
    raise ValueError(f"{Path(name).name}: {'; '.join(dict.fromkeys(refusals))}")


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name}: no architecture, as it is no JSON") from error


def build(arch: Arch) -> nn.Module:
    """One of these, or of those that are shipped."""
    if arch.family in FAMILIES:
        return FAMILIES[arch.family](**dict(arch.options))
    return networks.build(arch)
