"""Figures of cases that are drawn again and again, of all draws at once.

scikit-learn says the same of each draw (tested) in a millisecond where these take a
few microseconds, and its import costs a process a second and 120 MB. So single figures
are its own (`search.evaluate`); draws are ours, and what the web process judges by
them. Numpy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A measured value with its 90 % bootstrap interval."""

    value: float
    low: float
    high: float


def of_groups(groups: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """(1 + draws, N): how often each case counts; once in the first row, then as often
    as its group was drawn with replacement. groups: (N,) names."""
    names, owners = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(names), size=(draws, len(names)))
    drawn = [np.bincount(pick, minlength=len(names)) for pick in picks]
    return np.array([np.ones(len(names)), *drawn])[:, owners]


def aurocs(
    labels: np.ndarray,
    scores: np.ndarray,
    counts: np.ndarray,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """AUROC, ties halved, for every row of `counts` (draws, N); nan where one holds no
    case of a class. Of `groups`, if given, only pairs inside one of them count."""
    groups = np.zeros(len(labels)) if groups is None else groups
    inside = [groups == name for name in np.unique(groups)]
    told = [_wins(labels[i], scores[i], counts[:, i]) for i in inside]
    wins, pairs = np.sum(told, axis=0)
    with np.errstate(invalid="ignore"):
        return wins / pairs


def shares(right: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of the cases the share that is `right` (N,), for every row of `counts`."""
    with np.errstate(invalid="ignore"):
        return counts @ right / counts.sum(axis=1)


def interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    """The first value is the measured one, the others are the bootstrap's."""
    return None if np.isnan(values[0]) else spread(values)


def spread(values: Sequence[float] | np.ndarray) -> Interval:
    """As `interval`, of what is nan too."""
    low, high = np.nanquantile(values[1:], (0.05, 0.95))
    return Interval(float(values[0]), float(low), float(high))


def _wins(
    labels: np.ndarray, scores: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs in which the fractured case scores above the sound one, and all pairs."""
    broken, sound = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    of_broken, order = counts[:, broken], sound[np.argsort(scores[sound])]
    below = np.zeros((len(counts), len(sound) + 1))
    np.cumsum(counts[:, order], axis=1, out=below[:, 1:])
    left, right = (
        np.searchsorted(scores[order], scores[broken], s) for s in ("left", "right")
    )
    wins = (of_broken * (below[:, left] + below[:, right])).sum(axis=1) / 2
    return wins, of_broken.sum(axis=1) * below[:, -1]
