"""One side of a data set as the files an exam asks for (`search.exam`). No torch."""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from search import data
from search.dataset import write_text
from search.example import Example
from search.parts import Parts, refuse_lacking

LABELS, BOXES = "labels.csv", "boxes.json"
COLUMNS = ("image", "label", "study", "patient")


def excerpt(folder: Path, side: str, out: Path) -> list[Example]:
    """Write LABELS of one side of the data set `folder` to `out`, and BOXES if any
    fracture of it is marked; -> its examples. Images are named by their paths in
    `folder`. ValueError, in words, for what cannot be written, or of whom."""
    _refuse_taken(folder, out)
    try:
        parts = Parts.of(data.examples(folder))
    except FileNotFoundError as error:
        words = f"{folder} is no data set: there is no {error.filename}."
        raise ValueError(words) from error
    refuse_lacking(parts, some=(side,))
    named = {_path(folder, e): e for e in getattr(parts, side)}
    out.mkdir(parents=True, exist_ok=True)
    if any(example.boxes for example in named.values()):
        write_text(out / BOXES, json.dumps(_coco(named)))
    write_text(out / LABELS, _table(named))
    return list(named.values())


def in_words(side: str, found: Sequence[Example]) -> str:
    """How many there are of what, and how many of these show a fracture."""
    counts = {
        "images": _count(found, lambda example: example.name),
        "studies": _count(found, lambda example: example.study),
        "patients": _count(found, lambda example: example.patient),
    }
    told = (f"{what} {n} (fractured {broken})" for what, (n, broken) in counts.items())
    marked = sum(bool(example.boxes) for example in found)
    boxes = f"fractures are marked on {marked}" if marked else "no fracture is marked"
    return f"{side}: {', '.join(told)}; {boxes}."


def _refuse_taken(folder: Path, out: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder.")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is no folder.")
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{out} lies in the data set: choose another folder.")
    if there := [name for name in (LABELS, BOXES) if (out / name).exists()]:
        raise ValueError(f"{out / there[0]} is there already and is not overwritten.")


def _path(folder: Path, example: Example) -> str:
    return Path(os.path.relpath(example.image, folder)).as_posix()


def _table(named: Mapping[str, Example]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((n, e.label, e.study, e.patient) for n, e in named.items())
    return text.getvalue()


def _coco(named: Mapping[str, Example]) -> dict[str, object]:
    numbered = list(enumerate(named.items(), 1))
    boxes = [(i, box) for i, (_, example) in numbered for box in example.boxes]
    return {
        "categories": [{"id": 1, "name": "fracture"}],
        "images": [{"id": i, "file_name": name} for i, (name, _) in numbered],
        "annotations": [
            {"id": n, "image_id": i, "category_id": 1, "bbox": box}
            for n, (i, box) in enumerate(boxes, 1)
        ],
    }


def _count(found: Sequence[Example], of: Callable[[Example], str]) -> tuple[int, int]:
    """Of all, and of those with a fracture."""
    return len(set(map(of, found))), len({of(e) for e in found if e.label})
