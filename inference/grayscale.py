"""From stored values to display values, as one table lookup.

Modality LUT, VOI LUT or window, polarity, padding, sign and junk in the unused
high bits all depend on the stored word alone, so they are worked out once for
each of at most 65,536 words and then looked up.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut

from inference.unreadable import UnreadableFrame

SPREAD = (0.25, 99.75)  # percentiles shown when the dataset names no window
SAMPLE = 4  # every fourth row and column is enough to place them


def display(words: np.ndarray, ds: Dataset) -> np.ndarray:
    """Turn stored `words` (rows, columns) into uint8, dense bright.

    A window that misses the data (all black or all white) is disregarded.
    """
    stored = stored_values(ds, words.dtype.itemsize * 8)
    units = modality(stored, ds)
    grades = _declared(units, ds)
    shown = _look_up(words, grades, stored, ds) if grades is not None else None
    if shown is None or _shows_nothing(shown, words, _padding(stored, ds)):
        shown = _look_up(words, _spread(words, units, stored, ds), stored, ds)
    return shown


def stored_values(ds: Dataset, bits: int) -> np.ndarray:
    """The stored value that each possible word stands for: (2**bits,) int32.

    Only BitsStored bits below HighBit count; older machines kept overlays and
    noise in the others (PS3.3 C.7.6.3.1, PS3.5 8.1.1).
    """
    kept = int(ds.get("BitsStored") or bits)
    high = int(ds.get("HighBit", kept - 1))
    if not 0 < kept <= bits or not kept - 1 <= high < bits:
        kept, high = bits, bits - 1
    values = np.arange(1 << bits, dtype=np.int32) >> (high - kept + 1)
    values &= (1 << kept) - 1
    if ds.get("PixelRepresentation"):
        values -= (values >> (kept - 1)) << kept
    return values


def modality(stored: np.ndarray, ds: Dataset) -> np.ndarray:
    """Stored values in modality units, float64 (PS3.3 C.11.1)."""
    if ds.get("ModalityLUTSequence"):
        return _tabulated(stored, ds.ModalityLUTSequence[0], ds, _is_signed(ds))
    return apply_modality_lut(stored, ds).astype(np.float64)


def _is_signed(ds: Dataset) -> bool:
    return ds.get("PixelRepresentation") == 1


def _tabulated(
    values: np.ndarray, item: Dataset, ds: Dataset, signed: bool
) -> np.ndarray:
    """Look `values` up in a LUT; beyond its ends the nearest entry holds.

    Not by pydicom, which takes indices modulo 256 where entries have 8 bits.
    """
    count, first, _ = (int(number) for number in item.LUTDescriptor)
    if signed and first > 32767:  # written as US, meant as SS
        first -= 65536
    entries = item.LUTData
    if isinstance(entries, bytes):
        order = ">u2" if ds.original_encoding[1] is False else "<u2"
        entries = np.frombuffer(entries, order, count or 65536)
    entries = np.asarray(entries, np.float64)
    return entries[(values.astype(np.int64) - first).clip(0, len(entries) - 1)]


def _declared(units: np.ndarray, ds: Dataset) -> np.ndarray | None:
    """What the dataset's VOI LUT or window makes of `units`: [0, 1], or None."""
    if ds.get("VOILUTSequence"):
        item = ds.VOILUTSequence[0]
        # What a modality table gives is unsigned (PS3.3 C.11.1.1.1).
        signed = _is_signed(ds) and not ds.get("ModalityLUTSequence")
        top = 2 ** int(item.LUTDescriptor[2]) - 1
        return (_tabulated(units, item, ds, signed) / top).clip(0, 1)
    center, width = _first(ds, "WindowCenter"), _first(ds, "WindowWidth")
    function = str(ds.get("VOILUTFunction") or "LINEAR").strip().upper()
    narrowest = 1 if function == "LINEAR" else 1e-9
    if center is None or width is None or width < narrowest:
        return None
    return WINDOWS.get(function, linear)(units, center, width)


def linear(units: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1: the default, half a step off centre. Range [0, 1]."""
    if width == 1:
        return (units > center - 0.5).astype(np.float64)
    return ((units - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1)


def linear_exact(units: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.2. Range [0, 1]."""
    return ((units - center) / width + 0.5).clip(0, 1)


def sigmoid(units: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.1. Range (0, 1)."""
    return 1 / (1 + np.exp((-4 * (units - center) / width).clip(-700, 700)))


WINDOWS: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {
    "LINEAR": linear,
    "LINEAR_EXACT": linear_exact,
    "SIGMOID": sigmoid,
}


def _first(ds: Dataset, keyword: str) -> float | None:
    """The first of one or several finite numbers; None where there is none."""
    value = ds.get(keyword)
    if value is None or value == "":
        return None
    number = float(value[0] if hasattr(value, "__getitem__") else value)
    return number if math.isfinite(number) else None


def _spread(
    words: np.ndarray, units: np.ndarray, stored: np.ndarray, ds: Dataset
) -> np.ndarray:
    """Stretch what the image holds over [0, 1], outliers and padding set aside."""
    padding = _padding(stored, ds)
    sample = words[::SAMPLE, ::SAMPLE] if words.size >= 1 << 18 else words
    counts = _counted(sample, padding)
    if not counts.any():  # of a few lines, perhaps, that the sample misses
        counts = _counted(words, padding)
    if not counts.any():
        raise UnreadableFrame("blank", "The image holds nothing but padding.")
    order = np.argsort(units, kind="stable")
    share = np.cumsum(counts[order]) / counts.sum() * 100
    low, high = (units[order[np.searchsorted(share, at)]] for at in SPREAD)
    return ((units - low) / (high - low or 1)).clip(0, 1)


def _counted(words: np.ndarray, padding: np.ndarray) -> np.ndarray:
    """How often each word occurs, those of the padding never."""
    return np.where(padding, 0, np.bincount(words.ravel(), minlength=len(padding)))


def _look_up(
    words: np.ndarray, grades: np.ndarray, stored: np.ndarray, ds: Dataset
) -> np.ndarray:
    table = np.rint(grades * 255).astype(np.uint8)
    if _dense_is_dark(ds):
        table = 255 - table
    table[_padding(stored, ds)] = 0
    return cv2.LUT(words, table)


def _dense_is_dark(ds: Dataset) -> bool:
    """MONOCHROME1 and INVERSE say the same in a DX (PS3.3 C.8.11.3.1): once, then."""
    shape = str(ds.get("PresentationLUTShape", "")).strip().upper()
    return ds.PhotometricInterpretation == "MONOCHROME1" or shape == "INVERSE"


def _padding(stored: np.ndarray, ds: Dataset) -> np.ndarray:
    """Which words are not part of the image (PS3.3 C.7.5.1.1.2)."""
    value = ds.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(len(stored), bool)
    limit = ds.get("PixelPaddingRangeLimit", value)
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    return (stored >= low) & (stored <= high)


def _shows_nothing(shown: np.ndarray, words: np.ndarray, padding: np.ndarray) -> bool:
    """Whether all that is no padding has one grey."""
    if not padding.any():
        return flat(shown)
    inside = cv2.LUT(words, (~padding).astype(np.uint8))
    low, high, _, _ = cv2.minMaxLoc(shown, inside)
    return low == high


def flat(pixels: np.ndarray) -> bool:
    """Whether every pixel is the same."""
    low, high, _, _ = cv2.minMaxLoc(pixels)
    return low == high
