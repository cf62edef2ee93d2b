"""How often does preprocessing decide rightly? Printed for the thesis's rule and ours.

    python tests/benchmarks/decisions.py [--all]

Truth is tests/inference/fracatlas_geometry.csv, labelled by eye: a random sample
over blocks, and every frame with two views pasted side by side. The rules were
set on the blocks called "tune"; figures are for the others unless --all is given.
"""

import argparse
import csv
import math
import os
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from inference import picture  # noqa: E402
from inference.preprocess import THESIS, Recipe, View, polarity, views  # noqa: E402
from inference.preprocess.geometry import area_shrunk, reduction  # noqa: E402

LABELS = ROOT / "tests" / "inference" / "fracatlas_geometry.csv"
SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", ROOT.parent / "shared" / "data"))
TOLERANCE = 15  # degrees from vertical
BRIGHT, DARK = 240, 12  # unexposed film, padding

Row = dict[str, str]


def labels(half: str | None) -> dict[str, list[Row]]:
    """image id -> one row a part, of one half or of both (None)."""
    with LABELS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if half in (None, row["half"])]
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["image_id"]].append(row)
    return dict(found)


def framed(pixels: np.ndarray, level: int) -> np.ndarray:
    """The frame with its outer 12 % overwritten, as shutters or padding do."""
    border = round(0.12 * min(pixels.shape))
    drawn = np.full_like(pixels, level)
    drawn[border:-border, border:-border] = pixels[border:-border, border:-border]
    return drawn


VARIANTS = {
    "as stored": lambda pixels: pixels,
    "negative": lambda pixels: 255 - pixels,
    "white frame": lambda pixels: framed(pixels, BRIGHT),
    "negative, black frame": lambda pixels: framed(255 - pixels, DARK),
}


def polarity_right(pixels: np.ndarray, recipe: Recipe) -> dict[str, bool]:
    small = area_shrunk(pixels, reduction(pixels.shape))
    rule = polarity.RULES[recipe.polarity]
    return {
        name: rule(vary(small)) == name.startswith("negative")
        for name, vary in VARIANTS.items()
    }


def tilt(row: Row, view: View, shape: tuple[int, int]) -> float:
    """Degrees between the labelled axis, proximal to distal, and straight up."""
    size = np.array(shape[::-1])
    ends = [
        view.affine @ [*(size * (float(row[f"{end}_x"]), float(row[f"{end}_y"]))), 1]
        for end in ("proximal", "distal")
    ]
    across, down = ends[1] - ends[0]
    return abs(math.degrees(math.atan2(across, -down)))


def closest(row: Row, found: list[View], shape: tuple[int, int]) -> View:
    """The view whose middle lies nearest to the labelled axis's middle."""
    size = np.array(shape[::-1])
    middle = size * [
        (float(row[f"proximal_{axis}"]) + float(row[f"distal_{axis}"])) / 2
        for axis in "xy"
    ]

    def distance(view: View) -> float:
        back = cv2.invertAffineTransform(view.affine)
        rows, columns = view.pixels.shape
        return float(np.hypot(*(back @ [columns / 2, rows / 2, 1] - middle)))

    return min(found, key=distance)


def judged(
    pixels: np.ndarray, rows: list[Row], recipe: Recipe
) -> dict[str, list[bool]]:
    """Question -> right or wrong, one entry a frame or a labelled part."""
    answers = defaultdict(list)
    for name, right in polarity_right(pixels, recipe).items():
        answers[f"polarity, {name}"].append(right)
    found = views(pixels, recipe)
    parts = int(rows[0]["parts"])
    answers[f"number of parts, {parts} in truth"].append(len(found) == parts)
    for row in rows:
        if row["proximal_x"]:
            turned = tilt(row, closest(row, found, pixels.shape), pixels.shape)
            hand = "hand up" if row["hand"] == "visible" else row["hand"]
            upright = min(turned, 180 - turned) <= TOLERANCE
            answers[f"axis within {TOLERANCE}°, {hand}"].append(upright)
            answers[f"and the right way up, {hand}"].append(turned <= TOLERANCE)
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the tuning half as well")
    half = None if parser.parse_args().all else "report"
    images = SAMPLE_DATA / "fracatlas" / "images"
    files = {path.stem: path for path in images.rglob("*.jpg")}
    truth = labels(half)
    recipes = {"thesis": THESIS, "ours": Recipe()}
    totals = {name: defaultdict(list) for name in recipes}
    for image, rows in truth.items():
        pixels = picture.frame(files[image]).pixels
        for name, recipe in recipes.items():
            for question, answers in judged(pixels, rows, recipe).items():
                totals[name][question] += answers
    print(f"{len(truth)} frames of {'all blocks' if half is None else 'unseen blocks'}")
    print(f"{'':<38}{'thesis':>14}{'ours':>14}")
    for question in sorted(totals["ours"], key=lambda text: (text[0] == "a", text)):
        cells = [totals[name][question] for name in recipes]
        print(f"{question:<38}" + "".join(_cell(cell) for cell in cells))


def _cell(answers: list[bool]) -> str:
    return f"{sum(answers)}/{len(answers)} {np.mean(answers):4.0%}".rjust(14)


if __name__ == "__main__":
    main()
