"""Which rules of LRP, and does Grad-CAM, point at real fractures?

    python tests/benchmarks/composites.py [FOLDER…] [--step 1] [--curves 12]

FOLDER: artifacts, else those that are shipped. For fractured radiographs which the
model was not trained on, prints by method
  hits      share of images whose peak lies in a published box, widened by 10 %
  near      the same with a margin of 3 % of the frame's longer side (the pointing
            game's usual 15 of 500 pixels): these boxes are small
  flagged   "near" among the images that the model flags, which a reader looks at
  mass      share of positive relevance in the boxes
  deletion  mean probability while the most relevant blocks are blurred: low is good
  insertion the same while they are given back: high is good
  blue      share of relevance that speaks against
  sum|R|/|f| how much relevance cancels out; Grad-CAM is not in units of the logit
  random    |rank correlation| with a map of shuffled weights: low is good
and how often a peak in the middle of the frame, or anywhere, would be near.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from inference import picture, preprocess  # noqa: E402
from inference.artifact import Spec, load_card, load_network, load_spec  # noqa: E402
from inference.calibrate import probability  # noqa: E402
from inference.explain import COMPOSITES, gradcam, lrp  # noqa: E402
from inference.explain.faithfulness import (  # noqa: E402
    curves,
    inside,
    positive_mass,
    randomisation,
)
from inference.overlay import render  # noqa: E402
from search.data import Box, Example, examples  # noqa: E402
from search.parts import Parts  # noqa: E402

FRACATLAS = ROOT.parent / "shared" / "data" / "fracatlas"
COLUMNS = (
    "hits",
    "near",
    "flagged",
    "mass",
    "deletion",
    "insertion",
    "blue",
    "sum|R|/|f|",
    "random",
)
Method = Callable[[nn.Module, Tensor], Tensor]


def held_out(folder: Path, images: Path) -> list[Example]:
    """The fractured radiographs with boxes of the model's own test part."""
    known = examples(images)
    names = load_card(folder).get("test_images")
    if not names:  # an older card: the split that training makes
        names = [example.image.name for example in Parts.of(known).test]
    return [e for e in known if e.label and e.boxes and e.image.name in set(names)]


def methods(spec: Spec) -> dict[str, Method]:
    ruled = {
        name: partial(lrp, composite=name, recipe=spec.recipe) for name in COMPOSITES
    }
    return ruled | {"gradcam": gradcam}


class Case:
    """One radiograph as the model sees it."""

    def __init__(self, network: nn.Module, spec: Spec, example: Example) -> None:
        frame = picture.frame(example.image)
        self.network, self.example, self.shape = network, example, frame.pixels.shape
        self.views = preprocess.views(frame.pixels, spec.recipe)
        self.inputs = torch.from_numpy(preprocess.tensor(self.views, spec.recipe))
        with torch.no_grad():
            self.logits = network(self.inputs)[:, 0]
        chance = probability(self.logits.numpy(), spec.temperature).max()
        self.flagged = bool(chance >= spec.threshold)

    def measure(self, method: Method, deep: bool) -> dict[str, float]:
        """What this method shows; the slow measures only if `deep`."""
        maps = torch.cat([method(self.network, x[None]) for x in self.inputs])
        pairs = [(m.numpy(), view.affine) for m, view in zip(maps, self.views)]
        hit, near = hits(render(pairs, self.shape).peak, self.example, self.shape)
        best = int(self.logits.argmax())
        found = {
            "hits": hit,
            "near": near,
            "flagged": near if self.flagged else np.nan,
            "mass": mass(pairs, self.example),
            "blue": float(-maps.clamp(max=0).sum() / maps.abs().sum().clamp(min=1e-9)),
            "sum|R|/|f|": float(maps[best].abs().sum() / self.logits[best].abs()),
        }
        if deep:
            view = self.inputs[best][None]
            deletion, insertion = curves(self.network, view, maps[best])
            found |= {"deletion": deletion, "insertion": insertion}
            found["random"] = randomisation(method, self.network, view, seed=0)
        return found


def hits(
    peak: tuple[float, float] | None, example: Example, shape: tuple[int, int]
) -> tuple[bool, bool]:
    """Is the peak in a box widened by a tenth, and is it near one?"""
    if peak is None:
        return False, False
    return (
        any(inside(peak, box, 0.1 * max(box[2:])) for box in example.boxes),
        any(inside(peak, box, 0.03 * max(shape)) for box in example.boxes),
    )


def mass(pairs: Sequence[tuple[np.ndarray, np.ndarray]], example: Example) -> float:
    """The share of positive relevance in the boxes, measured on the views."""
    found = 0.0
    for relevance, affine in pairs:
        boxes = [upright(box, affine) for box in example.boxes]
        found += sum(positive_mass(relevance, box) for box in boxes) / len(pairs)
    return min(1.0, found)


def upright(box: Box, affine: np.ndarray) -> Box:
    """The box of a view around a box of the frame."""
    x, y, width, height = box
    corners = [(x + w, y + h, 1) for w in (0, width) for h in (0, height)]
    moved = np.array(corners) @ affine.T
    low, high = moved.min(axis=0), moved.max(axis=0)
    return (*low, *(high - low))


def baselines(found: Sequence[Example]) -> tuple[float, float]:
    """(middle, anywhere): the share of frames where a peak in the middle, or at
    random, would be near a box."""
    middle, anywhere = [], []
    for example in found:
        rows, columns = shape = picture.frame(example.image).pixels.shape
        middle.append(hits((columns / 2, rows / 2), example, shape)[1])
        wider = 0.06 * max(shape)
        areas = [(w + wider) * (h + wider) for _, _, w, h in example.boxes]
        anywhere.append(min(1.0, sum(areas) / rows / columns))
    return float(np.mean(middle)), float(np.mean(anywhere))


def report(folder: Path, images: Path, step: int, deep: int) -> None:
    spec, network = load_spec(folder), load_network(folder)
    found = held_out(folder, images)[::step]
    rows = {name: [] for name in methods(spec)}
    for i, example in enumerate(found):
        case = Case(network, spec, example)
        for name, method in methods(spec).items():
            rows[name].append(case.measure(method, deep=i * deep % len(found) < deep))
    print(f"\n{spec.name} ({folder}): {len(found)} held-out fractured radiographs")
    print(f"{'':12}", *(f"{column:>10}" for column in COLUMNS))
    for name, values in rows.items():
        means = [np.nanmean([row.get(c, np.nan) for row in values]) for c in COLUMNS]
        print(f"{name:12}", *(f"{mean:10.3f}" for mean in means))
    middle, anywhere = baselines(found)
    print(f"near by chance: a peak in the middle {middle:.3f}, anywhere {anywhere:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, default=FRACATLAS)
    parser.add_argument("--step", type=int, default=1, help="every how many-th image")
    parser.add_argument("--curves", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shipped = sorted((ROOT / "inference" / "models").iterdir())
    for folder in options.folders or shipped:
        report(folder, options.data, options.step, options.curves)


if __name__ == "__main__":
    main()
