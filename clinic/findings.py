"""What a command found, as a file: whether it can be written is asked before the work.

A command may read for hours; a folder that is not there must not cost its answer.
"""

import json
import os
from argparse import ArgumentTypeError
from pathlib import Path

from django.core.management.base import CommandError


def json_file(name: str) -> Path:
    """An argument's type: a file that can be written."""
    path = Path(name)
    if path.is_dir():
        raise ArgumentTypeError(f"{path} is a folder, not a file.")
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {path.parent} to write it to.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ArgumentTypeError(f"{path} may not be written.")
    return path


def write(path: Path, found: object) -> None:
    """After it was shown: what a full disk refuses is not lost then. CommandError."""
    text = json.dumps(found, indent=1, allow_nan=False) + "\n"
    try:
        path.write_text(text)
    except OSError as error:
        raise CommandError(f"{path} could not be written: {error.strerror}.") from error


def refuse_overwriting(path: Path | None, *sources: Path | None) -> None:
    """CommandError where `path` is one of the files that are read."""
    if path and path.resolve() in {source.resolve() for source in sources if source}:
        raise CommandError(f"{path} is read by this command: name another file.")
