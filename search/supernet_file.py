"""A supernet as a file: its weights, what they look at and where they come from."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from inference.artifact import file_digest
from search.spaces import SPACES
from search.supernet import Supernet
from search.supernet_header import NOTES, notes


def save(path: Path, supernet: Supernet, source: Mapping[str, object]) -> str:
    """-> its SHA-256. source: where the weights come from, in JSON."""
    said = {
        "space": next(n for n, space in SPACES.items() if space == supernet.space),
        "colours": supernet.colours,
        "mean": supernet.mean,
        "std": supernet.std,
        "source": dict(source),
    }
    state = {name: value.contiguous() for name, value in supernet.state_dict().items()}
    partial = path.with_name(path.name + ".part")
    save_file(state, partial, {NOTES: json.dumps(said)})
    partial.replace(path)
    return file_digest(path)


def load(path: Path) -> tuple[Supernet, dict[str, object]]:
    """-> the supernet, and its source. ValueError, in words, for any other file."""
    said = notes(path)
    try:
        source = said.pop("source")
        made = Supernet(SPACES[said.pop("space")], **said)
        made.load_state_dict(load_file(path))
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path.name} is no supernet, or damaged: {error}") from error
    return made.eval(), source
