"""What a command found, as a file: whether it can be written is asked before the work.

A command may read for hours; a folder that is not there must not cost its answer.
"""

import json
import os
from argparse import ArgumentTypeError
from pathlib import Path


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
    path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
