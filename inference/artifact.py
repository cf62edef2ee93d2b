"""What a model is on disk: spec.json, weights.safetensors and card.json, one digest.

The spec says how to read a radiograph with the weights; the card says what people
should know of them. Nothing is unpickled. The half that reads JSON and digests
works without torch.
"""

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from inference.aggregate import AGGREGATIONS
from inference.preprocess import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inference.networks import Arch

SPEC, WEIGHTS, CARD = FILES = ("spec.json", "weights.safetensors", "card.json")
PLAIN = {"name": str, "aggregation": str, "composite": str}
NUMBERS = ("threshold", "temperature")


class DamagedArtifact(Exception):
    """A model that must not be used. The sentence says what is wrong with it."""


@dataclass(frozen=True)
class Spec:
    """How a model reads: everything but the weights.

    threshold: study probability, [0, 1], from which on a study is flagged.
    temperature: divides the logits before the sigmoid. composite: the rule set of
    `inference.explain` that suits the network.
    """

    name: str
    arch: "Arch"
    recipe: Recipe
    aggregation: str
    threshold: float
    temperature: float = 1.0
    composite: str = "gamma"


def save(
    folder: Path, spec: Spec, state: Mapping[str, "Tensor"], card: Mapping[str, object]
) -> str:
    """Write an artifact whole or not at all, replacing an older one; its digest.

    Floating point weights are kept in half precision where they fit. ValueError:
    weights or card hold a number that is not finite.
    """
    from safetensors.torch import save as serialise

    contents = {
        SPEC: _json(asdict(spec) | {"arch": spec.arch.to_json()}),
        WEIGHTS: serialise({name: _compact(name, t) for name, t in state.items()}),
        CARD: _json(dict(card)),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as room:
        fresh, old = Path(room, "fresh"), Path(room, "old")
        fresh.mkdir()
        for name, data in contents.items():
            fresh.joinpath(name).write_bytes(data)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    return _digest(contents)


def digest(folder: Path) -> str:
    """SHA-256 over the three files in the order spec, weights, card.

    Of each: its name, its length in bytes as decimal digits, both ended by a zero
    byte, then its bytes.
    """
    return _digest(_contents(folder, FILES))


def load_spec(folder: Path, digest: str | None = None) -> Spec:
    """Raises DamagedArtifact, also if the folder is not the one of `digest`."""
    return _spec(folder, _trusted(folder, digest, SPEC)[SPEC])


def load_card(folder: Path, digest: str | None = None) -> dict[str, object]:
    """Raises DamagedArtifact, also if the folder is not the one of `digest`."""
    return _object(folder, CARD, _trusted(folder, digest, CARD)[CARD])


def load_network(folder: Path, digest: str | None = None) -> "nn.Module":
    """The network in float32, ready to read. Raises DamagedArtifact."""
    contents = _trusted(folder, digest, SPEC, WEIGHTS)
    network = _skeleton(folder, _spec(folder, contents[SPEC]))
    state = _weights(folder, contents[WEIGHTS])
    _match(folder, network.state_dict(), state)
    network.load_state_dict(state, assign=True)
    return network.eval()


def _trusted(folder: Path, digest: str | None, *names: str) -> dict[str, bytes]:
    contents = _contents(folder, FILES if digest else names)
    if digest and _digest(contents) != digest:
        raise DamagedArtifact(
            f"{folder.name}: the files are not those of digest {digest[:12]}: "
            "at least one byte differs."
        )
    return contents


def _contents(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    try:
        return {name: folder.joinpath(name).read_bytes() for name in names}
    except OSError as error:
        missing = Path(error.filename or folder).name
        raise DamagedArtifact(
            f"{folder.name}: {missing} cannot be read: {error.strerror}."
        ) from error


def _digest(contents: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in FILES:
        total.update(b"%b\0%d\0" % (name.encode(), len(contents[name])))
        total.update(contents[name])
    return total.hexdigest()


def _json(value: dict[str, object]) -> bytes:
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    return text.encode() + b"\n"


def _object(folder: Path, name: str, data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedArtifact(f"{folder.name}: {name} is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise DamagedArtifact(f"{folder.name}: {name} holds no JSON object.")
    return value


def _spec(folder: Path, data: bytes) -> Spec:
    value = _object(folder, SPEC, data)
    try:
        _exactly(value, {field.name for field in fields(Spec)}, "spec")
        _plain(value)
        return Spec(
            **value | {"arch": _arch(value["arch"]), "recipe": _recipe(value["recipe"])}
        )
    except ValueError as error:
        raise DamagedArtifact(f"{folder.name}: {SPEC}: {error}.") from error


def _exactly(value: object, names: set[str], of: str) -> None:
    """No key is guessed: a default that changes later would change old models."""
    if not isinstance(value, dict):
        raise ValueError(f"the {of} is no JSON object")
    if wrong := sorted(value.keys() ^ names):
        said = "missing" if wrong[0] in names else "unknown"
        raise ValueError(f"{said} key {wrong[0]!r} in the {of}")


def _plain(value: dict[str, object]) -> None:
    for name in (*PLAIN, *NUMBERS):
        _typed(name, value[name], PLAIN.get(name, float))
    if value["aggregation"] not in AGGREGATIONS:
        raise ValueError(f"unknown aggregation {value['aggregation']!r}")
    if not 0 <= value["threshold"] <= 1:
        raise ValueError(f"threshold {value['threshold']} is not in [0, 1]")
    if not value["temperature"] > 0:
        raise ValueError(f"temperature {value['temperature']} is not above 0")


def _typed(name: str, value: object, kind: type) -> None:
    kinds = (int, float) if kind is float else (kind,)
    if type(value) not in kinds or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{name} is {value!r}, not a {kind.__name__}")


def _recipe(value: object) -> Recipe:
    _exactly(value, {field.name for field in fields(Recipe)}, "recipe")
    for name, default in asdict(Recipe()).items():
        _typed(f"recipe.{name}", value[name], type(default))
    return Recipe(**value)


def _arch(value: object) -> "Arch":
    from inference.networks import NETWORKS, Arch

    _exactly(value, {"family", "options"}, "arch")
    if value["family"] not in NETWORKS:
        raise ValueError(f"unknown network {value['family']!r}")
    if not isinstance(value["options"], dict):
        raise ValueError("the options of the arch are no JSON object")
    return Arch.from_json(value)


def _compact(name: str, tensor: "Tensor") -> "Tensor":
    """Half precision where it fits; integers (batch counters) as they are."""
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor
    if not tensor.isfinite().all():
        raise ValueError(f"weights {name} are not finite")
    half = tensor.half()
    return half if half.isfinite().all() else tensor.float()


def _skeleton(folder: Path, spec: Spec) -> "nn.Module":
    """The network without memory for its weights, nor a draw of random numbers."""
    import torch

    from inference.networks import build

    try:
        with torch.device("meta"):
            return build(spec.arch)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise DamagedArtifact(
            f"{folder.name}: no {spec.arch.family} can be built with the options "
            f"of {SPEC}: {error}."
        ) from error


def _weights(folder: Path, data: bytes) -> dict[str, "Tensor"]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state = load(data)
    except SafetensorError as error:
        raise DamagedArtifact(
            f"{folder.name}: {WEIGHTS} is damaged: {error}."
        ) from error
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise DamagedArtifact(f"{folder.name}: weights {name} are not finite.")
    return {n: t.float() if t.is_floating_point() else t for n, t in state.items()}


def _match(
    folder: Path, wanted: Mapping[str, "Tensor"], state: Mapping[str, "Tensor"]
) -> None:
    for name in sorted(wanted.keys() | state.keys()):
        expected, found = (
            tuple(side[name].shape) if name in side else "none"
            for side in (wanted, state)
        )
        if expected != found:
            raise DamagedArtifact(
                f"{folder.name}: weights {name} have shape {found}, "
                f"the network wants {expected}."
            )
