"""From a DICOM object to one frame to look at, or to the reason there is none.

What is not one grey image is refused rather than guessed at: a report, a
segmentation or a colour screenshot fed to the network would come back as a
confident score about nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom import Dataset, config, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from inference.codecs import Grid, stored_words
from inference.deflated import inflated
from inference.grayscale import display, flat
from inference.unreadable import UnreadableFrame

__all__ = ["Frame", "UnreadableFrame", "frame", "open_dataset"]

# Whether an odd value matters is decided here: pydicom would warn, at length.
config.settings.reading_validation_mode = config.IGNORE

MAX_PIXELS = 64_000_000  # three times the largest stitched radiograph
MAX_BYTES = 1 << 30
ENCAPSULATED = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"  # how such pixels begin

# What the names of storage classes without a picture of their own have in common.
NOT_IMAGES = (
    " SR ", "Structured", "Report", "Presentation State", "Segmentation",
    "Key Object", "Encapsulated", "RT Dose", "RT Ion", "RT Plan", "Waveform",
    "ECG", "Directory", "Raw Data",
    "Annotation", "Parametric Map", "Registration", "Fiducials", "Real World Value",
    "Measurement", "Spectroscopy", "Tractography", "Instance Storage", "Audio",
    "Performed Procedure", "Color Palette", "Hanging Protocol", "Implant",
)  # fmt: skip
NOT_IMAGE_MODALITIES = {
    "ANN", "AR", "AU", "DOC", "ECG", "EPS", "FID", "HD", "IOL", "KER", "KO", "LEN",
    "M3D", "OAM", "PLAN", "PR", "REG", "RTDOSE", "RTPLAN", "RTRECORD", "RTSTRUCT",
    "RWV", "SEG", "SMR", "SR", "SRF", "STAIN", "VA",
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One grey image as it would be displayed.

    pixels: uint8 (rows, columns), [0, 255], after modality LUT and VOI LUT or
    window; dense is bright. uid: SOPInstanceUID, "" for a plain picture.
    """

    pixels: np.ndarray
    uid: str


def open_dataset(source: Path | BinaryIO) -> Dataset:
    """Parse a DICOM file, header and pixels; a missing preamble is forgiven.

    The bytes are fetched before any is looked at, so that what goes wrong in
    fetching (OSError) passes through and whatever comes later is the file's fault:
    UnreadableFrame (not_dicom, truncated, too_large).
    """
    data = _fetched(source)
    if DeflatedExplicitVRLittleEndian.encode() in data[:2048]:
        _measure_inflated(data)
    with _told("not_dicom", "This is not a DICOM file, or its header is damaged"):
        ds = dcmread(BytesIO(data), force=True)
        if not _plausible(ds):
            raise InvalidDicomError("no DICOM header found")
    if "PixelData" not in ds and ENCAPSULATED in data:
        # pydicom drops encapsulated pixels whose end is missing.
        raise UnreadableFrame("truncated", "The file ends within its pixel data.")
    return ds


def frame(ds: Dataset) -> Frame:
    """The one grey frame of `ds`, ready to look at.

    Raises UnreadableFrame, whatever is wrong with `ds`.
    """
    with _told("undecodable", "The image cannot be decoded"):
        _refuse_non_images(ds)
        words = stored_words(ds, _grid(ds))
        if flat(words):
            raise UnreadableFrame("blank", "Every pixel of the image is the same.")
        return Frame(display(words, ds), str(ds.get("SOPInstanceUID", "")))


@contextmanager
def _told(code: str, sentence: str) -> Iterator[None]:
    """Whatever goes wrong in here is the file's fault, and is said as such."""
    try:
        yield
    except UnreadableFrame:
        raise
    except Exception as error:
        # Damaged files make pydicom and the codecs raise anything: struct.error,
        # KeyError, OSError, RecursionError, MemoryError, each codec's own RuntimeError.
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnreadableFrame(code, f"{sentence}: {detail}.") from error


def _fetched(source: Path | BinaryIO) -> bytes:
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return _fetched(stream)
    if source.seekable():
        start = source.tell()
        length = source.seek(0, SEEK_END) - start
        source.seek(start)
        if length > MAX_BYTES:
            raise UnreadableFrame("too_large", f"The file has {length:,} bytes.")
    return source.read()


def _measure_inflated(data: bytes) -> None:
    """Refuse a small file that inflates to a huge one, before pydicom inflates it."""
    # The file meta group ends where its first element says (PS3.10 7.1).
    file = BytesIO(data)
    file.seek(144 + int.from_bytes(data[140:144], "little"))
    for _ in inflated(b"", file, MAX_BYTES):
        pass


def _plausible(ds: Dataset) -> bool:
    """Parsed by force, any bytes make some dataset: ask for a sign of DICOM."""
    signs = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "Modality", "Rows")
    return ds.preamble is not None or any(sign in ds for sign in signs)


def _refuse_non_images(ds: Dataset) -> None:
    kind = UID(str(_sop_class(ds))).name
    modality = str(ds.get("Modality", "")).strip().upper()
    if modality in NOT_IMAGE_MODALITIES or any(word in kind for word in NOT_IMAGES):
        named = kind if kind.endswith("Storage") else modality
        raise UnreadableFrame("not_an_image", f"This is no radiograph but: {named}.")
    if "PixelData" not in ds:
        raise UnreadableFrame("no_pixels", "The object carries no pixel data.")
    photometric = ds.get("PhotometricInterpretation")
    if not photometric:
        raise UnreadableFrame("undecodable", "The object does not describe its pixels.")
    if ds.get("SamplesPerPixel", 1) != 1 or not photometric.startswith("MONOCHROME"):
        raise UnreadableFrame("colour", f"Expected a grey image, not {photometric}.")
    frames = int(ds.get("NumberOfFrames") or 1)
    if frames != 1:
        raise UnreadableFrame("multi_frame", f"Expected one frame, not {frames}.")


def _sop_class(ds: Dataset) -> str:
    meta = getattr(ds, "file_meta", {})
    return ds.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID", "")


def _grid(ds: Dataset) -> Grid:
    rows, columns = int(ds.get("Rows") or 0), int(ds.get("Columns") or 0)
    bits = int(ds.get("BitsAllocated") or 0)
    if rows * columns > MAX_PIXELS:
        raise UnreadableFrame("too_large", f"{rows} x {columns} pixels are too many.")
    if min(rows, columns) < 1:
        raise UnreadableFrame("no_pixels", f"The image is {rows} x {columns} pixels.")
    if bits not in (8, 16):
        raise UnreadableFrame("undecodable", f"{bits}-bit pixels are not read.")
    return Grid(rows, columns, bits)
