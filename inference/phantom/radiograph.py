"""A synthetic wrist radiograph with a known fracture, as an array."""

from dataclasses import dataclass

import numpy as np

from inference.phantom.exposure import FULL, collimate, expose, exposure, letter
from inference.phantom.scene import Subject, draw, stream


@dataclass(frozen=True)
class Phantom:
    """One synthetic radiograph.

    pixels: uint16 (rows, columns), 12 bits, dense is bright unless inverted.
    box: x, y, width, height in pixels around the break, or None.
    landmarks: name -> (x, y) in pixels, inside the image or not. With two
    wrists they are those of the one that may be broken. spacing: mm a pixel.
    """

    pixels: np.ndarray
    fractured: bool
    box: tuple[int, int, int, int] | None
    landmarks: dict[str, tuple[float, float]]
    spacing: float


def phantom(
    seed: int,
    *,
    view: str = "pa",
    fractured: bool | None = None,
    rows: int = 512,
    columns: int = 400,
    cast: bool = False,
    metal: bool = False,
    both_wrists: bool = False,
    inverted: bool = False,
    rotated: float = 0.0,
    noise: float = 1.0,
    framed: bool = False,
) -> Phantom:
    """Draw the wrist that `seed` stands for; the same arguments, the same bytes.

    view: "pa" or "lateral". fractured: None lets the seed decide. rotated:
    degrees clockwise from fingers up. noise: of the usual amount. A fracture
    changes nothing but its surroundings.
    """
    if fractured is None:
        fractured = bool(stream(seed, "fractured").random() < 0.5)
    subject = Subject(seed, view, fractured, cast, metal, both_wrists, rotated)
    drawing = draw(subject, (rows, columns))
    rng = stream(seed, "exposure", view)
    image = expose(drawing.lost, (rows, columns), exposure(rng), noise, rng)
    if framed:
        collimate(image, stream(seed, "frame", view))
    caption = f"PHANTOM {seed:04d}" if framed else ""
    letter(image, drawing.side, caption, stream(seed, "letter", view))
    pixels = np.rint(np.clip(image, 0, 1) * FULL).astype(np.uint16)
    shown = FULL - pixels if inverted else pixels
    return Phantom(shown, fractured, drawing.box, drawing.landmarks, drawing.spacing)
