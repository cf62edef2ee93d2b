"""From the bytes of PixelData to stored values.

The only module that knows transfer syntaxes. Every stream is measured before
it is decoded: a header that promises more pixels than the dataset declares is
refused before anything is allocated for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import imagecodecs
import numpy as np
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLETransferSyntaxes,
)

from inference.unreadable import UnreadableFrame

NATIVE = {
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
}
END = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike; stuffing keeps it unique
STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
STAND_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True)
class Grid:
    """What one frame must hold. bits: BitsAllocated, 8 or 16."""

    rows: int
    columns: int
    bits: int

    @property
    def size(self) -> int:
        """Bytes of the uncompressed frame."""
        return self.rows * self.columns * self.bits // 8

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(f"<u{self.bits // 8}")


def stored_words(ds: Dataset, grid: Grid) -> np.ndarray:
    """Decode the only frame of `ds`: (rows, columns), uint8 or uint16.

    The words are as stored: bits above BitsStored and the sign are not
    interpreted here.
    """
    syntax = _syntax(ds)
    if syntax in NATIVE:
        return _native(ds.PixelData, grid)
    if syntax == ExplicitVRBigEndian:
        _demand(len(ds.PixelData), grid)
        # pydicom knows the ways in which 8-bit pixels hide in big-endian words.
        return ds.pixel_array.astype(grid.dtype, copy=False)
    words = _compressed(syntax, next(_frames(ds)), grid)
    if words.shape != (grid.rows, grid.columns):
        raise _contradiction(words.shape[:2], grid)
    return words if words.itemsize <= 2 else words.astype(np.uint16)


def _syntax(ds: Dataset) -> str:
    """The transfer syntax; of a file without one, how its header was written."""
    declared = getattr(ds, "file_meta", {}).get("TransferSyntaxUID")
    big_endian = ds.original_encoding[1] is False
    return declared or (ExplicitVRBigEndian if big_endian else ExplicitVRLittleEndian)


def _native(data: bytes, grid: Grid) -> np.ndarray:
    _demand(len(data), grid)
    count = grid.rows * grid.columns
    return np.frombuffer(data, grid.dtype, count).reshape(grid.rows, grid.columns)


def _demand(length: int, grid: Grid) -> None:
    if length < grid.size:
        raise UnreadableFrame(
            "truncated",
            f"The pixel data are cut short: {length:,} of {grid.size:,} bytes.",
        )


def _frames(ds: Dataset):
    return generate_frames(BytesIO(ds.PixelData), number_of_frames=1)


def _compressed(syntax: str, stream: bytes, grid: Grid) -> np.ndarray:
    if syntax in RLETransferSyntaxes:
        return _run_lengths(stream, grid)
    measure, decode = _codec(syntax)
    measured = measure(stream)
    if measured != (grid.rows, grid.columns):
        raise _contradiction(measured, grid)
    if stream.rfind(END) < 0:
        raise UnreadableFrame("truncated", "The compressed pixel data are cut short.")
    return _as_words(decode(stream))


def _codec(syntax: str) -> tuple[Callable, Callable]:
    for syntaxes, measure, decode in CODECS:
        if syntax in syntaxes:
            return measure, decode
    name = UID(syntax).name
    raise UnreadableFrame("undecodable", f"Pixels stored as {name} are not read.")


def _as_words(decoded: np.ndarray) -> np.ndarray:
    return decoded.view(f"u{decoded.itemsize}")


def _run_lengths(stream: bytes, grid: Grid) -> np.ndarray:
    # Bounded: two bytes of a run can stand for 128.
    decoded = imagecodecs.dicomrle_decode(stream, grid.dtype, out=grid.size)
    return _native(decoded, grid)


def _contradiction(measured: tuple[int, int], grid: Grid) -> UnreadableFrame:
    return UnreadableFrame(
        "undecodable",
        f"The header declares {grid.rows} x {grid.columns} pixels, "
        f"the compressed stream {measured[0]} x {measured[1]}.",
    )


def measure_jpeg(stream: bytes) -> tuple[int, int]:
    """(rows, columns) that a JPEG or JPEG-LS stream announces (ITU T.81, B.2.2)."""
    at = stream.find(b"\xff\xd8") + 2
    while 2 <= at <= len(stream) - 9:
        marker = stream[at + 1]
        if stream[at] != 0xFF:
            break
        if marker in STARTS_OF_FRAME:
            return _number(stream[at + 5 : at + 7]), _number(stream[at + 7 : at + 9])
        if marker in STAND_ALONE or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + _number(stream[at + 2 : at + 4])
    raise UnreadableFrame("undecodable", "The JPEG stream has no frame header.")


def measure_jpeg2000(stream: bytes) -> tuple[int, int]:
    """(rows, columns) of a JPEG 2000 codestream (ITU T.800, A.5.1)."""
    at = stream.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(stream) < at + 24:
        raise UnreadableFrame("undecodable", "The JPEG 2000 stream has no header.")
    right, bottom, left, top = (
        _number(stream[at + offset : at + offset + 4]) for offset in (8, 12, 16, 20)
    )
    return bottom - top, right - left


def _number(digits: bytes) -> int:
    return int.from_bytes(digits, "big")


CODECS: tuple[tuple[list[str], Callable, Callable], ...] = (
    (JPEGLSTransferSyntaxes, measure_jpeg, imagecodecs.jpegls_decode),
    (JPEGTransferSyntaxes, measure_jpeg, imagecodecs.jpeg8_decode),
    (JPEG2000TransferSyntaxes, measure_jpeg2000, imagecodecs.jpeg2k_decode),
)
