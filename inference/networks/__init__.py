"""The networks: an `Arch` describes one, `build` makes it.

Every network takes radiographs (N, 1, H, W) and gives (N, 1) logits, positive for
a fracture, in two halves: `features`, up to the map at `stride` with `channels`
channels, and `head`, from there to the logit. Cell (i, j) of that map looks at the
image around pixel (row, column) = origin + stride (i, j); Grad-CAM and whoever
learns from marked boxes need to know.

Every network can be explained by layer-wise relevance propagation (Bach et al.
2015, doi:10.1371/journal.pone.0130140), which sets the rules of construction:
activations are `nn.ReLU` or `nn.Hardswish`, residual sums go through a module,
products with a mask through a `Gate`, and no weighted module is applied twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from inference.networks.aggregator import Aggregator
from inference.networks.committee import Committee
from inference.networks.mobilenet import MobileNet
from inference.networks.residual_attention import ResidualAttention
from inference.networks.resnet import ResNet18
from inference.networks.rx import Rx
from inference.networks.squeezenet import SqueezeNet

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "aggregator": lambda view: Aggregator(build(Arch(*view))),
    "committee": Committee,
    "mobilenet": MobileNet,
    "residual_attention": ResidualAttention,
    "resnet18": ResNet18,
    "rx": Rx,
    "squeezenet": SqueezeNet,
}


@dataclass(frozen=True)
class Arch:
    """One architecture: a value, comparable, hashable, and JSON in and out."""

    family: str
    options: tuple[tuple[str, object], ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"family": self.family, "options": dict(self.options)}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "Arch":
        """Undo `to_json`, also after JSON has turned tuples into lists."""
        options = sorted(dict(value.get("options") or {}).items())
        return cls(str(value["family"]), tuple((k, _frozen(v)) for k, v in options))


ARCHS = {
    "squeezenet": Arch("squeezenet", (("attention", 0.5), ("stride", 8))),
    "resnet18": Arch("resnet18"),
    "residual-attention": Arch("residual_attention"),
    "mobilenet-small": Arch(
        "mobilenet",
        (
            ("depths", (2,) * 5),
            ("expansions", (3,) * 10),
            ("kernels", (3,) * 10),
            ("width", 1.0),
        ),
    ),
    "rx-lite": Arch("rx"),
    "rx-large": Arch(
        "rx", (("pool_every", 2), ("widths", (16, 32, 32, 64, 64, 128, 128, 256)))
    ),
    "aggregator": Arch("aggregator", (("view", ("rx", ())),)),
}


def build(arch: Arch) -> nn.Module:
    """Make the network `arch` describes, freshly initialised (He et al. 2015)."""
    if arch.family not in NETWORKS:
        raise ValueError(f"no network family {arch.family!r}: {', '.join(NETWORKS)}")
    return NETWORKS[arch.family](**dict(arch.options))


def _frozen(value: object) -> object:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
