"""From a PNG or JPEG file to one frame to look at, or to the reason there is none."""

import warnings
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from inference.dicom import MAX_PIXELS, Frame
from inference.grayscale import SPREAD
from inference.unreadable import UnreadableFrame

COLOURED = 24  # levels between channels; JPEG leaves fewer in a grey picture
COLOURED_SHARE = 0.002  # of the pixels: more is a photograph or a screenshot


def frame(source: Path | bytes, uid: str = "") -> Frame:
    """Decode a grey picture strictly; colour channels are allowed if they agree.

    A picture that ends early is refused, never filled up: a network would learn
    the filling. Brightness is taken as it is, 16 bits are stretched over 8.
    Raises UnreadableFrame; OSError only where the file itself cannot be fetched.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    pixels = _eight_bits(_grey(_decode(data)))
    if pixels.min() == pixels.max():
        raise UnreadableFrame("blank", "Every pixel of the picture is the same.")
    return Frame(pixels, uid)


def _decode(data: bytes) -> np.ndarray:
    """(rows, columns) or (rows, columns, channels), uint8 or uint16."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return _array(data)
    except Image.DecompressionBombError as error:
        raise UnreadableFrame(
            "too_large", "The picture has too many pixels."
        ) from error
    except UnreadableFrame:
        raise
    except Exception as error:
        # Damaged files make Pillow raise OSError, SyntaxError, ValueError,
        # struct.error, zlib.error, IndexError: all of them mean the same here.
        if "truncated" in str(error) or "ended" in str(error):
            raise UnreadableFrame("truncated", "The picture ends early.") from error
        words = "The picture cannot be decoded."
        raise UnreadableFrame("undecodable", words) from error


def _array(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            size = f"{picture.height} x {picture.width}"
            raise UnreadableFrame("too_large", f"{size} pixels are too many.")
        if getattr(picture, "n_frames", 1) > 1:
            raise UnreadableFrame("multi_frame", "The picture has several frames.")
        if picture.mode.startswith("I"):
            return np.asarray(picture).astype(np.uint16)
        return np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))


def _grey(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    red, green, blue = cv2.split(pixels)
    apart = cv2.max(cv2.absdiff(red, green), cv2.absdiff(green, blue))
    if cv2.countNonZero((apart > COLOURED).view(np.uint8)) > COLOURED_SHARE * red.size:
        raise UnreadableFrame("colour", "Expected a grey picture, not a coloured one.")
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    low, high = np.percentile(pixels[::2, ::2], SPREAD)
    stretched = (pixels - np.float32(low)) * np.float32(255 / (high - low or 1))
    return np.rint(stretched.clip(0, 255)).astype(np.uint8)
