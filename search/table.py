"""The table that comes with images: whose they are, what they show, what is known.

One row an image or a study. `image` is a path below the source folder or a SOP
instance UID; `study` alone a study instance UID or an accession number, and then the
row holds for every image of that study.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KEYS = ("image", "study")
# What a row may add to, or say better than, the header.
SAID = ("label", "group", "part", "boxes", "age", "sex", "side", "view")
SAID += ("maker", "spacing", "cast", "metal")
LABELS = ("0", "1", "")


class BadTable(ValueError):
    """A table that cannot be used, with the line and the reason in words."""


@dataclass(frozen=True)
class Table:
    """images and studies: key -> row. A key is found once, or twice with one label."""

    images: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    studies: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def row(self, images: tuple[str, ...], studies: tuple[str, ...]) -> dict[str, str]:
        """What is said of the image with any of these keys; {} if nothing is."""
        found: dict[str, str] = {}
        for rows, keys in (self.studies, studies), (self.images, images):
            for key in filter(None, keys):
                found |= {k: v for k, v in rows.get(key, {}).items() if v}
        return found


def read(path: Path) -> Table:
    """BadTable if a row says nothing, too much, or two things."""
    images: dict[str, Mapping[str, str]] = {}
    studies: dict[str, Mapping[str, str]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        _check_columns(path, reader.fieldnames or [])
        for row in reader:
            said = {k: (v or "").strip() for k, v in row.items() if k}
            where = f"{path.name}, line {reader.line_num}"
            rows, key = images, Path(said.get("image") or "").as_posix()
            if not said.get("image"):
                rows, key = studies, said.get("study", "")
            if not key:
                raise BadTable(f"{where}: the row names no image and no study.")
            _add(rows, key, said, where)
    return Table(images, studies)


def _check_columns(path: Path, columns: list[str]) -> None:
    if not set(KEYS) & set(columns):
        raise BadTable(f"{path.name} has neither a column image nor a column study.")


def _add(
    rows: dict[str, Mapping[str, str]], key: str, said: dict[str, str], where: str
) -> None:
    label = said.get("label", "")
    if label not in LABELS:
        raise BadTable(f"{where}: the label “{label[:20]}” is neither 0 nor 1.")
    if not _is_age(said.get("age", "")) or not _are_boxes(said.get("boxes", "")):
        raise BadTable(f"{where}: the age or the boxes cannot be understood.")
    known = rows.setdefault(key, said)
    if known.get("label", "") != label:
        raise BadTable(f"{where}: “{key[:80]}” is given two labels.")


def _is_age(text: str) -> bool:
    try:
        return not text or 0 <= float(text) < 130
    except ValueError:
        return False


def _are_boxes(text: str) -> bool:
    try:
        boxes = json.loads(text or "[]")
        return all(len([float(number) for number in box]) == 4 for box in boxes)
    except (TypeError, ValueError):
        return False
