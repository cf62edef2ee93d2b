"""Which consecutive images of FracAtlas are views of one person.

FracAtlas names no studies, but its ids follow the order in which films were taken,
and a department takes the frontal view first. So an image goes on with the study of
the one before it (the next id, the same block) if both show one part of the body and
it has no frontal view; a second frontal view goes on only at the shoulder, where it
is the raised arm. An image that holds several views is a whole study, and no study
has more than LONGEST images. Part and view are published columns of dataset.csv; the
fracture columns and the pixels are not looked at.

How often this is right was judged by eye on pairs of neighbours drawn by chance
(tests/search/fracatlas_studies.csv): on 65 clear ones that had no part in making the
rule, 26 of 29 joins are right and 26 of 28 neighbours of one person are joined
(`tests/benchmarks/studies.py`). What it misses are mostly second frontal views. A
split by block keeps any mistake on one side.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from search.table import BadTable, rows

Row = Mapping[str, str]  # of dataset.csv, with the block

PARTS = ("hand", "leg", "hip", "shoulder")
VIEWS = ("frontal", "lateral", "oblique")
LONGEST = 4
PUBLISHED = ("image_id", *PARTS, *VIEWS, "hardware", "multiscan")
SPLIT = (
    "image_id", "folder", "block", "neardup_group", "dup_flag", "truncated",
    "fractured_folder",
)  # fmt: skip


def fracatlas(folder: Path) -> list[dict[str, str]]:
    """What both tables of FracAtlas know of every image. BadTable, in words."""
    table = rows(folder / "dataset.csv", *PUBLISHED)
    published = {row["image_id"]: row for _, row in table}
    found = []
    for line, row in rows(folder / "split_info.csv", *SPLIT):
        if row["image_id"] not in published:
            name = row["image_id"][:40]
            raise BadTable(f"split_info.csv, line {line}: dataset.csv has no “{name}”.")
        found.append(published[row["image_id"]] | row)
    return found


def studies(images: Iterable[Row]) -> dict[str, str]:
    """The study of each image id, named by its first image without the suffix.

    images: all of them, also those that will not be used, for they join others.
    """
    found: dict[str, str] = {}
    study: list[Row] = []
    for row in sorted(images, key=lambda row: _number(row["image_id"])):
        study = [*study, row] if study and _goes_on(study, row) else [row]
        found[row["image_id"]] = Path(study[0]["image_id"]).stem
    return found


def _goes_on(study: list[Row], row: Row) -> bool:
    last = study[-1]
    neighbours = _number(row["image_id"]) - _number(last["image_id"]) == 1
    shared = _marked(row, PARTS) & _marked(last, PARTS)
    if not neighbours or row["block"] != last["block"] or not shared:
        return False
    if len(study) == LONGEST or _is_whole(last) or _is_whole(row):
        return False
    if row["multiscan"] > last["multiscan"]:
        return False
    return not _is_frontal(row) or (
        len(study) == 1 and "shoulder" in shared and _is_frontal(last)
    )


def _is_whole(row: Row) -> bool:
    return row["multiscan"] == "1" and len(_marked(row, VIEWS)) > 1


def _is_frontal(row: Row) -> bool:
    return row["frontal"] == "1"


def _marked(row: Row, columns: Iterable[str]) -> set[str]:
    return {column for column in columns if row[column] == "1"}


def _number(image_id: str) -> int:
    return int("".join(filter(str.isdigit, image_id)) or 0)
