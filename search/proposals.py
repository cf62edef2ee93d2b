"""Where a fracture might be, before anybody looks closer: boxes with a score.

From a detector's results, a file, or from where a model of whole views suspects
fractures. FractNet trained its networks on what a detector proposed.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from inference import artifact, picture, preprocess
from inference.calibrate import probability
from inference.explain.gradcam import heat, place
from inference.networks.attention import Attention
from inference.preprocess import View
from inference.unreadable import UnreadableFrame
from search.example import Box, Example

Proposal = tuple[Box, float]  # in frame pixels; [0, 1]
Seen = tuple[View, np.ndarray]  # how much each pixel of it is suspected, [0, 1]

# What a file raises that holds none; the last two: too deep, too large.
NO_DETECTIONS = (KeyError, TypeError, ValueError, AttributeError)
NO_DETECTIONS += (RecursionError, OverflowError)
FLOOR = 0.10  # of 1: what is suspected less is not proposed
APART = 12  # view pixels of a 384-pixel view between two places that are suspected
PLACES = 3  # of a view
# Boxes around each place, nine of each size: (side as a share of a view's height, how
# far from one to the next as a share of the side). A map of stride 16 says where a
# fracture is to ten pixels, and half of those marked are smaller than twenty.
LATTICES = ((18 / 384, 0.5), (28 / 384, 0.4))
AROUND = 9 * len(LATTICES)
FINER = 2  # times as close, and half as far again, to learn from


def proposed(
    source: Path, found: Sequence[Example], *, finer: bool = False
) -> list[list[Proposal]]:
    """For each image of `found`, the highest score first; none below FLOOR.

    source: a detector's results (COCO's JSON) or the folder of a model, which proposes
    better on what it has learnt from than on the rest. finer: a model's are to learn
    from, and there are more of them. ValueError, in words, for a file that cannot be
    understood. An image that cannot be read has none.
    """
    if source.is_file():
        by = _detected(source, found)
    else:
        by = _suspected(source, found, finer)
    kept = ([p for p in each if p[1] >= FLOOR] for each in by)
    return [sorted(each, key=lambda p: -p[1]) for each in kept]


# --- A detector's ------------------------------------------------------------------


def _detected(path: Path, found: Sequence[Example]) -> list[list[Proposal]]:
    """A list of {"image_id": file name, "bbox": [x, y, w, h], "score": 0 to 1}, or
    {"images": [{"id", "file_name"}], "annotations": [the same, by those ids]}."""
    try:
        by_name = _by_name(json.loads(path.read_text()))
    except NO_DETECTIONS as error:
        raise ValueError(
            f"{path.name}: no detections in COCO's form: {type(error).__name__} "
            f"({error})."
        ) from error
    if not any(example.name in by_name for example in found):
        raise ValueError(f"{path.name}: it names none of these images.")
    return [by_name.get(example.name, []) for example in found]


def _by_name(said: object) -> dict[str, list[Proposal]]:
    names, listed = {}, said
    if isinstance(said, dict):
        names = {image["id"]: image["file_name"] for image in said["images"]}
        listed = said["annotations"]
    by_name = defaultdict(list)
    for one in listed:
        name = names.get(one["image_id"], one["image_id"])
        if not isinstance(name, str):
            raise ValueError(f"no file is known by the number {name}")
        x, y, width, height = map(float, one["bbox"])
        score = float(one["score"])
        if not (0 <= score <= 1 and width > 0 and height > 0):
            raise ValueError(f"box {one['bbox']} with score {score}")
        by_name[Path(name).name].append(((x, y, width, height), score))
    return by_name


# --- A model's ---------------------------------------------------------------------


def _suspected(
    folder: Path, found: Sequence[Example], finer: bool
) -> Iterator[list[Proposal]]:
    for seen in looked(folder, found):
        yield [p for view, spot in seen for p in around(view, spot, finer)]


def looked(folder: Path, found: Sequence[Example]) -> Iterator[list[Seen]]:
    """Of each image its views, and how much the model in `folder` suspects every pixel
    of them; none of one that cannot be read."""
    spec, network = artifact.load_spec(folder), artifact.load_network(folder)
    for example in tqdm(found, "looking", unit="image"):
        try:
            views = preprocess.views(picture.frame(example.image).pixels, spec.recipe)
        except UnreadableFrame:
            yield []
            continue
        x = torch.from_numpy(preprocess.tensor(views, spec.recipe))
        yield list(zip(views, suspicion(network, x, spec.temperature), strict=True))


def suspicion(network: nn.Module, x: Tensor, temperature: float = 1.0) -> np.ndarray:
    """How much each pixel of each view is suspected, [0, 1], (N, H, W).

    What marked boxes have taught a network's attention; where it has none, Grad-CAM,
    of which the highest is the probability of the view.
    """
    taught = [m.marks for m in network.modules() if isinstance(m, Attention)]
    said: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda *a: said.append(a[2])) for m in taught]
    try:
        with torch.no_grad():
            logits = network(x)[:, 0].numpy()
    finally:
        for hook in hooks:
            hook.remove()
    if said:
        cells = torch.stack(said).float().sigmoid().mean(0)
        return place(cells, network.origin, network.stride, x.shape[-2:]).numpy()
    warm = heat(network, x).numpy()
    highest = warm.max((1, 2), keepdims=True)
    chances = probability(logits, temperature)[:, None, None]
    return chances * np.divide(
        warm, highest, out=np.zeros_like(warm), where=highest > 0
    )


def around(view: View, seen: np.ndarray, finer: bool = False) -> Iterator[Proposal]:
    """Boxes of all LATTICES on the frame around the PLACES most suspected, each of all
    near it. seen: (height, width) of the view, [0, 1]."""
    height = seen.shape[0]
    back = cv2.invertAffineTransform(view.affine)
    unit = height * float(np.sqrt(abs(np.linalg.det(back[:, :2]))))
    peaks = _peaks(np.where(view.pixels > 0, seen, 0))
    for score, x, y in sorted(peaks, reverse=True)[:PLACES]:
        middle = back @ (x, y, 1.0)
        yield from ((box, score) for box in _boxes(middle, unit, finer))


def _peaks(seen: np.ndarray) -> Iterator[tuple[float, float, float]]:
    """(height, x, y); where many neighbours are equally high, their middle."""
    reach = 2 * round(APART * seen.shape[0] / 384 / 2) + 1
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    high = (seen >= cv2.dilate(seen, near)) & (seen >= FLOOR)
    _, _, _, middles = cv2.connectedComponentsWithStats(high.astype(np.uint8))
    for x, y in middles[1:]:
        yield float(seen[round(y), round(x)]), float(x), float(y)


def _boxes(middle: np.ndarray, unit: float, finer: bool) -> Iterator[Box]:
    steps = np.arange(-3, 4) / FINER if finer else np.arange(-1, 2)
    for share, pitch in LATTICES:
        side = unit * share
        for row, column in product(steps, repeat=2):
            x, y = middle + side * pitch * np.array((column, row))
            yield float(x) - side / 2, float(y) - side / 2, side, side
