"""From scores and labels to a report: AUROC, accuracy, confusion, with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Measure = Callable[[np.ndarray, np.ndarray], float]  # labels, scores

EVEN = 0.5  # as likely as not, by the network's own account: nothing was chosen


@dataclass(frozen=True)
class Interval:
    """A measured value with its 90 % bootstrap interval."""

    value: float
    low: float
    high: float


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
    scores that are not finite: nan would sort as the highest. scikit-learn's answers
    the same (tested) after forty times as long, and one report asks 24,000 times.
    """
    if not np.isfinite(scores).all():
        raise ValueError("Not every score is a finite number.")
    broken, sound = np.asarray(scores)[labels == 1], np.asarray(scores)[labels == 0]
    if not len(broken) or not len(sound):
        return float("nan")
    order = np.sort(sound)
    below = np.searchsorted(order, broken, "left")
    not_above = np.searchsorted(order, broken, "right")
    return float((below + not_above).mean() / 2 / len(sound))


def auroc_within(
    labels: np.ndarray, scores: np.ndarray, groups: Sequence[str]
) -> float:
    """AUROC over the pairs inside one group; nan without any."""
    groups, wins, pairs = np.asarray(groups), 0.0, 0
    for name in np.unique(groups):
        inside = groups == name
        count = int(labels[inside].sum()) * int((1 - labels[inside]).sum())
        if count:
            wins += count * auroc(labels[inside], scores[inside])
            pairs += count
    return wins / pairs if pairs else float("nan")


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
    too narrow.
    """
    labels, scores, groups = map(np.asarray, (labels, scores, groups))
    samples = [np.arange(len(labels)), *resamples(groups, draws, seed)]
    within = [auroc_within(labels[s], scores[s], groups[s]) for s in samples]
    confusion = _confusion(labels, scores >= threshold)
    return Report(
        cases=len(labels),
        fractured=int(labels.sum()),
        auroc=interval([auroc(labels[s], scores[s]) for s in samples]),
        auroc_within=interval(within),
        accuracy=interval(
            [np.mean((scores[s] >= threshold) == labels[s]) for s in samples]
        ),
        threshold=threshold,
        confusion=confusion,
        sensitivity=_share(confusion["tp"], confusion["fn"]),
        specificity=_share(confusion["tn"], confusion["fp"]),
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


def resamples(groups: np.ndarray, draws: int, seed: int) -> list[np.ndarray]:
    """Indices of the cases of each bootstrap draw of whole groups, (N,) names."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    picks = rng.integers(len(members), size=(draws, len(members)))
    return [np.concatenate([members[i] for i in pick]) for pick in picks]


def interval(values: Sequence[float]) -> Interval | None:
    """The first value is the measured one, the others are the bootstrap's."""
    if np.isnan(values[0]):
        return None
    low, high = np.nanquantile(values[1:], (0.05, 0.95))
    return Interval(float(values[0]), float(low), float(high))


def _share(right: int, wrong: int) -> float | None:
    return right / (right + wrong) if right + wrong else None


def _confusion(labels: np.ndarray, flagged: np.ndarray) -> dict[str, int]:
    return {
        "tp": int((flagged & (labels == 1)).sum()),
        "fp": int((flagged & (labels == 0)).sum()),
        "fn": int((~flagged & (labels == 1)).sum()),
        "tn": int((~flagged & (labels == 0)).sum()),
    }
