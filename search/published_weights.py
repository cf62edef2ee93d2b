"""Once-For-All's published ImageNet weights: from its checkpoint to a supernet.

The file is the administrator's (`ofa_mbv3_d234_e346_k357_w1.2` or `w1.0`, as the
authors name it): 475 tensors, of which all but the thousand classes are taken. It is
never fetched, nothing in it is run, and what is not exactly such a file is refused in
words.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from inference.artifact import file_digest
from inference.blueprint import FIRST, WIDTHS, divisible
from search.spaces.ofa import OnceForAll
from search.supernet import FIRST as FIRST_LAYER
from search.supernet import Supernet, places, renormalised

# What the published weights expect: photographs in [0, 1], red, green, blue.
MEANS, STDS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LAYERS = {
    "inverted_bottleneck": "widen.0",
    "depth_conv": "filter.0",
    "point_linear": "narrow",
}
CLASSES = "classifier.linear.weight", "classifier.linear.bias"


def supernet(path: Path, colours: int = 1) -> tuple[Supernet, str]:
    """-> the supernet, for grey in [0, 1], and the file's SHA-256.

    It sees grey as the photograph that grey is. Its last layer is new.
    """
    published = _read(path)
    made = Supernet(OnceForAll(_width(published)), colours)
    taken = {ours: published.pop(theirs) for ours, theirs in _names(made, published)}
    unknown = sorted(published.keys() - set(CLASSES))
    if unknown:
        raise ValueError(f"{len(unknown)} tensors are unknown, among them {unknown[0]}")
    _look_at_grey(taken, colours)
    made.load_state_dict({**made.state_dict(), **taken})
    return made.eval(), file_digest(path)


def _read(path: Path) -> dict[str, Tensor]:
    """Its tensors by the newer of the two spellings."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise ValueError(f"{path.name} is no checkpoint of tensors alone") from error
    found = found.get("state_dict", found) if isinstance(found, Mapping) else {}
    if not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path.name} holds something else than a network's tensors")
    broken = [name for name, value in found.items() if not value.isfinite().all()]
    if broken:
        raise ValueError(f"weights {broken[0]} are not finite")
    return {_spelt(name): value for name, value in found.items()}


def _spelt(name: str) -> str:
    name = name.replace(".mobile_inverted_conv.", ".conv.")
    for older in ("bn", "linear"):
        name = name.replace(f".{older}.{older}.", f".{older}.")
    return name.replace(".conv.conv.weight", ".conv.weight")


def _width(published: Mapping[str, Tensor]) -> float:
    first = published.get("first_conv.conv.weight")
    for width in WIDTHS:
        if first is not None and len(first) == divisible(FIRST * width):
            return width
    raise ValueError("these are no weights of Once-For-All's MobileNetV3, 1.0 or 1.2")


def _names(made: Supernet, published: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """(our name, theirs) of everything but the last layer. ValueError: one is not
    there, or of another shape."""
    named, found = _theirs(), []
    for ours, tensor in made.state_dict().items():
        if ours.startswith("largest.head.8."):
            continue
        layer, _, kind = ours.rpartition(".")
        theirs = f"{named[layer]}.{kind}" if layer in named else named[ours]
        if theirs not in published:
            raise ValueError(f"weights {theirs} are missing")
        wanted = list(tensor.shape)
        if theirs == "first_conv.conv.weight":
            wanted[1] = 3
        if list(published[theirs].shape) != wanted:
            raise ValueError(
                f"weights {theirs} have shape {list(published[theirs].shape)}, "
                f"Once-For-All's have {wanted}"
            )
        found.append((ours, theirs))
    return found


def _theirs() -> dict[str, str]:
    """Our layers, or weights where names differ, by theirs."""
    found = _block("largest.features.3", "blocks.0.conv")
    found |= _normalised("largest.features.1", "first_conv")
    found |= _normalised("largest.head.1", "final_expand_layer")
    found["largest.head.4"] = "feature_mix_layer.conv"
    for number, place in enumerate(places()):
        theirs = f"blocks.{number + 1}.conv"
        found |= _block(f"largest.{place}", theirs)
        for ours, matrix in (("five", "7to5"), ("three", "5to3")):
            name = f"{theirs}.depth_conv.conv.{matrix}_matrix"
            found[f"kernels.{number}.{ours}"] = name
    return found


def _block(ours: str, theirs: str) -> dict[str, str]:
    found = {
        f"{ours}.gate.mask.1": f"{theirs}.depth_conv.se.fc.reduce",
        f"{ours}.gate.mask.3": f"{theirs}.depth_conv.se.fc.expand",
    }
    for name, layer in LAYERS.items():
        found |= _normalised(f"{ours}.{layer}", f"{theirs}.{name}")
    return found


def _normalised(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.0": f"{theirs}.conv", f"{ours}.1": f"{theirs}.bn"}


def _look_at_grey(taken: dict[str, Tensor], colours: int) -> None:
    """Grey in [0, 1] in place of normalised red, green and blue: the first layer
    changes and what its batch norm expects, nothing behind it."""
    names = [f"largest.{name}" for name in FIRST_LAYER]
    means, stds = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEANS, STDS))
    first, expected = renormalised(*(taken[n] for n in names), -means / stds, 1 / stds)
    first = first if colours == 3 else first.sum(1, keepdim=True)
    taken |= dict(zip(names, (first, expected), strict=True))
