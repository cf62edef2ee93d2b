"""When a model should say nothing of an image: what it was not made to judge.

Three reasons, each with a limit that training chose on patients it did not learn
from: the picture is poor, the network sees something unlike what it was trained on,
or its probability lies where it is wrong too often. No torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

POOR, UNLIKE, UNCERTAIN = "poor_quality", "unlike_training", "uncertain"
REASONS = {
    "contrast": "The image has too little contrast to be read.",
    "sharpness": "The image is too blurred, or too small, to be read.",
    UNLIKE: "The image is unlike those this model learnt from.",
    UNCERTAIN: "The model cannot tell: its score lies where it is often wrong.",
}
FINE = 1.0  # pixels of a view: detail smaller than this is what blur takes first
FEWEST = 50  # pixels of a part, to judge it by


@dataclass(frozen=True)
class Limits:
    """Beyond which a model says nothing. The defaults never abstain.

    contrast, sharpness: the least a view may have (see `quality`). unlike: the
    largest distance from the training images (see `Familiar`); 0 for no limit.
    uncertain_from, uncertain_to: nothing is said of an image whose probability
    lies at or above the one and below the other.
    """

    contrast: float = 0.0
    sharpness: float = 0.0
    unlike: float = 0.0
    uncertain_from: float = 0.0
    uncertain_to: float = 0.0

    def poor(self, views: Sequence[np.ndarray]) -> str:
        """What is wrong with a picture of which no view is good enough, or ""."""
        wrong = [self._wrong(quality(view)) for view in views]
        return REASONS[wrong[0]] if all(wrong) else ""

    def strange(self, distance: float) -> bool:
        return bool(self.unlike) and distance > self.unlike

    def undecided(self, probability: float) -> bool:
        return self.uncertain_from <= probability < self.uncertain_to

    def _wrong(self, found: "Quality") -> str:
        if found.contrast < self.contrast:
            return "contrast"
        return "sharpness" if found.sharpness < self.sharpness else ""


@dataclass(frozen=True)
class Quality:
    """contrast: between dark and bright bone and tissue, of what a pixel can tell,
    [0, 1]. sharpness: how much of the variation is fine, [0, 1]."""

    contrast: float
    sharpness: float


def quality(view: np.ndarray) -> Quality:
    """Of a view, uint8 (height, width), black outside the part."""
    part = view[view > 0]
    if len(part) < FEWEST:
        return Quality(0.0, 0.0)
    low, high = np.percentile(part, (5, 95))
    blurred = cv2.GaussianBlur(view.astype(np.float32), (0, 0), FINE)
    inside = cv2.erode((view > 0).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    fine = (view - blurred)[inside]
    spread = max(float(part.std()), 1.0)
    sharpness = min(float(fine.std()) / spread, 1.0) if len(fine) >= FEWEST else 0.0
    return Quality(float(high - low) / 255, sharpness)


@dataclass(frozen=True)
class Familiar:
    """Where the features of the training images lie, with shrunken covariance.

    mean: (channels,). whitening: (channels, channels): makes the features of the
    training images uncorrelated and of unit spread (Mahalanobis; Lee et al. 2018,
    arXiv:1807.03888).
    """

    mean: np.ndarray
    whitening: np.ndarray

    def distance(self, features: np.ndarray) -> np.ndarray:
        """(N, channels) -> (N,): about 1 for an image of the training."""
        white = (np.asarray(features, np.float64) - self.mean) @ self.whitening
        return np.sqrt((white**2).mean(1))
