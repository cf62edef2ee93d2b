"""The table that comes with images: whose they are, what they show, what is known.

One row an image or a study. `image` is a path below the source folder or a SOP
instance UID; `study` alone a study instance UID or an accession number, and then the
row holds for every image of that study.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from inference import spelling

SENTENCE = 500  # characters
KEYS = ("image", "study")
# What a row may add to, or say better than, the header.
SAID = ("label", "group", "part", "boxes", "age", "sex", "side", "view")
SAID += ("maker", "spacing", "cast", "metal")
LABELS = ("0", "1", "")


class BadTable(ValueError):
    """A table that cannot be used, with the line and the reason in words; what it
    quotes of the table is one printable line."""

    def __init__(self, words: str) -> None:
        super().__init__(spelling.line(words, SENTENCE))


@dataclass(frozen=True)
class Table:
    """images and studies: key -> row. A key is found once, or twice saying the same.

    lines: key -> where in the file its row ends.
    """

    images: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    studies: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def row(self, images: tuple[str, ...], studies: tuple[str, ...]) -> dict[str, str]:
        """What is said of the image with any of these keys; {} if nothing is."""
        found: dict[str, str] = {}
        for rows, keys in (self.studies, studies), (self.images, images):
            for key in filter(None, keys):
                found |= {k: v for k, v in rows.get(key, {}).items() if v}
        return found

    def matched(self, images: tuple[str, ...], studies: tuple[str, ...]) -> set[int]:
        """The lines of the rows that say something of an image with these keys."""
        found = {key for key in images if key in self.images}
        found |= {key for key in studies if key in self.studies}
        return {self.lines[key] for key in found & self.lines.keys()}


def read(path: Path) -> Table:
    """BadTable if a row says nothing, too much, or two things."""
    images: dict[str, Mapping[str, str]] = {}
    studies: dict[str, Mapping[str, str]] = {}
    lines: dict[str, int] = {}
    if not set(KEYS) & set(columns(path)):
        raise BadTable(f"{path.name} has neither a column image nor a column study.")
    for line, row in rows(path):
        said = {name: value.strip() for name, value in row.items()}
        where = f"{path.name}, line {line}"
        known, key = images, Path(said.get("image") or "").as_posix()
        if not said.get("image"):
            known, key = studies, said.get("study", "")
        if not key:
            raise BadTable(f"{where}: the row names no image and no study.")
        _add(known, key, said, where)
        lines.setdefault(key, line)
    return Table(images, studies, lines)


def columns(path: Path) -> list[str]:
    """The names in the first line of a CSV, in lower case and without blanks around
    them. BadTable where it is none, or where two columns have one name."""
    with path.open(newline="", encoding="utf-8-sig") as file, _understood(path):
        found = [name.strip().lower() for name in next(csv.reader(file), [])]
    if doubled := [name for name, n in Counter(filter(None, found)).items() if n > 1]:
        raise BadTable(f"{path.name} has the column {doubled[0]} twice.")
    return found


def rows(path: Path, *needed: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a CSV, "" for what a short row lacks. BadTable, in words, where
    it is none or has not all columns that are `needed`."""
    known = columns(path)
    if lacking := [name for name in needed if name not in known]:
        raise BadTable(f"{path.name} has no column {lacking[0]}.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, known)
        next(reader, None)  # the names
        while True:
            with _understood(path, reader):
                row = next(reader, None)
            if row is None:
                return
            yield reader.line_num, {k: v or "" for k, v in row.items() if k}


@contextmanager
def _understood(path: Path, reader: csv.DictReader | None = None) -> Iterator[None]:
    try:
        yield
    except (csv.Error, UnicodeDecodeError) as error:
        line = f", after line {reader.line_num}" if reader else ""
        raise BadTable(f"{path.name}{line}: this is no CSV ({error}).") from error


def _add(
    rows: dict[str, Mapping[str, str]], key: str, said: dict[str, str], where: str
) -> None:
    label = said.get("label", "")
    if label not in LABELS:
        raise BadTable(f"{where}: the label “{label[:20]}” is neither 0 nor 1.")
    if not _is_age(said.get("age", "")) or boxes_of(said.get("boxes", "")) is None:
        raise BadTable(f"{where}: the age or the boxes cannot be understood.")
    known = rows.setdefault(key, said)
    if known.get("label", "") != label:
        raise BadTable(f"{where}: “{key[:80]}” is given two labels.")
    if differing := [name for name in said if known.get(name, "") != said[name]]:
        raise BadTable(
            f"{where}: of “{key[:80]}” an earlier row says something else: "
            f"{', '.join(differing)}. All of it, several boxes too, goes into one row."
        )


def _is_age(text: str) -> bool:
    try:
        return not text or 0 <= float(text) < 130
    except ValueError:
        return False


def boxes_of(text: str) -> tuple[tuple[float, ...], ...] | None:
    """[[x, y, width, height], …] as JSON; None if it is something else."""
    try:
        found = tuple(map(_box, json.loads(text or "[]")))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return found if None not in found else None


def _box(told: object) -> tuple[float, ...] | None:
    if not isinstance(told, list) or len(told) != 4:
        return None
    box = tuple(float(number) for number in told)
    return box if all(map(isfinite, box)) and min(box[2:]) >= 0 else None
