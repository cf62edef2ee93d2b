"""What a supernet's file says of itself, told without its weights: no torch here."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from search.spaces import SPACES

NOTES = "osteon supernet"  # alone: with two, the same supernet has many digests


def notes(path: Path) -> dict[str, object]:
    """Its space, what it looks at and its source. ValueError, in words, for any other
    file; OSError where there is none."""
    try:
        with safe_open(path, "numpy") as file:
            about = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path.name} is no supernet, or damaged: {error}") from error
    if NOTES not in about:
        raise ValueError(f"{path.name} is no supernet; import or train one first")
    try:
        found = json.loads(about[NOTES])
        known = found["space"] in SPACES
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name} is no supernet, or damaged: {error}") from error
    if not known:
        raise ValueError(f"{path.name} is no supernet of a space known here")
    return found


def refuse_other(path: Path, space: str) -> None:
    """ValueError, in words, for what no candidate of this space is cut out of."""
    if (its := notes(path)["space"]) != space:
        raise ValueError(
            f"{path.name} is a supernet of {its}, candidates of {space} are not cut "
            f"out of it. Remedy: --space {its}"
        )
