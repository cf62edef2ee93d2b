"""Do the maps of a model point at the fractures that people marked?

The pointing game (Zhang et al. 2018, doi:10.1007/s11263-017-1059-x) on whole frames,
as a radiologist sees them: every view's relevance laid over the frame, one peak.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from inference import picture, preprocess
from inference.artifact import Spec
from inference.calibrate import probability
from inference.explain import COMPOSITES, gradcam, lrp
from inference.explain.faithfulness import inside
from inference.overlay import FINGER, render
from search.data import Box, Example

WIDER = 0.1  # of a box's longer side, on every side of it
NEAR = 0.03  # of the frame's longer side: 15 of 500 pixels
CONSERVING = tuple(name for name, c in COMPOSITES.items() if c.conserves)

Method = Callable[[nn.Module, Tensor], Tensor]
Peak = tuple[float, float] | None


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

    def maps(self, method: Method) -> Tensor:
        """Relevance of every view, (N, H, W)."""
        return torch.cat([method(self.network, x[None]) for x in self.inputs])

    def peak(self, maps: Tensor) -> Peak:
        pairs = [(m.numpy(), view.affine) for m, view in zip(maps, self.views)]
        return render(pairs, self.shape).peak


def methods(spec: Spec) -> dict[str, Method]:
    """What the page shows: LRP by the model's own rules, and Grad-CAM."""
    return {"lrp": ruled(spec, spec.composite), "gradcam": gradcam}


def ruled(spec: Spec, composite: str) -> Method:
    return partial(lrp, composite=composite, recipe=spec.recipe)


def hits(peak: Peak, example: Example, shape: tuple[int, int]) -> tuple[bool, bool]:
    """Is the peak in a box widened by a tenth, and is it near one?"""
    near = peak is not None and any(
        inside(peak, box, NEAR * max(shape)) for box in example.boxes
    )
    return hit(peak, example.boxes), near


def hit(peak: Peak, boxes: Sequence[Box]) -> bool:
    """Is the peak in one of the boxes, each widened by a tenth of its longer side?"""
    return peak is not None and any(
        inside(peak, box, WIDER * max(box[2:])) for box in boxes
    )


def chance(found: Sequence[Example]) -> dict[str, float]:
    """The share of frames where a peak in the middle, or at random, would be near."""
    middle, anywhere = [], []
    for example in found:
        rows, columns = shape = picture.frame(example.image).pixels.shape
        middle.append(hits((columns / 2, rows / 2), example, shape)[1])
        wider = 2 * NEAR * max(shape)
        areas = [(w + wider) * (h + wider) for _, _, w, h in example.boxes]
        anywhere.append(min(1.0, sum(areas) / rows / columns))
    return {"near_middle": _mean(middle), "near_anywhere": _mean(anywhere)}


def marked(found: Sequence[Example]) -> list[Example]:
    return [example for example in found if example.label and example.boxes]


def played(
    network: nn.Module, spec: Spec, found: Sequence[Example], by: Mapping[str, Method]
) -> dict[str, dict[str, float]]:
    """Method -> shares of the marked images of `found`: hits, near, and both among
    the images that the model flags, which a reader looks at."""
    rows = games(network, spec, found, by)
    return {name: _shares(row) for name, row in rows.items()}


def games(
    network: nn.Module, spec: Spec, found: Sequence[Example], by: Mapping[str, Method]
) -> dict[str, np.ndarray]:
    """Method -> of every image of `found`: hit, near, flagged; bool (N, 3)."""
    rows: dict[str, list[tuple[bool, bool, bool]]] = {name: [] for name in by}
    for example in tqdm(found, "pointing", unit="image"):
        case = Case(network, spec, example)
        for name, method in by.items():
            peak = case.peak(case.maps(method))
            rows[name].append((*hits(peak, example, case.shape), case.flagged))
    return {name: np.array(row, bool).reshape(-1, 3) for name, row in rows.items()}


def chosen(network: nn.Module, spec: Spec, found: Sequence[Example]) -> str:
    """The conserving composite whose peaks lie most often in the marked boxes of
    `found`, among equals most often near them; where none is marked, the first."""
    found = marked(found)
    by = {name: ruled(spec, name) for name in CONSERVING}
    shares = played(network, spec, found, by)
    return max(
        CONSERVING, key=lambda name: (shares[name]["hits"], shares[name]["near"])
    )


def card(network: nn.Module, spec: Spec, found: Sequence[Example]) -> dict[str, object]:
    """What a model card says of the overlays, on images the model never saw.

    hit_by: the name of each marked image -> the methods whose peak hits.
    """
    found = marked(found)
    if not found:
        return {"images": 0, "reading": "Not measured: no image has a marked fracture."}
    rows = games(network, spec, found, methods(spec))
    facts = {"images": len(found), "composite": spec.composite, "finger": FINGER}
    facts |= {name: _shares(row) for name, row in rows.items()}
    facts["hit_by"] = {
        example.name: [name for name, row in rows.items() if row[i, 0]]
        for i, example in enumerate(found)
    }
    facts["chance"] = chance(found)
    return facts | {"reading": _sentence(facts)}


def _sentence(facts: Mapping[str, object]) -> str:
    lrp_near, cam_near, middle = (
        f"{100 * facts[side][share]:.0f} %"
        for side, share in (
            ("lrp", "near"),
            ("gradcam", "near"),
            ("chance", "near_middle"),
        )
    )
    return (
        f"On {facts['images']} fractured radiographs not seen in training the peak lay "
        f"within or beside a marked fracture in {lrp_near} (LRP) and {cam_near} "
        f"(Grad-CAM); a peak in the middle of every image would in {middle}. The maps "
        "show what the model used, not where the fracture is."
    )


def _shares(rows: np.ndarray) -> dict[str, float]:
    """rows: (N, 3) of hit, near, flagged."""
    flagged = rows[rows[:, 2]]
    return {
        "hits": _mean(rows[:, 0]),
        "near": _mean(rows[:, 1]),
        "flagged": float(rows[:, 2].sum()),
        "hits_flagged": _mean(flagged[:, 0]),
        "near_flagged": _mean(flagged[:, 1]),
    }


def _mean(values: Sequence[bool] | np.ndarray) -> float:
    return round(float(np.mean(values)), 4) if len(values) else 0.0
