"""How much of the holdout does a model leave to people, saying nothing?

Scores are judged as if every image were told of; a model that tells nothing would pass.
Which probabilities are too uncertain to be told, the spec and the probabilities say.
What looks poor, or unlike the training, has to be counted on the images themselves
(`search.card`): a model whose limits may be reached is not judged without.
"""

from dataclasses import asdict, replace
from typing import NamedTuple

from search.holdout import Measured
from search.judgement import ROUNDING, Row

LOOKS = ("contrast", "sharpness", "unlike")  # limits of which no probability tells


class Left(NamedTuple):
    """share: of the held-out images, at least. whole: no more than that."""

    share: float
    whole: bool


def left(model: Measured) -> Left:
    images = model.images or model.cases
    count = sum(model.limits.undecided(image.probability) for image in images)
    limits = asdict(model.limits)
    whole = model.silent is not None or not any(limits[name] for name in LOOKS)
    return Left(max(count, model.silent or 0) / len(images), whole)


def compared(candidate: Measured, incumbent: Measured, allowed: float) -> Row:
    """allowed: by how much the share may be higher."""
    now, was = left(candidate), left(incumbent)
    row = Row("images left to people", was.share, now.share)
    if now.share > was.share + allowed + ROUNDING:
        least = "" if was.whole else "at least "
        words = (
            f"{candidate.name} says nothing of {now.share:.3f} of the held-out images "
            f"against {least}{was.share:.3f} in service: at most {allowed:.2f} more "
            "is allowed."
        )
        return replace(row, blocker=words)
    if not now.whole:
        words = (
            f"How many held-out images {candidate.name} leaves to people, as poor or "
            "unlike its training, was not measured."
        )
        return replace(row, blocker=words)
    return row
