"""Does the model in service say of what it reads now what it said of what it knew?

Two comparisons: with the images that it learnt from, of which it is surer than of any
others, and with those of its holdout, which it met once, at its end. What was not
measured is said to be so.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from clinic import registry
from clinic.charts import Chart
from clinic.models import ImageReading, ModelVersion

BINS = 10
FEWEST = 50  # scores without which no shift can be told
# Usual readings of a population stability index: up to, words.
SHIFTS = ((0.1, "no shift worth a word"), (0.25, "a moderate shift"))
LARGE = "a large shift: look at what is sent, and at the model"


@dataclass(frozen=True)
class Shift:
    """The scores now against those of `images` of `side`. shares: of these scores in
    BINS bins from 0 to 1. index: see `stability`; trouble: why there is none."""

    side: str
    images: int
    shares: list[float]
    index: float | None
    trouble: str

    @property
    def words(self) -> str:
        if self.index is None:
            return ""
        return next((words for limit, words in SHIFTS if self.index < limit), LARGE)


@dataclass(frozen=True)
class Scores:
    """What `model` says now. now: shares of its scores of `count` images."""

    model: ModelVersion | None
    now: list[float]
    count: int
    shifts: list[Shift]

    @property
    def chart(self) -> Chart:
        then = {shift.side: shift.shares for shift in self.shifts if shift.shares}
        centres = [(i + 0.5) / BINS for i in range(BINS)]
        title = "Share of images by score, in tenths"
        x_label = "score, middle of the tenth"
        return Chart("scores", title, x_label, centres, {"now": self.now} | then)


@dataclass(frozen=True)
class Known:
    """What a model once said of the images of `side`. chances: of each, or a sample
    that is distributed as they are. trouble: why there are none."""

    side: str
    images: int
    chances: np.ndarray
    trouble: str = ""


def scores(since: datetime) -> Scores:
    """What the model in service says of images since then, and said before. Two
    queries."""
    model = registry.active()
    given = ImageReading.objects.filter(
        prediction__model=model,
        prediction__superseded_at=None,
        prediction__created__gte=since,
        state="read",
    )
    now = np.array(list(given.values_list("probability", flat=True)), float)
    known = (_learnt(model), _held_out(model)) if model else ()
    return Scores(model, _shares(now), len(now), [_shift(one, now) for one in known])


def stability(then: np.ndarray, now: np.ndarray) -> float:
    """Population stability index over the deciles of `then`.

    Half a case is added to every bin, so that an empty one does not decide alone.
    """
    edges = np.unique(np.quantile(then, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares = [
        (
            np.bincount(np.searchsorted(edges, x, "right"), minlength=len(edges) + 1)
            + 0.5
        )
        / (len(x) + 0.5 * (len(edges) + 1))
        for x in (then, now)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _learnt(model: ModelVersion) -> Known:
    told = model.card.get("training_scores")
    words = "Its card does not tell its scores of what it learnt from."
    nothing = Known("training set", 0, np.empty(0), words)
    try:
        images, chances = int(told["images"]), np.array(told["percentiles"], float)
    except (KeyError, TypeError, ValueError):
        return nothing
    usable = chances.size and ((chances >= 0) & (chances <= 1)).all()
    return Known("training set", images, chances.ravel()) if usable else nothing


def _held_out(model: ModelVersion) -> Known:
    known = registry.facts(model)
    chances = np.array([image.probability for image in known.images], float)
    return Known("holdout", len(chances), chances, known.trouble)


def _shift(known: Known, now: np.ndarray) -> Shift:
    trouble = known.trouble
    for count, what in (
        (known.images, f"images in its {known.side}"),
        (len(now), "images read in this time"),
    ):
        if not trouble and count < FEWEST:
            trouble = f"{count} {what}: at least {FEWEST} are needed."
    index = None if trouble else stability(known.chances, now)
    shares = _shares(known.chances) if len(known.chances) else []
    return Shift(known.side, known.images, shares, index, trouble)


def _shares(found: np.ndarray) -> list[float]:
    bins = np.minimum((found * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    return (counts / max(len(found), 1)).tolist()
