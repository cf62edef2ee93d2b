"""What is kept of a training after each epoch, whole or not at all."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from search.once import settle

CHECKPOINT = "checkpoint.safetensors"

log = logging.getLogger(__name__)


def write(
    folder: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, object]
) -> None:
    """Replace what is kept in `folder`. notes: what JSON can tell, `plan` among it."""
    partial = folder / "checkpoint.part"
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    save_file(contiguous, partial, {"notes": json.dumps(notes)})
    settle(partial, folder / CHECKPOINT)


def read(
    path: Path, plan: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """-> notes and tensors; None if there is no file, or a damaged one, of which the
    log is told. ValueError if it belongs to another plan than `plan`."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            notes = json.loads(file.metadata()["notes"])
        known, tensors = notes["plan"], load_file(path)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        log.warning("%s is damaged, the training begins anew: %s", path, error)
        return None
    if known != json.loads(json.dumps(plan)):
        raise ValueError(f"{path} is a checkpoint of another plan; remove it")
    return notes, tensors
