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
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from inference.artifact import Spec, load_card, load_network, load_spec  # noqa: E402
from inference.explain import COMPOSITES, gradcam  # noqa: E402
from inference.explain.faithfulness import (  # noqa: E402
    curves,
    positive_mass,
    randomisation,
)
from search.data import Box, Example, examples  # noqa: E402
from search.parts import Parts  # noqa: E402
from search.pointing import Case, Method, chance, hits, marked, ruled  # noqa: E402

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


def held_out(folder: Path, images: Path) -> list[Example]:
    """The fractured radiographs with boxes of the model's own test part."""
    known = examples(images)
    names = load_card(folder).get("test_images")
    if not names:  # an older card: the split that training makes
        names = [example.image.name for example in Parts.of(known).test]
    return marked([e for e in known if e.image.name in set(names)])


def methods(spec: Spec) -> dict[str, Method]:
    return {name: ruled(spec, name) for name in COMPOSITES} | {"gradcam": gradcam}


def measure(case: Case, method: Method, deep: bool) -> dict[str, float]:
    """What this method shows; the slow measures only if `deep`."""
    maps = case.maps(method)
    hit, near = hits(case.peak(maps), case.example, case.shape)
    best = int(case.logits.argmax())
    found = {
        "hits": hit,
        "near": near,
        "flagged": near if case.flagged else np.nan,
        "mass": mass(maps.numpy(), case),
        "blue": float(-maps.clamp(max=0).sum() / maps.abs().sum().clamp(min=1e-9)),
        "sum|R|/|f|": float(maps[best].abs().sum() / case.logits[best].abs()),
    }
    if deep:
        view = case.inputs[best][None]
        deletion, insertion = curves(case.network, view, maps[best])
        found |= {"deletion": deletion, "insertion": insertion}
        found["random"] = randomisation(method, case.network, view, seed=0)
    return found


def mass(maps: np.ndarray, case: Case) -> float:
    """The share of positive relevance in the boxes, measured on the views."""
    found = 0.0
    for relevance, view in zip(maps, case.views):
        boxes = [upright(box, view.affine) for box in case.example.boxes]
        found += sum(positive_mass(relevance, box) for box in boxes) / len(maps)
    return min(1.0, found)


def upright(box: Box, affine: np.ndarray) -> Box:
    """The box of a view around a box of the frame."""
    x, y, width, height = box
    corners = [(x + w, y + h, 1) for w in (0, width) for h in (0, height)]
    moved = np.array(corners) @ affine.T
    low, high = moved.min(axis=0), moved.max(axis=0)
    return (*low, *(high - low))


def report(folder: Path, images: Path, step: int, deep: int) -> None:
    spec, network = load_spec(folder), load_network(folder)
    found = held_out(folder, images)[::step]
    rows = {name: [] for name in methods(spec)}
    for i, example in enumerate(found):
        case = Case(network, spec, example)
        for name, method in methods(spec).items():
            rows[name].append(measure(case, method, deep=i * deep % len(found) < deep))
    print(f"\n{spec.name} ({folder}): {len(found)} held-out fractured radiographs")
    print(f"{'':12}", *(f"{column:>10}" for column in COLUMNS))
    for name, values in rows.items():
        means = [np.nanmean([row.get(c, np.nan) for row in values]) for c in COLUMNS]
        print(f"{name:12}", *(f"{mean:10.3f}" for mean in means))
    print("near by chance:", chance(found))


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
