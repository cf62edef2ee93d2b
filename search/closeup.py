"""A network of patches and a model of whole views, on the same patches of a test side.

By AUFROC. The model looks at no patch: it says of each how much it suspects inside its
box, by the maps that `search.proposals` takes proposals from. The mean counts, which
tells the box that sits on a place from those beside it: the highest is the same for
all that hold it, and such a model would be held for worse than it is.
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from inference.preprocess import Recipe, geometry
from search import aufroc
from search.candidate import Tried
from search.example import Box
from search.patches import Patches
from search.proposals import Seen, looked
from search.run import loaded
from search.train import predict


def compared(
    test: Patches, tried: Tried, recipe: Recipe, served: Path | None
) -> dict[str, object]:
    """The network with its costs and, if there is one, the model in `served`: see
    `search.aufroc.Froc`; the difference on the same draws of patients."""
    logits = predict(loaded(tried.arch, tried.weights), test.samples, recipe)
    mine = test.judged(logits)
    if served is None:
        alone = aufroc.froc(mine, groups=test.patients)
        return {"candidate": asdict(alone) | tried.costs}
    theirs = test.judged(suspected(served, test))
    found = aufroc.compare(mine, theirs, groups=test.patients)
    return {
        "candidate": asdict(found.first) | tried.costs,
        "incumbent": asdict(found.second),
        "difference": found.difference and asdict(found.difference),
    }


def suspected(folder: Path, test: Patches) -> np.ndarray:
    """How much the model in `folder` suspects inside the box of each patch, [0, 1],
    (N,)."""
    scores = np.zeros(len(test.boxes))
    for number, seen in enumerate(looked(folder, test.examples)):
        for i in np.flatnonzero(test.samples.owners == number):
            scores[i] = within(tuple(test.boxes[i]), seen)
    return scores


def within(box: Box, seen: Iterable[Seen]) -> float:
    """The mean suspicion inside `box`, in frame pixels; 0 where no view shows it."""
    x, y, width, height = box
    corner = np.array([[1.0, 0, x], [0, 1.0, y]])
    shape = max(1, round(height)), max(1, round(width))
    laid = [
        geometry.restore(
            np.where(view.pixels > 0, spots, 0),
            geometry.compose(view.affine, corner),
            shape,
        )
        for view, spots in seen
    ]
    return float(np.max(laid, axis=0).mean()) if laid else 0.0
