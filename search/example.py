"""One labelled radiograph, tables of them, and splits that cannot leak."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inference import spelling
from search import traits
from search.deidentify import patient_id
from search.table import BadTable, boxes_of
from search.table import rows as numbered

Box = tuple[float, float, float, float]  # x, y, width, height in frame pixels
NAMED = ("image", "label", "study", "patient")  # what a row of a table cannot lack


@dataclass(frozen=True)
class Example:
    """One labelled radiograph.

    label: 1 fractured, 0 not. patient: whoever must stay on one side of a split;
    where nobody is named (FracAtlas), the block of consecutive images. group:
    near-duplicates of one another share it; "" where there are none. part: body
    part. boxes: where the fractures are, if anybody marked them. weight: how much
    the label counts in training, in (0, 1]. traits: (name, value) of what else is
    known of it: whether it shows metal, the view. known_as: its path in its data set,
    if another file there has the same name.
    """

    image: Path
    label: int
    study: str
    patient: str
    group: str = ""
    part: str = ""
    boxes: tuple[Box, ...] = ()
    weight: float = 1.0
    traits: tuple[tuple[str, str], ...] = ()
    known_as: str = ""

    @property
    def name(self) -> str:
        """Of its picture; no other of its data set has it."""
        return self.known_as or self.image.name


def table(folder: Path) -> list[Example]:
    """`examples.csv`: image (path in the folder), label, study, patient, and if
    known group, part, boxes (JSON list of [x, y, width, height]), weight, and what
    `search.traits` names. BadTable, in words, for a row that cannot be used."""
    path = folder / "examples.csv"
    return [
        _example(folder, row, f"{path.name}, line {line}")
        for line, row in numbered(path, *NAMED)
    ]


def _example(folder: Path, row: Mapping[str, str], where: str) -> Example:
    if lacking := [name for name in NAMED if not spelling.line(row[name], 64)]:
        raise BadTable(f"{where}: the row has no {lacking[0]}.")
    if row["label"] not in ("0", "1"):
        words = f"the label “{row['label'][:20]}” is neither 0 nor 1"
        raise BadTable(f"{where}: {words}.")
    boxes, weight = boxes_of(row.get("boxes", "")), _weight(row.get("weight", ""))
    if boxes is None or weight is None:
        what = "boxes" if boxes is None else "weight"
        raise BadTable(f"{where}: the {what} cannot be understood.")
    return Example(
        image=folder / row["image"],
        label=int(row["label"]),
        study=row["study"].strip(),
        patient=patient_id(row["patient"]),
        group=row.get("group", ""),
        part=row.get("part", ""),
        boxes=boxes,
        weight=weight,
        traits=traits.of(row),
    )


def distinct(folder: Path, found: Sequence[Example]) -> list[Example]:
    """`found`, those of one file name known by their paths in `folder`. BadTable
    where a picture is named twice."""
    times = Counter(example.image.name for example in found)
    named: dict[str, Example] = {}
    for example in found:
        if times[example.image.name] > 1:
            path = Path(os.path.relpath(example.image, folder)).as_posix()
            example = replace(example, known_as=path)
        if example.name in named:
            raise BadTable(f"{folder.name} names the picture {example.name} twice.")
        named[example.name] = example
    return list(named.values())


def _weight(text: str) -> float | None:
    """In (0, 1]; 1 where nothing is said."""
    try:
        weight = float(text or 1)
    except ValueError:
        return None
    return weight if 0 < weight <= 1 else None


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


def rows(path: Path, *needed: str) -> Iterator[dict[str, str]]:
    """Of a CSV; see `search.table.rows`."""
    return (row for _, row in numbered(path, *needed))


def _fraction(text: str) -> float:
    """A stable pseudo-random number in [0, 1)."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8
