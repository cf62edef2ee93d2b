"""Work that one process does and the others of this machine then find done."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np

# What numpy says of a file that is not what it was written as.
DAMAGED = (BadZipFile, EOFError, KeyError, NotImplementedError, ValueError)

Found = TypeVar("Found")
log = logging.getLogger(__name__)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One process of this machine at a time; a killed one keeps nobody waiting."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def once(
    path: Path, write: Callable[[Path], None], read: Callable[[Path], Found]
) -> Found:
    """What `read` finds in the file `path`, which `write` makes, whole or not at all,
    unless it is there; a damaged one is made anew.

    Who asks for it while another is at work waits for it: trainings of several seeds
    begin with the same views. read: must find something, and raise DAMAGED.
    """
    found = _standing(path, read)
    if found is not None:
        return found
    with alone(path.with_name(f".{path.name}.lock")):
        found = _standing(path, read)
        if found is not None:
            return found
        partial = path.with_name(f".part-{path.name}")
        write(partial)
        settle(partial, path)
    return read(path)


def settle(partial: Path, path: Path) -> None:
    """Rename `partial` to `path` when all of it is on the disk: a machine that goes
    down leaves the file as it was or as it is now."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def _standing(path: Path, read: Callable[[Path], Found]) -> Found | None:
    if not path.exists():
        return None
    try:
        return read(path)
    except DAMAGED as error:
        log.warning("%s is damaged and made anew: %s", path, error)
        return None


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All that a file of numpy's holds (.npz), for `once` to read."""
    with np.load(path) as kept:
        return {name: kept[name] for name in kept.files}
