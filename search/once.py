"""Work that one process does and the others of this machine then find done."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One process of this machine at a time; a killed one keeps nobody waiting."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def once(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` make the file `path`, whole or not at all, unless it is there.

    Who asks for it while another is at work waits for it: trainings of several seeds
    begin with the same views.
    """
    if path.exists():
        return
    with alone(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            partial = path.with_name(f".part-{path.name}")
            write(partial)
            partial.replace(path)
