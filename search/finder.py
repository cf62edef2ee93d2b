"""From a name in a table to the file in a folder that has it, or why there is none."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from inference.reader import Source
from inference.unreadable import UnreadableFrame


class Finder:
    """Files by their path in a folder, or by their bare name anywhere below it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.known = folder, defaultdict(list)
        for path in sorted(folder.rglob("*")):
            if _may_be_file(path):
                self.known[path.name].append(path)

    def source(self, name: str) -> Source:
        return Source(name, partial(self._opened, name))

    def paths(self, name: str) -> list[Path]:
        """Those it may be; none where it is nowhere."""
        direct = self.folder / name
        return [direct] if _may_be_file(direct) else self.known[Path(name).name]

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        """UnreadableFrame, too, for what opens and then cannot be read to its end."""
        paths = self.paths(name)
        if len(paths) != 1:
            many = f"{len(paths)} files have this name." if paths else "No such file."
            raise UnreadableFrame("cannot_open", many)
        try:
            with paths[0].open("rb") as file:
                yield file
        except OSError as error:
            words = f"The file cannot be read: {error.strerror}."
            raise UnreadableFrame("cannot_open", words) from error


def _may_be_file(path: Path) -> bool:
    """What cannot be asked (a name too long) passes: to open it says why not."""
    try:
        return path.is_file()
    except OSError:
        return True
