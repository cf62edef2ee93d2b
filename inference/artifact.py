"""What a model is on disk: spec.json, weights.safetensors and card.json, one digest.

The spec says how to read a radiograph with the weights; the card says what people
should know of them. Nothing is unpickled. The half that reads JSON and digests
works without torch.
"""

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from inference.aggregate import AGGREGATIONS
from inference.doubt import Familiar, Limits
from inference.preprocess import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inference.networks import Arch

SPEC, WEIGHTS, CARD = FILES = ("spec.json", "weights.safetensors", "card.json")
PLAIN = {"name": str, "aggregation": str, "composite": str}
NUMBERS = ("threshold", "confident", "temperature")


class DamagedArtifact(Exception):
    """A model that must not be used. The sentence says what is wrong with it."""


@dataclass(frozen=True)
class Spec:
    """How a model reads: everything but the weights.

    threshold: study probability, [0, 1], from which on a study is flagged as
    suspicious (high sensitivity). confident: from which on the finding is marked as
    confident (high specificity); never below threshold. limits: when to say nothing
    of an image. temperature: divides the logits before the sigmoid. composite: the
    rule set of `inference.explain` that suits the network.
    """

    name: str
    arch: "Arch"
    recipe: Recipe
    aggregation: str
    threshold: float
    confident: float = 1.0
    temperature: float = 1.0
    composite: str = "gamma"
    limits: Limits = field(default_factory=Limits)


def save(
    folder: Path,
    spec: Spec,
    state: Mapping[str, "Tensor"],
    card: Mapping[str, object],
    familiar: Familiar | None = None,
) -> str:
    """Write an artifact whole or not at all, replacing an older one; its digest.

    Floating point weights are kept in half precision where they fit. familiar:
    needed by a spec that limits how unlike the training an image may be.
    ValueError: weights or card hold a number that is not finite, or something else
    stands in the place.
    """
    from inference import weights

    refuse_place(folder)
    contents = {
        SPEC: _json(asdict(spec) | {"arch": spec.arch.to_json()}),
        WEIGHTS: weights.written(state, familiar),
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


def refuse_place(folder: Path, *needed: Path | None) -> None:
    """ValueError, before the work, where no artifact may be written to `folder`: only
    an older one is ever replaced, and none that is `needed` to make the new one."""
    if folder.resolve() in {path.resolve() for path in needed if path}:
        raise ValueError(f"{folder} is what the model is made of: name another folder.")
    if blocking := [p for p in folder.parents if p.exists() and not p.is_dir()]:
        raise ValueError(f"{blocking[0]} is a file, not a folder.")
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - set(FILES):
        raise ValueError(f"{folder} is no model, and is kept: name another folder.")


def file_digest(path: Path) -> str:
    """SHA-256 of any file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def any_digest(source: Path) -> str:
    """Of a file, or of an artifact's folder. OSError, DamagedArtifact."""
    return digest(source) if source.is_dir() else file_digest(source)


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
    from inference import weights

    contents = _trusted(folder, digest, SPEC, WEIGHTS)
    spec = _spec(folder, contents[SPEC])
    with _told(folder):
        return weights.network(spec.arch, contents[WEIGHTS])


def load_familiar(folder: Path, digest: str | None = None) -> Familiar | None:
    """What the model was trained on looks like; None where it does not say.

    Raises DamagedArtifact, also where the spec has a limit for it.
    """
    from inference import weights

    contents = _trusted(folder, digest, SPEC, WEIGHTS)
    spec = _spec(folder, contents[SPEC])
    with _told(folder):
        found = weights.familiar(contents[WEIGHTS])
        if found is None and spec.limits.unlike:
            raise ValueError("it does not say what the training looked like")
    return found


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What is wrong with the weights, as what is wrong with the artifact."""
    try:
        yield
    except ValueError as error:
        raise DamagedArtifact(f"{folder.name}: {WEIGHTS}: {error}.") from error


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
        read = {"arch": _arch, "recipe": _recipe, "limits": _limits}
        return Spec(**value | {key: make(value[key]) for key, make in read.items()})
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
    from inference.explain import COMPOSITES

    for name in (*PLAIN, *NUMBERS):
        _typed(name, value[name], PLAIN.get(name, float))
    if value["aggregation"] not in AGGREGATIONS:
        raise ValueError(f"unknown aggregation {value['aggregation']!r}")
    if value["composite"] not in COMPOSITES:
        raise ValueError(f"unknown LRP composite {value['composite']!r}")
    if not 0 <= value["threshold"] <= 1:
        raise ValueError(f"threshold {value['threshold']} is not in [0, 1]")
    if not value["threshold"] <= value["confident"] <= 1:
        raise ValueError(f"confident {value['confident']} is not in [threshold, 1]")
    if not value["temperature"] > 0:
        raise ValueError(f"temperature {value['temperature']} is not above 0")


def _typed(name: str, value: object, kind: type) -> None:
    kinds = (int, float) if kind is float else (kind,)
    if type(value) not in kinds or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{name} is {value!r}, not a {kind.__name__}")


def _recipe(value: object) -> Recipe:
    return Recipe(**_like(Recipe(), value, "recipe"))


def _limits(value: object) -> Limits:
    _like(Limits(), value, "limits")
    if wrong := [name for name, number in value.items() if number < 0]:
        raise ValueError(f"limits.{wrong[0]} is below 0")
    if value["uncertain_from"] > value["uncertain_to"]:
        raise ValueError("limits.uncertain_from is above limits.uncertain_to")
    return Limits(**value)


def _like(pattern: Recipe | Limits, value: object, of: str) -> dict[str, object]:
    """`value`, if it has the keys of `pattern` and values of the same types."""
    _exactly(value, {field.name for field in fields(pattern)}, of)
    for name, default in asdict(pattern).items():
        _typed(f"{of}.{name}", value[name], type(default))
    return value


def _arch(value: object) -> "Arch":
    from inference.networks import NETWORKS, Arch

    _exactly(value, {"family", "options"}, "arch")
    if value["family"] not in NETWORKS:
        raise ValueError(f"unknown network {value['family']!r}")
    if not isinstance(value["options"], dict):
        raise ValueError("the options of the arch are no JSON object")
    return Arch.from_json(value)
