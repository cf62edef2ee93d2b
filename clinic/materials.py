"""What the data folder holds for searches: chosen by name, so that no page or script
can point at anything else on the machine."""

import json
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError

KINDS = {  # folder below OSTEON_DATA -> what one entry looks like
    "datasets": "*/examples.csv",
    "supernets": "*.safetensors",
    "latency": "*.json",
    "proposals": "*.json",
}
PARENT = "parent"  # proposes what it suspects itself


def names(kind: str) -> list[str]:
    """Those that may be chosen, by the alphabet."""
    folder = settings.DATA_ROOT / kind
    found = (path.relative_to(folder).parts[0] for path in folder.glob(KINDS[kind]))
    return sorted(found)


def path(kind: str, name: str) -> Path | None:
    """None for no name; ValidationError, by the kind, for one that is not there."""
    if not name:
        return None
    if name not in names(kind):
        words = f"{kind}: there is no {name} in the data folder."
        raise ValidationError({kind: words})
    return settings.DATA_ROOT / kind / name


def latency_table(name: str) -> dict[str, object] | None:
    """A stored table; whether it holds is for `search.hardware` to judge."""
    found = path("latency", name)
    return read_table(found.read_bytes()) if found else None


def read_table(written: bytes) -> dict[str, object]:
    """ValidationError for what is no JSON object."""
    try:
        said = json.loads(written)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        words = "latency: this file is no latency table (JSON)."
        raise ValidationError({"latency": words})
    return said
