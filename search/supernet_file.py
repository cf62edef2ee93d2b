"""A supernet as a file: its weights, what they look at and where they come from."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from inference.artifact import file_digest
from search.spaces import SPACES
from search.supernet import Supernet

NOTES = "osteon supernet"  # alone: with two, the same supernet has many digests


def save(path: Path, supernet: Supernet, source: Mapping[str, object]) -> str:
    """-> its SHA-256. source: where the weights come from, in JSON."""
    notes = {
        "space": next(n for n, space in SPACES.items() if space == supernet.space),
        "colours": supernet.colours,
        "mean": supernet.mean,
        "std": supernet.std,
        "source": dict(source),
    }
    state = {name: value.contiguous() for name, value in supernet.state_dict().items()}
    partial = path.with_name(path.name + ".part")
    save_file(state, partial, {NOTES: json.dumps(notes)})
    partial.replace(path)
    return file_digest(path)


def load(path: Path) -> tuple[Supernet, dict[str, object]]:
    """-> the supernet, and its source. ValueError, in words, for any other file."""
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
        if NOTES not in about:
            raise ValueError(f"{path.name} is no supernet; import or train one first")
        notes = json.loads(about[NOTES])
        source = notes.pop("source")
        made = Supernet(SPACES[notes.pop("space")], **notes)
        made.load_state_dict(load_file(path))
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path.name} is no supernet, or damaged: {error}") from error
    return made.eval(), source
