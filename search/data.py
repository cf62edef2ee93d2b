"""From a folder of labelled radiographs to examples.

A folder is read as FracAtlas if it is laid out so, else as a table `examples.csv`
with one row an image (see `table`). One that was frozen (`search.dataset`) is read
only if it is what it was then. Frames that do not decode are set aside with
their reason and never decoded leniently: in FracAtlas every truncated file is
without a fracture, and a network would learn the grey of the missing half.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from search import dataset
from search.example import (
    Box,
    Example,
    distinct,
    split,
    table,
    without_contradictions,
)
from search.studies import fracatlas, studies
from search.table import BadTable

__all__ = [
    "Box",
    "Example",
    "balanced",
    "demography",
    "examples",
    "members",
    "split",
    "without_contradictions",
]


def examples(folder: Path) -> list[Example]:
    """Every usable example of `folder`. FileNotFoundError where there is no table.

    BadTable where it cannot be used, AlteredDataset if it was frozen and is not that
    any more: both ValueErrors, in words.
    """
    if (folder / dataset.MANIFEST).exists():
        dataset.verify(folder)
    read = _fracatlas if is_fracatlas(folder) else table
    try:
        found = read(folder)
    except BadTable:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        # In FracAtlas' own files.
        raise BadTable(f"{folder.name} is not laid out so: {error!r}.") from error
    if not found:
        raise BadTable(f"{folder.name} lists no image that has a label.")
    return distinct(folder, found)


def is_fracatlas(folder: Path) -> bool:
    """Whether `folder` is laid out as FracAtlas is published."""
    return (folder / "split_info.csv").exists()


def members(folder: Path) -> list[str]:
    """What `examples` reads of `folder`, and the pictures it names: paths in it.

    ValueError where a picture lies elsewhere.
    """
    found = [path for path in folder.iterdir() if path.suffix in (".csv", ".json")]
    found += [example.image for example in examples(folder)]
    if (folder / dataset.MANIFEST).exists():
        found += [p for p in (folder / dataset.STUDIES).rglob("*") if p.is_file()]
    names = {path.relative_to(folder).as_posix() for path in found if path.is_file()}
    if outside := [name for name in names if ".." in Path(name).parts]:
        raise ValueError(f"{outside[0]} lies outside of {folder.name}.")
    return sorted(names)


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


def _natural(text: str) -> tuple[int, str]:
    return (int(text) if text.isdigit() else 0, text)


def _fracatlas(folder: Path) -> list[Example]:
    """FracAtlas (Abedeen et al. 2023, doi:10.1038/s41597-023-02432-4).

    It names no patients and no studies. Consecutive images are views of one
    person, so the published block stands for the patient; which images make a study
    is guessed (search/studies.py). Labels remain those of the image.
    """
    boxes = coco_boxes(folder / "fractures_coco.json")
    known = fracatlas(folder)
    study = studies(known)
    traits = {row["image_id"]: _traits(row) for row in known}
    return [
        Example(
            image=folder / "images" / row["folder"] / row["image_id"],
            label=int(row["fractured_folder"]),
            study=study[row["image_id"]],
            patient=row["block"],
            group=row["neardup_group"],
            part=_part(row),
            boxes=tuple(boxes[row["image_id"]]),
            traits=traits[row["image_id"]],
        )
        for row in known
        if row["truncated"] == "0" and row["dup_flag"] != "crosslabel_dup"
    ]


def _traits(row: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """FracAtlas names metal "hardware", and may call an image several views."""
    views = [view for view in ("frontal", "lateral", "oblique") if row[view] == "1"]
    metal = "yes" if row["hardware"] == "1" else "no"
    return (("metal", metal), ("view", " and ".join(views) or "unknown"))


def _part(row: dict[str, str]) -> str:
    """FracAtlas calls the whole upper limb "hand", and may name several parts."""
    return next((p for p in ("hand", "shoulder", "hip", "leg") if row[p] == "1"), "")


def coco_boxes(path: Path) -> dict[str, list[Box]]:
    """File name -> its boxes, of a COCO file; none for an image that has none. BadTable
    where one with boxes may be another."""
    coco = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    pairs = {(image["id"], Path(image["file_name"])) for image in coco["images"]}
    listed = Counter(number for number, _ in pairs)
    alike = Counter(name for _, name in pairs)
    for drawn in {annotation["image_id"] for annotation in coco["annotations"]}:
        if listed[drawn] > 1 or alike[Path(names[drawn])] > 1:
            raise BadTable(
                f"{path.name}: whose boxes those of {names[drawn]} are cannot be told: "
                "several images are listed by its name or number."
            )
    kinds = coco.get("categories", [])
    fractures = {k["id"] for k in kinds if "fractur" in str(k["name"]).casefold()}
    boxes = defaultdict(list, {name: [] for name in names.values()})
    for annotation in coco["annotations"]:
        if fractures and annotation.get("category_id") not in fractures:
            continue  # metal, a cast, a letter: what else was marked
        boxes[names[annotation["image_id"]]].append(tuple(annotation["bbox"]))
    return boxes
