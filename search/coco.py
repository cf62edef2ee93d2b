"""Which files of a table the boxes of a COCO file were drawn on."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from search.data import coco_boxes
from search.example import Box
from search.table import BadTable

NO_COCO = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


def boxes(path: Path, asked: Sequence[str]) -> dict[str, tuple[Box, ...]]:
    """Each of the files `asked` -> its boxes: those of its full name, else those of its
    bare one. ValueError, in words, where these may be another file's."""
    found = _read(path)
    exact = {file for file in asked if _full(file) in found}
    named = defaultdict(list)
    for name in found.keys() - {_full(file) for file in exact}:
        named[Path(name).name].append(name)
    others = list(dict.fromkeys(file for file in asked if file not in exact))
    rivals = Counter(Path(file).name for file in others)
    marked = {file: found[_full(file)] for file in exact}
    for file in others:
        bare = Path(file).name
        drawn = [box for name in named[bare] for box in found[name]]
        if drawn and (len(named[bare]) > 1 or rivals[bare] > 1):
            raise ValueError(
                f"{path.name}: whose boxes those of {bare} are cannot be told: several "
                "files have this name. Name them with their folders in both files."
            )
        marked[file] = drawn
    return {file: tuple(drawn) for file, drawn in marked.items()}


def _full(name: str) -> str:
    return Path(name).as_posix()


def _read(path: Path) -> Mapping[str, Sequence[Box]]:
    try:
        return {
            _full(name): [_box(box) for box in drawn]
            for name, drawn in coco_boxes(path).items()
        }
    except BadTable:
        raise
    except NO_COCO as error:
        raise ValueError(
            f"{path.name} is no COCO file with boxes [x, y, width, height]: {error!r}"
        ) from error


def _box(told: Sequence[object]) -> Box:
    x, y, width, height = box = tuple(map(float, told))
    if not all(map(isfinite, (x, y, width, height))) or min(width, height) < 0:
        raise ValueError(f"{told} is no box")
    return box
