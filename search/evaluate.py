"""From scores and labels to a report: AUROC, accuracy, confusion, with intervals.

Figures are scikit-learn's, their intervals drawn by `search.draws`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    recall_score,
    roc_auc_score,
)

from search import draws as drawn
from search.draws import Interval, interval

EVEN = 0.5  # as likely as not, by the network's own account: nothing was chosen


@dataclass(frozen=True)
class Report:
    """How well a model does on data it has never seen.

    cases: how many were judged, `fractured` of them positive. auroc_within: mean
    AUROC inside the groups that hold both classes, weighted by their pairs; it
    cannot profit from one group's looking different from another. None where
    there is no pair to compare. confusion: true/false positives/negatives at
    `threshold`, a probability. sensitivity, specificity: there; None where no case is
    fractured, or none is sound.
    """

    cases: int
    fractured: int
    auroc: Interval | None
    auroc_within: Interval | None
    accuracy: Interval
    threshold: float
    confusion: dict[str, int]
    sensitivity: float | None
    specificity: float | None


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a fractured case scores above a sound one, ties halved.

    nan where one of the classes is missing. labels: (N,) of 0 and 1. ValueError for
    scores that are not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("Not every score is a finite number.")
    both = len(np.unique(labels)) == 2
    return float(roc_auc_score(labels, scores)) if both else float("nan")


def aurocs(labels: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """As measured, then of every further row of `counts` (1 + draws, N)."""
    return np.append(auroc(labels, scores), drawn.aurocs(labels, scores, counts[1:]))


def accuracies(
    labels: np.ndarray, flagged: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """As measured, then of every further row of `counts` (1 + draws, N)."""
    again = drawn.shares(flagged == labels, counts[1:])
    return np.append(accuracy_score(labels, flagged), again)


def report(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: Sequence[str],
    threshold: float,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Report:
    """Measure probabilities `scores` (N,) against `labels` (N,).

    The bootstrap draws whole groups (patients, blocks) with replacement: cases of
    one person are not independent, and drawing them singly would give an interval
    too narrow. AUROC inside the groups is ours: scikit-learn has none.
    """
    labels, scores, groups = map(np.asarray, (labels, scores, groups))
    counts, flagged = drawn.of_groups(groups, draws, seed), scores >= threshold
    tn, fp, fn, tp = confusion_matrix(labels, flagged, labels=[0, 1]).ravel().tolist()
    return Report(
        cases=len(labels),
        fractured=int(labels.sum()),
        auroc=interval(aurocs(labels, scores, counts)),
        auroc_within=interval(drawn.aurocs(labels, scores, counts, groups)),
        accuracy=interval(accuracies(labels, flagged, counts)),
        threshold=threshold,
        confusion={"tp": tp, "fp": fp, "fn": fn, "tn": tn},
        sensitivity=_recall(labels, flagged, 1),
        specificity=_recall(labels, flagged, 0),
    )


def operating_point(
    labels: np.ndarray, scores: np.ndarray, sensitivity: float
) -> float:
    """The highest threshold that finds at least this share of the fractured.

    Half-way to the next lower score, so that it is not tied to one of them. An
    index that trades both errors evenly (Youden's) may miss most fractures, and
    what is not flagged is read last. ValueError without a fractured case.
    """
    broken = np.sort(scores[labels == 1])[::-1]
    if not len(broken):
        raise ValueError("no fractured case to choose the threshold by")
    needed = broken[int(np.ceil(sensitivity * len(broken))) - 1]
    lower = scores[scores < needed]
    return float((needed + (lower.max() if len(lower) else 0.0)) / 2)


def specific_point(labels: np.ndarray, scores: np.ndarray, specificity: float) -> float:
    """The lowest threshold below which at least this share of the sound lie.

    Half-way to the next higher score. ValueError without a sound case.
    """
    sound = np.sort(scores[labels == 0])
    if not len(sound):
        raise ValueError("no sound case to choose the threshold by")
    kept = sound[int(np.ceil(specificity * len(sound))) - 1]
    higher = scores[scores > kept]
    return float((kept + (higher.min() if len(higher) else 1.0)) / 2)


def temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """What to divide logits by for the best likelihood (Guo et al. 2017,
    arXiv:1706.04599), searched in 0.2 to 10."""
    signs = np.where(labels == 1, 1.0, -1.0)
    candidates = np.geomspace(0.2, 10, 200)
    losses = [np.logaddexp(0, -signs * logits / t).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def _recall(labels: np.ndarray, flagged: np.ndarray, of: int) -> float | None:
    """Of the cases of one class the share that is told right; None without any."""
    known = of in labels
    return float(recall_score(labels, flagged, pos_label=of)) if known else None
