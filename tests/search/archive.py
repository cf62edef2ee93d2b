"""A small archive of DICOM files: cheap, because all show one phantom, each of them
moved by something else."""

import copy
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
from pydicom import Dataset

from inference.phantom import study


@cache
def _phantom() -> Dataset:
    return study(1, rows=192, columns=128)[0]


def radiograph(patient: str, number: int, view: int = 1, **tags: object) -> Dataset:
    ds = copy.deepcopy(_phantom())
    ds.PatientID, ds.PatientName = patient, f"Secret^{patient}"
    ds.StudyInstanceUID = f"1.2.3.{abs(hash_of(patient))}.{number}"
    ds.SOPInstanceUID = f"{ds.StudyInstanceUID}.{view}"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PixelData = moved(ds.PixelData, f"{patient}/{number}/{view}")
    ds.AccessionNumber, ds.StudyDate = f"A{patient}{number}", "20240131"
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return ds


def moved(pixels: bytes, name: str) -> bytes:
    words = np.frombuffer(pixels, np.uint16)
    return np.roll(words, crc32(name.encode()) % words.size).tobytes()


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode(), "big") % 10**9


def save(ds: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def fill(folder: Path, patients: int, views: int = 2) -> Path:
    """`patients` people with one study of `views` images each, some lying flat."""
    for i in range(patients):
        for view in range(1, views + 1):
            name = f"p{i}_{view}.dcm" if i % 3 else f"deep/{i}/{view}"
            save(radiograph(f"P{i}", 1, view), folder / name)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a data set and its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
