"""From a folder of labelled radiographs to examples, and to splits that cannot leak.

A folder is read as FracAtlas if it is laid out so, else as a table `examples.csv`
with one row an image (see `_table`). Frames that do not decode are set aside with
their reason and never decoded leniently: in FracAtlas every truncated file is
without a fracture, and a network would learn the grey of the missing half.
"""

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.studies import studies

Box = tuple[float, float, float, float]  # x, y, width, height in frame pixels


@dataclass(frozen=True)
class Example:
    """One labelled radiograph.

    label: 1 fractured, 0 not. patient: whoever must stay on one side of a split;
    where nobody is named (FracAtlas), the block of consecutive images. group:
    near-duplicates of one another share it; "" where there are none. part: body
    part. boxes: where the fractures are, if anybody marked them. weight: how much
    the label counts in training, in (0, 1].
    """

    image: Path
    label: int
    study: str
    patient: str
    group: str = ""
    part: str = ""
    boxes: tuple[Box, ...] = ()
    weight: float = 1.0


def examples(folder: Path) -> list[Example]:
    """Every usable example of `folder`. FileNotFoundError where there is no table."""
    read = _fracatlas if (folder / "split_info.csv").exists() else _table
    return read(folder)


def without_contradictions(found: Sequence[Example]) -> list[Example]:
    """Drop the groups of near-duplicates whose labels disagree."""
    labels = defaultdict(set)
    for example in found:
        labels[example.group].add(example.label)
    return [e for e in found if not e.group or len(labels[e.group]) == 1]


def split(
    found: Sequence[Example], share: float, purpose: str
) -> tuple[list[Example], list[Example]]:
    """Divide into (rest, held) by patient, about `share` of them held.

    Membership is a hash of the patient, not a shuffle: a patient stays on their
    side as the archive grows. `purpose` salts the hash; nested splits need
    different purposes to be independent. What is a near-duplicate of a held
    example is in neither part: it would tell the rest what the held look like.
    """
    inside = [_fraction(f"{purpose}/{e.patient}") < share for e in found]
    held = [e for e, is_held in zip(found, inside, strict=True) if is_held]
    known = {e.group for e in held if e.group}
    rest = [
        e
        for e, is_held in zip(found, inside, strict=True)
        if not is_held and e.group not in known
    ]
    return rest, held


def balanced(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of one epoch: 2 min(n_b, n_nb) of them, each at most once.

    A sample is drawn with probability n_opposite / (2 n_b n_nb), so both classes
    are equally likely however rare one of them is. Both must occur (ValueError).

    labels: (N,) of 0 and 1.
    """
    broken = int(labels.sum())
    sound = len(labels) - broken
    if not broken or not sound:
        raise ValueError("one of the two classes has no example to learn from")
    chance = np.where(labels == 1, sound, broken) / (2 * broken * sound)
    count = 2 * min(broken, sound)
    return rng.choice(len(labels), size=count, replace=False, p=chance)


def demography(found: Iterable[Example]) -> dict[str, object]:
    """What a card says of a part of the data: how many, of what, from whom."""
    found = list(found)
    return {
        "images": len(found),
        "fractured": sum(e.label for e in found),
        "patients": sorted({e.patient for e in found}, key=_natural),
        "parts": dict(Counter(e.part for e in found)),
    }


def _fraction(text: str) -> float:
    """A stable pseudo-random number in [0, 1)."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


def _natural(text: str) -> tuple[int, str]:
    return (int(text) if text.isdigit() else 0, text)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _table(folder: Path) -> list[Example]:
    """`examples.csv`: image (path in the folder), label, study, patient, and if
    known group, part, boxes (JSON list of [x, y, width, height]), weight."""
    return [
        Example(
            image=folder / row["image"],
            label=int(row["label"]),
            study=row["study"],
            patient=row["patient"],
            group=row.get("group") or "",
            part=row.get("part") or "",
            boxes=tuple(map(tuple, json.loads(row.get("boxes") or "[]"))),
            weight=float(row.get("weight") or 1),
        )
        for row in _rows(folder / "examples.csv")
    ]


def _fracatlas(folder: Path) -> list[Example]:
    """FracAtlas (Abedeen et al. 2023, doi:10.1038/s41597-023-02432-4).

    It names no patients and no studies. Consecutive images are views of one
    person, so the published block stands for the patient; which images make a study
    is guessed (search/studies.py). Labels remain those of the image.
    """
    boxes = _coco_boxes(folder / "fractures_coco.json")
    study = _fracatlas_studies(folder)
    return [
        Example(
            image=folder / "images" / row["folder"] / row["image_id"],
            label=int(row["fractured_folder"]),
            study=study[row["image_id"]],
            patient=row["block"],
            group=row["neardup_group"],
            part=_part(row),
            boxes=tuple(boxes[row["image_id"]]),
        )
        for row in _rows(folder / "split_info.csv")
        if row["truncated"] == "0" and row["dup_flag"] != "crosslabel_dup"
    ]


def _fracatlas_studies(folder: Path) -> dict[str, str]:
    """Image id -> study; both tables know something of every image."""
    published = {row["image_id"]: row for row in _rows(folder / "dataset.csv")}
    rows = _rows(folder / "split_info.csv")
    return studies(published[row["image_id"]] | row for row in rows)


def _part(row: dict[str, str]) -> str:
    """FracAtlas calls the whole upper limb "hand", and may name several parts."""
    return next((p for p in ("hand", "shoulder", "hip", "leg") if row[p] == "1"), "")


def _coco_boxes(path: Path) -> dict[str, list[Box]]:
    coco = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    boxes = defaultdict(list)
    for annotation in coco["annotations"]:
        boxes[names[annotation["image_id"]]].append(tuple(annotation["bbox"]))
    return boxes
