"""What decoding and preprocessing a 2500 x 3000 radiograph costs, and by how much
less than the same steps written straight down with pydicom and scikit-image.

    python tests/benchmarks/preprocessing.py [--rounds 5]

CPU milliseconds on one core (medians over five phantoms: plain, negative, two
wrists, turned, framed), stage by stage, uncompressed and as JPEG lossless. Both
versions run in turns in one process, so that whoever else works on this machine
slows both alike. Wanted: 30 ms uncompressed, 80 ms JPEG lossless, 12 times faster,
and the same views: no corner further than 12 view pixels off, 4 grey levels apart
on average.
"""

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import imagecodecs  # noqa: E402
import numpy as np  # noqa: E402
from pydicom import FileDataset, dcmread  # noqa: E402
from pydicom.encaps import encapsulate, generate_frames  # noqa: E402
from pydicom.pixels import apply_modality_lut, apply_voi_lut  # noqa: E402
from pydicom.uid import JPEGLosslessSV1  # noqa: E402
from skimage import filters, measure, morphology, transform  # noqa: E402

from inference import dicom  # noqa: E402
from inference.dx import dx_dataset, uid  # noqa: E402
from inference.phantom import phantom  # noqa: E402
from inference.preprocess import (  # noqa: E402
    Recipe,
    View,
    alignment,
    geometry,
    parts,
    polarity,
    tensor,
    views,
)

RECIPE = Recipe()
ROWS, COLUMNS = 3000, 2500
KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "negative": {"inverted": True},
    "two wrists": {"both_wrists": True},
    "turned": {"rotated": 35.0, "view": "lateral"},
    "framed": {"framed": True},
}
WANTED = {"uncompressed": 30, "JPEG lossless": 80}
Stages = dict[str, list[float]]


def dataset(seed: int, options: dict[str, object]) -> FileDataset:
    drawn = phantom(seed, rows=ROWS, columns=COLUMNS, **options)
    names = {key: uid("benchmark", key) for key in ("study_uid", "series_uid")}
    return dx_dataset(
        drawn.pixels,
        patient_id="BENCHMARK",
        patient_name="",
        sop_uid=uid("benchmark", str(seed)),
        **names,
    )


def stored(ds: FileDataset, syntax: str) -> bytes:
    """The object as a file, its pixels compressed if `syntax` says so."""
    if syntax == "JPEG lossless":
        frame = imagecodecs.ljpeg_encode(ds.pixel_array, bitspersample=12)
        ds = dcmread(BytesIO(stored(ds, "uncompressed")))
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class Clock:
    """CPU milliseconds of this process, a lap a stage."""

    def __init__(self, stages: Stages) -> None:
        self.stages, self.last = stages, time.process_time()

    def lap(self, stage: str) -> None:
        now = time.process_time()
        self.stages[stage].append(1000 * (now - self.last))
        self.last = time.process_time()


def ours(file: bytes, stages: Stages) -> list[View]:
    """The production path. Its decisions are timed again, one by one, afterwards."""
    clock = Clock(stages)
    ds = dicom.open_dataset(BytesIO(file))
    clock.lap("parse")
    pixels = dicom.frame(ds).pixels
    clock.lap("decode and display")
    found = views(pixels, RECIPE)
    clock.lap("views")
    tensor(found, RECIPE)
    clock.lap("normalise")
    decisions(pixels, stages)
    return found


def decisions(pixels: np.ndarray, stages: Stages) -> None:
    clock = Clock(stages)
    small = geometry.area_shrunk(pixels, geometry.reduction(pixels.shape))
    clock.lap("of which shrink")
    if polarity.border(small):
        small = 255 - small
    clock.lap("of which polarity")
    found, _ = parts.by_shutters(small, split=True)
    clock.lap("of which parts")
    for part in found:
        alignment.hand_up(small, part.body)
    clock.lap("of which alignment")


def straight(file: bytes, stages: Stages) -> list[np.ndarray]:
    """The same steps at full size, as one would first write them."""
    clock = Clock(stages)
    ds = dcmread(BytesIO(file))
    clock.lap("parse")
    grey = displayed(ds)
    clock.lap("decode and display")
    calm = filters.gaussian(grey, 8, preserve_range=True)
    inner = calm[150:-150, 150:-150]
    counts, edges = np.histogram(inner, 64)
    if edges[counts.argmax()] > np.percentile(inner, (2, 98)).mean():
        grey, calm = 255 - grey, 255 - calm
    clock.lap("polarity")
    bodies, film = components(calm)
    clock.lap("parts")
    turned = [(body, turn(grey, body)) for body in bodies]
    clock.lap("alignment")
    air = np.percentile(calm, 10)
    found = []
    for body, angle in turned:
        others = [other for other in [film, *bodies] if other is not body]
        found.append(upright(grey, body, others, angle, air))
    clock.lap("rotate, pad, resize")
    normalised = [(view / 255 - RECIPE.mean) / RECIPE.std for view in found]
    clock.lap("normalise")
    assert normalised[0].shape == (RECIPE.height, RECIPE.width)
    return found


def displayed(ds: FileDataset) -> np.ndarray:
    """float64 (rows, columns), 0..255."""
    if ds.file_meta.TransferSyntaxUID == JPEGLosslessSV1:
        # pydicom decodes it with plug-ins only; this is what they would do.
        words = imagecodecs.ljpeg_decode(next(generate_frames(ds.PixelData)))
    else:
        words = ds.pixel_array
    values = apply_voi_lut(apply_modality_lut(words, ds), ds).astype(float)
    return values / ((1 << ds.BitsStored) - 1) * 255


def components(calm: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Masks of the parts from left to right, and of white film, which is none."""
    white = calm > 0.9 * calm.max()
    film = morphology.remove_small_objects(white, max_size=white.size // 100)
    limit = np.expm1(filters.threshold_otsu(np.log1p(calm[~film])))
    film = morphology.isotropic_dilation(film, 36)
    solid = morphology.isotropic_opening((calm > limit) & ~film, 24)
    labels = measure.label(solid)
    regions = measure.regionprops(labels)
    largest = max(region.area for region in regions)
    large = [region for region in regions if region.area > 0.25 * largest]
    large.sort(key=lambda region: region.centroid[1])
    return [labels == region.label for region in large], film


def turn(grey: np.ndarray, body: np.ndarray) -> float:
    """Degrees clockwise from upright, fingers up."""
    rows, columns = np.nonzero(body)
    points = np.column_stack([columns, rows]).astype(float)
    points -= points.mean(axis=0)
    variances, axes = np.linalg.eigh(points.T @ points)
    if body.mean() > alignment.MUCH and variances[1] < alignment.TRUNK * variances[0]:
        return 0.0
    axis = axes[:, 1]
    axis = -axis if axis[1] > 0 else axis
    along = points @ axis
    place = np.zeros(body.shape)
    place[rows, columns] = (along - along.min()) / np.ptp(along) * 2 - 1
    outline = body & ~morphology.erosion(body)
    outline[:36] = outline[-36:] = outline[:, :36] = outline[:, -36:] = False
    calm = filters.gaussian(grey, 10, preserve_range=True)
    down, right = filters.sobel_h(calm), filters.sobel_v(calm)
    across = np.abs(right * axis[0] + down * axis[1])
    lengthwise = np.abs(down * axis[0] - right * axis[1])
    inside = morphology.isotropic_erosion(body, 36)

    def end(sign: int) -> np.ndarray:
        tip = (sign * place > 0.75) & (sign * place < 0.92)
        third = inside & (sign * place > 0.34)
        edge = outline & (sign * place > 0.2)
        share = across[third].mean() / lengthwise[third].mean()
        return np.log([tip.sum() + 1, edge.sum() + 100, share])

    if alignment.ENDS @ (end(1) - end(-1)) < 0:
        axis = -axis
    return float(np.rad2deg(np.arctan2(axis[0], -axis[1])))


def upright(
    grey: np.ndarray,
    body: np.ndarray,
    others: list[np.ndarray],
    angle: float,
    air: float,
) -> np.ndarray:
    """float64 (height, width), 0..255."""
    length = measure.regionprops(body.astype(int))[0].axis_major_length
    keep = morphology.isotropic_dilation(body, 0.05 * length)
    for other in others:
        keep &= ~other
    clean = np.where(keep, (grey - air).clip(0) * 255 / (255 - air), 0)
    turned = transform.rotate(clean, angle, resize=True, preserve_range=True)
    kept = transform.rotate(keep.astype(float), angle, resize=True) > 0.5
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    box = turned[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = box.shape
    wide = max(width, round(height * RECIPE.width / RECIPE.height))
    high = max(height, round(width * RECIPE.height / RECIPE.width))
    spare = ((high - height) // 2, (wide - width) // 2)
    padded = np.pad(
        box,
        [(spare[0], high - height - spare[0]), (spare[1], wide - width - spare[1])],
    )
    return transform.resize(
        padded, (RECIPE.height, RECIPE.width), anti_aliasing=True, preserve_range=True
    )


def apart(one: list[View], other: list[np.ndarray]) -> tuple[float, float]:
    """(view pixels by which a corner is off, grey levels apart on average)."""
    if len(one) != len(other):
        return np.inf, np.inf
    shifts, levels = [], []
    for view, straightly in zip(one, other):
        mine, theirs = view.pixels.astype(np.float32), straightly.astype(np.float32)
        start = np.eye(2, 3, dtype=np.float32)
        _, found = cv2.findTransformECC(
            mine, theirs, start, cv2.MOTION_AFFINE, (3, 200, 1e-5), None, 5
        )
        corners = np.array([[0, 0], [340, 0], [0, 511], [340, 511]])
        moved = corners @ found[:, :2].T + found[:, 2]
        shifts.append(np.hypot(*(moved - corners).T).max())
        laid = cv2.warpAffine(theirs, found, mine.shape[::-1], flags=17)
        levels.append(np.abs(laid - mine).mean())
    return max(shifts), max(levels)


def files(syntax: str) -> Iterator[tuple[str, bytes]]:
    for seed, (name, options) in enumerate(KINDS.items()):
        yield name, stored(dataset(seed, options), syntax)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    for syntax, wanted in WANTED.items():
        fast, slow = defaultdict(list), defaultdict(list)
        print(f"\n{syntax}, {COLUMNS} x {ROWS}, 12 bits")
        for name, file in files(syntax):
            theirs = straight(file, slow)
            ours(file, defaultdict(list))
            for _ in range(rounds):
                mine = ours(file, fast)
            shift, levels = apart(mine, theirs)
            print(f"  {name:<12} {shift:5.1f} view pixels, {levels:4.1f} levels apart")
        report(fast, slow, wanted)


def report(fast: Stages, slow: Stages, wanted: int) -> None:
    for title, stages in (("ours", fast), ("straight", slow)):
        print(f"  {title}")
        for stage, laps in stages.items():
            print(f"    {stage:<22}{np.median(laps):9.1f} ms")
    totals = [
        sum(np.median(laps) for stage, laps in stages.items() if stage[:2] != "of")
        for stages in (fast, slow)
    ]
    ratio = totals[1] / totals[0]
    print(f"  {totals[0]:.1f} ms (wanted {wanted}), {ratio:.0f} times less (wanted 12)")


if __name__ == "__main__":
    main()
