"""Which files of a tree belong to one study, from a look at each header."""

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from inference.dicom import open_dataset
from search.table import Table

PICTURES = {".png", ".jpg", ".jpeg"}
META = 2048  # bytes in which a transfer syntax is told


@dataclass(frozen=True)
class Study:
    """key: what tells it from others where it comes from. files: below the source."""

    key: str
    files: tuple[str, ...]


def files(source: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Every file below `source`, in a fixed order, and what is not looked at: (path,
    why), links (to a file or a folder), hidden files and folders that do not open."""
    found, left = [], []

    def named(path: str | Path) -> str:
        return Path(path).relative_to(source).as_posix()

    def closed(error: OSError) -> None:
        left.append((named(error.filename), "cannot_list"))

    for folder, inner, outer in os.walk(source, onerror=closed):
        for path in (Path(folder, name) for name in inner + outer):
            name = named(path)
            if path.is_symlink():
                left.append((name, "link"))
            elif not path.is_file():
                continue
            elif any(part.startswith(".") for part in Path(name).parts):
                left.append((name, "hidden"))
            else:
                found.append(name)
    return sorted(found), sorted(left)


def studies(keys: Iterable[tuple[str, str]]) -> list[Study]:
    """(file, study key) pairs -> studies, the largest first: they finish together."""
    grouped = defaultdict(list)
    for name, key in keys:
        grouped[key].append(name)
    found = [Study(key, tuple(sorted(names))) for key, names in grouped.items()]
    return sorted(found, key=lambda study: (-len(study.files), study.key))


def study_key(source: Path, name: str, table: Table) -> str:
    """What the study of a file is called; a file that does not say is one alone."""
    if is_picture(name):
        return f"table/{table.row((name,), ()).get('study') or name}"
    try:
        found = str(_header(source / name).get("StudyInstanceUID") or "").strip("\0 ")
    except Exception:
        # Damaged files make pydicom raise anything; the reason is told when the
        # file is read as a whole.
        found = ""
    return f"uid/{found}" if found else f"file/{name}"


def is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in PICTURES


def _header(path: Path) -> Dataset:
    with path.open("rb") as stream:
        deflated = DeflatedExplicitVRLittleEndian.encode() in stream.read(META)
        stream.seek(0)
        if deflated:  # and may inflate without end
            return open_dataset(stream)
        wanted = ["StudyInstanceUID"]
        return dcmread(
            stream, stop_before_pixels=True, force=True, specific_tags=wanted
        )
