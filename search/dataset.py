"""A built data set on disk, and the digest that freezes it.

    studies/<study>/study.csv   one row an image, <image>.png beside it
    studies/<study>/study.json  what was made of which sources
    examples.csv                every labelled image: what training reads
    report.json, report.txt     what was dropped, and why
    demographics.json, .html    who is in it
    .seen/<study>               whether its sources are still the same (transform)
    dataset.json                the manifest, written last: no other file counts without
    options.json                how it was built; of the salt its mark

The digest covers the SHA-256 of every table and picture, the label of every image
and the side of every patient. No torch.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from inference.artifact import file_digest
from search.example import Example, table
from search.parts import Parts
from search.table import BadTable

MANIFEST, EXAMPLES, STUDIES = "dataset.json", "examples.csv", "studies"
OPTIONS = "options.json"
COLUMNS = (
    "image", "label", "study", "patient", "group", "part", "boxes", "date", "age",
    "sex", "side", "view", "maker", "spacing", "cast", "metal",
)  # fmt: skip
VERSION = 1


class AlteredDataset(ValueError):
    """A data set that is not what was frozen, and in what."""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def all_rows(folder: Path) -> Iterator[dict[str, str]]:
    """The rows of every study, labelled or not."""
    for path in sorted((folder / STUDIES).glob("*/study.csv")):
        yield from rows_of(path)


def write_rows(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """All of COLUMNS; the file is there whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


def write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def freeze(folder: Path) -> dict[str, object]:
    """Write the manifest over what `folder` holds; -> the manifest."""
    manifest = _measured(folder) | {"salts": salts(folder)}
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
    return manifest


def verify(folder: Path) -> dict[str, object]:
    """The manifest of `folder`. AlteredDataset unless all is as it was frozen."""
    said = _read(folder)
    if said.get("version") != VERSION:
        raise AlteredDataset(f"{folder}: {MANIFEST} is of an unknown version.")
    _refuse_other_salt(folder, said)
    try:
        found = _measured(folder)
    except (BadTable, OSError) as error:
        raise AlteredDataset(f"{folder} is not what was frozen: {error}") from error
    for what in "labels", "split", "files":
        _compare(folder, what, said.get(what), found[what])
    if said.get("digest") != found["digest"]:
        raise AlteredDataset(f"{folder}: {MANIFEST} names a digest it does not have.")
    return found


def digest(folder: Path, found: Sequence[Example]) -> str:
    """What a card calls the data by: the manifest's digest where they were frozen,
    else one over every picture, label and side of `found`."""
    if (folder / MANIFEST).exists():
        return str(_read(folder).get("digest", ""))
    pictures = {_name(folder, e.image): file_digest(e.image) for e in found}
    return str(_content(folder, pictures, found)["digest"])


def salts(folder: Path) -> list[str]:
    """The mark of the salt that the patients of `folder` are named with; none where
    people named them. AlteredDataset where that cannot be told."""
    options = folder / OPTIONS
    if not options.exists():
        return []
    try:
        mark = json.loads(options.read_text(encoding="utf-8")).get("salt")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise AlteredDataset(f"{folder}: {OPTIONS} cannot be read.") from error
    return [str(mark)] if mark else []


def _refuse_other_salt(folder: Path, said: Mapping[str, object]) -> None:
    """said: the manifest, of which an older one does not tell the mark."""
    found = salts(folder)
    if said.get("salts", found) != found:
        raise AlteredDataset(
            f"{folder}: {OPTIONS} is missing, or names another salt than was frozen."
        )


def write_salt(folder: Path, mark: str) -> None:
    """What `salts` tells of a folder that no build made."""
    write_text(folder / OPTIONS, json.dumps({"salt": mark}))


def sides(found: Sequence[Example]) -> dict[str, str]:
    """Patient -> the side that training, choosing and judging put them on."""
    parts = Parts.of(found)
    return {
        example.patient: side for side, held in vars(parts).items() for example in held
    }


def _measured(folder: Path) -> dict[str, object]:
    files = {name: file_digest(folder / name) for name in _counted(folder)}
    return _content(folder, files, table(folder))


def _content(
    folder: Path, files: Mapping[str, str], found: Sequence[Example]
) -> dict[str, object]:
    content: dict[str, object] = {
        "version": VERSION,
        "files": files,
        "labels": {_name(folder, e.image): e.label for e in found},
        "split": sides(found),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return content | {"digest": hashlib.sha256(text.encode()).hexdigest()}


def _counted(folder: Path) -> Iterator[str]:
    """What counts: the tables and every picture, in a fixed order."""
    inside = (folder / STUDIES).rglob("*")
    names = sorted(_name(folder, path) for path in inside if path.is_file())
    bar = tqdm([EXAMPLES, *names], "hashing", unit="file", leave=False, disable=None)
    yield from bar


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _read(folder: Path) -> dict[str, object]:
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AlteredDataset(f"{folder}: {MANIFEST} cannot be read.") from error
    return said if isinstance(said, dict) else {}


def _compare(folder: Path, what: str, said: object, found: object) -> None:
    """AlteredDataset, naming the first that differs, is gone or is new."""
    said, found = (value if isinstance(value, dict) else {} for value in (said, found))
    for name in sorted(said.keys() | found.keys()):
        if said.get(name) == found.get(name):
            continue
        if name not in found:
            trouble = "is missing"
        elif name not in said:
            trouble = "was added"
        else:
            trouble = "differs"
        kind = {"files": "the file", "labels": "the label of", "split": "the side of"}
        raise AlteredDataset(
            f"{folder}: {kind[what]} {name} {trouble} since the data set was frozen."
        )
