"""What cards tell as curves: training, reliability, coverage; of one model or several.

A card comes from a file and may hold anything: what is no figure is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from clinic.charts import Chart, Values
from clinic.models import ModelVersion
from search.told import figure

IDEAL = "as many as told"
SAID = (
    "Images by tenths of the probability told. Well calibrated is a model of which as "
    "many are fractured as it tells."
)
LEFT = (
    "Of the images answered, how many answers are wrong, if those nearest to the "
    "threshold are left to people first."
)


@dataclass(frozen=True)
class Curve:
    """words: how to read `chart`. lacking: a sentence for each card without one."""

    heading: str
    words: str
    chart: Chart | None
    lacking: list[str]


def of(*versions: ModelVersion) -> list[Curve]:
    """Every curve that the cards of `versions` hold, or lack."""
    kinds = (
        (_training, "Training", "training curve", "Loss as trained; AUROC by image."),
        (_reliability, "Reliability", "reliability diagram", SAID),
        (_coverage, "Coverage and error", "coverage/error curve", LEFT),
    )
    return [_curve(versions, *kind) for kind in kinds]


def _curve(
    versions: tuple[ModelVersion, ...],
    draw: Callable[[list[tuple[str, Mapping[str, object]]]], Chart | None],
    heading: str,
    noun: str,
    words: str,
) -> Curve:
    alone = len(versions) == 1
    named = [("" if alone else f", {v.name} {v.brief}", v.card) for v in versions]
    lacking = [
        f"The card of {version.name} {version.brief} holds no {noun}."
        for version, one in zip(versions, named, strict=True)
        if draw([one]) is None
    ]
    return Curve(heading, words, draw(named), lacking)


def _training(cards: list[tuple[str, Mapping[str, object]]]) -> Chart | None:
    lines: dict[str, Values] = {}
    for by, epochs in _histories(cards):
        for key, words in (("auroc", "AUROC on validation"), ("loss", "loss")):
            values = [figure(epoch.get(key)) for epoch in epochs]
            if any(value is not None for value in values):
                lines[words + by] = values
    if not lines:
        return None
    padded = list(zip_longest(*lines.values()))
    columns = [list(column) for column in zip(*padded)]
    number = list(range(1, len(padded) + 1))
    named = dict(zip(lines, columns))
    return Chart("training", "Training, epoch by epoch", "epoch", number, named)


def _histories(
    cards: list[tuple[str, Mapping[str, object]]],
) -> Iterator[tuple[str, list[Mapping[str, object]]]]:
    """The epochs of each card; a committee has those of its members, by their seed."""
    for by, card in cards:
        yield by, list(_mappings(card.get("history")))
        seeds, told = card.get("members"), card.get("histories")
        for digest, history in told.items() if isinstance(told, Mapping) else ():
            seed = figure(seeds.get(digest)) if isinstance(seeds, Mapping) else None
            who = str(digest)[:12] if seed is None else f"seed {seed}"
            yield f", {who}{by}", list(_mappings(history))


def _reliability(cards: list[tuple[str, Mapping[str, object]]]) -> Chart | None:
    """Of one model on validation too, of several on the test only."""
    sides = ("test", "validation") if len(cards) == 1 else ("test",)
    found: dict[str, list[tuple[float, float, int]]] = {}
    for by, card in cards:
        told = card.get("calibration")
        for side in sides if isinstance(told, Mapping) else ():
            if bins := list(_bins(told.get(side))):
                found[side + by] = bins
    if not found:
        return None
    x = sorted({0.0, 1.0, *(said for bins in found.values() for said, _, _ in bins)})
    lines = {f"fractured, {name}": _at(x, b, 1) for name, b in found.items()}
    counts = {f"images, {name}": _at(x, b, 2) for name, b in found.items()}
    return Chart(
        "reliability",
        "Share of fractured images against the probability told",
        "mean probability told",
        x,
        lines | {IDEAL: list(x)},
        beside=counts,
    )


def _coverage(cards: list[tuple[str, Mapping[str, object]]]) -> Chart | None:
    found = {}
    for by, card in cards:
        told = _mappings(card.get("coverage"))
        pairs = [(figure(p.get("coverage")), figure(p.get("error"))) for p in told]
        if points := [pair for pair in pairs if None not in pair]:
            found[f"wrong answers{by}"] = points
    if not found:
        return None
    x = sorted({share for points in found.values() for share, _ in points})
    lines = {name: _at(x, points, 1) for name, points in found.items()}
    title = "Share of wrong answers against the share answered"
    return Chart("coverage", title, "share of images answered", x, lines)


def _bins(told: object) -> Iterator[tuple[float, float, int]]:
    """(mean probability, share of fractured, images) of every bin with an image."""
    bins = told.get("bins") if isinstance(told, Mapping) else None
    for one in _mappings(bins):
        keys = ("mean_probability", "fractured", "count")
        said, fractured, count = (figure(one.get(key)) for key in keys)
        if None not in (said, fractured, count) and count > 0:
            yield said, fractured / count, count


def _at(x: list[float], points: list[tuple], column: int) -> Values:
    known = {point[0]: point[column] for point in points}
    return [known.get(value) for value in x]


def _mappings(told: object) -> Iterator[Mapping[str, object]]:
    found = told if isinstance(told, list) else []
    return (entry for entry in found if isinstance(entry, Mapping))
