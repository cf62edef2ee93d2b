"""From the probabilities of a study's images to the study's own, and who voted.

An image's probability is the largest of its views. Every aggregation gives a
study probability p such that "p >= threshold" is its decision: a worklist sorted
by p is sorted by how near each study is to being flagged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, prod, tanh
from statistics import fmean
from typing import NamedTuple

SURE = 1e-6  # nearer to 0 or 1 than this a probability has no logit


class Evidence(NamedTuple):
    """probability: of the study, [0, 1]. voted: indices of the images that decided."""

    probability: float
    voted: tuple[int, ...]


Aggregation = Callable[[Sequence[float], float], Evidence]


def alo(probabilities: Sequence[float], threshold: float) -> Evidence:
    """At least one: the study is as suspicious as its most suspicious image.

    Every image at or above the threshold decides alone, so all of them voted; in
    a study below it, the most suspicious image did.
    """
    highest = max(probabilities)
    bar = min(threshold, highest)
    return Evidence(highest, _where(probabilities, lambda p: p >= bar))


def majority(probabilities: Sequence[float], threshold: float) -> Evidence:
    """More than half: the highest threshold that more than half of the images reach.

    That is the median of an odd number of images and the lower median of an even
    one, so a tie does not flag. The images of the winning side voted.
    """
    middle = sorted(probabilities, reverse=True)[len(probabilities) // 2]
    flagged = middle >= threshold
    return Evidence(
        middle, _where(probabilities, lambda p: (p >= threshold) == flagged)
    )


def mean(probabilities: Sequence[float], threshold: float) -> Evidence:
    """The images' average; those on its side of the threshold voted, if any is."""
    middle = fmean(probabilities)
    flagged = middle >= threshold
    return Evidence(
        middle, _where(probabilities, lambda p: (p >= threshold) == flagged)
    )


def noisy_or(probabilities: Sequence[float], threshold: float) -> Evidence:
    """As if every image saw the fracture, or not, independently of the others.

    At least the highest probability. Images may flag a study together that none of
    them flags alone; who voted is as in `alo`.
    """
    missed = prod(1 - p for p in sorted(probabilities))
    together = max(1 - missed, max(probabilities))  # never lost to rounding
    return Evidence(together, alo(probabilities, threshold).voted)


@dataclass(frozen=True)
class Learned:
    """A logistic function of the largest logit, the mean logit and the logarithm of
    how many images there are; what each weighs has been fitted to studies.

    A study never gets less suspicious because an image does (ValueError if it could).
    """

    largest: float
    mean: float
    count: float
    bias: float

    def __post_init__(self) -> None:
        if min(self.largest, self.mean) < 0:
            raise ValueError("a more suspicious image would make the study less so")

    def __call__(self, probabilities: Sequence[float], threshold: float) -> Evidence:
        largest, mean, count = told(probabilities)
        logit = self.largest * largest + self.mean * mean + self.count * count
        together = (1 + tanh((logit + self.bias) / 2)) / 2
        highest = max(probabilities)
        return Evidence(together, _where(probabilities, lambda p: p == highest))


def told(probabilities: Sequence[float]) -> tuple[float, float, float]:
    """What `Learned` looks at: largest logit, mean logit, logarithm of the number."""
    kept = [min(max(p, SURE), 1 - SURE) for p in probabilities]
    logits = sorted(log(p / (1 - p)) for p in kept)
    return logits[-1], fmean(logits), log(len(logits))


AGGREGATIONS: dict[str, Aggregation] = {
    "alo": alo,
    "majority": majority,
    "mean": mean,
    "noisy_or": noisy_or,
}


def _where(
    probabilities: Sequence[float], holds: Callable[[float], bool]
) -> tuple[int, ...]:
    return tuple(i for i, p in enumerate(probabilities) if holds(p))
