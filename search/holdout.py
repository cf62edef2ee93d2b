"""How a model did on the studies held out for judging it, as its card tells.

`search.card` writes into card.json under "holdout":

    {"digest": SHA-256 over the sorted case ids with their labels,
     "cases": [{"id": "…", "study": "…", "patient": "…", "label": 0 or 1,
                "probability": [0, 1], "subgroups": {"sex": "F", …},
                "hits": ["lrp", …]}, …], an image each; hits: of one with a marked
              fracture the methods whose peak lies in it, missing in older cards,
     "hits": {"lrp": share of marked fractures in which the peak lies, each box wider
              by a tenth, "gradcam": the same}; older cards tell it under "pointing",
     "milliseconds": CPU time of one view, on the machine that trained,
     "abstentions": {"images": …, reason: of how many of them nothing is said}; else
              the card tells it beside its holdout, of the same images}

and under "parts": {"training": {"patients": […]}, "validation": {"patients": […]}},
and of the models that it comes of "learnt_before": {"patients": […], "unnamed": […]}.
What is judged is the study, as radiologists judge it: its probability is what the
model's own aggregation makes of its images. Intervals are drawn over patients as a
whole: studies of one person are not independent. Numpy only: the web process judges.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inference.aggregate import AGGREGATIONS, Aggregation
from inference.doubt import Limits
from search import draws
from search.told import figure, learnt_before, learnt_from, silent

METHODS = ("lrp", "gradcam")
MEASURES = ("AUROC", "sensitivity", "specificity")
DRAWS, SEED = 2000, 0
BINS = 10  # of the expected calibration error


@dataclass(frozen=True)
class Case:
    """One image or one study. label: 1 fractured, 0 not. study: of an image, else of
    its own. subgroups: "sex F" and the like. hits: the methods whose peak lies in a
    marked fracture of the image; None where none is marked, or nobody says."""

    id: str
    study: str
    patient: str
    label: int
    probability: float
    subgroups: frozenset[str] = frozenset()
    hits: frozenset[str] | None = None


@dataclass(frozen=True)
class Measured:
    """What is known of one model. threshold: a probability. None: not measured.

    cases: the studies that judge it. images: of them. trouble: why its holdout cannot
    be used, a sentence. learnt_from: the patients whom it was trained and tuned on, or
    those it comes of. unnamed: the latter whose cards do not name theirs. marked: the
    images with a marked fracture, on which the overlays were measured. confident,
    limits: of its spec. silent: images of which the reader was seen to say nothing.
    """

    name: str
    threshold: float
    digest: str = ""
    cases: tuple[Case, ...] = ()
    images: tuple[Case, ...] = ()
    pointing: Mapping[str, float] = field(default_factory=dict)
    marked: int | None = None
    milliseconds: float | None = None
    learnt_from: frozenset[str] | None = None
    unnamed: tuple[str, ...] = ()
    trouble: str = ""
    confident: float = 1.0
    limits: Limits = field(default_factory=Limits)
    silent: int | None = None


def measured(
    name: str, threshold: float, card: Mapping[str, object], aggregation: str
) -> Measured:
    """What `card` says of the model `name`; what it lacks is missing, never guessed.

    threshold, aggregation: of the model's spec; by them its images make a study.
    """
    met, earlier = learnt_from(card.get("parts")), learnt_before(card)
    known = Measured(
        name,
        threshold,
        learnt_from=None if met is None else met | set(earlier["patients"]),
        unnamed=tuple(earlier["unnamed"]),
    )
    told = card.get("holdout")
    if not isinstance(told, Mapping):
        words = f"{name} was not measured on a holdout: its card has none."
        return replace(known, trouble=words)
    try:
        images = _images(told.get("cases"))
        cases = _studies(images, threshold, aggregation)
    except ValueError as error:
        words = f"The holdout in the card of {name} cannot be used: {error}."
        return replace(known, trouble=words)
    rates = {method: figure(rate) for method, rate in _hits(card, told).items()}
    return replace(
        known,
        digest=str(told.get("digest") or ""),
        cases=cases,
        images=images,
        pointing={key: rate for key, rate in rates.items() if rate is not None},
        marked=_marked(card, told, images),
        milliseconds=figure(told.get("milliseconds")),
        silent=silent(told.get("abstentions", card.get("abstentions")), len(images)),
    )


def summary(model: Measured) -> dict[str, draws.Interval]:
    """AUROC, sensitivity and specificity at the threshold."""
    drawn = measures(model, weights(model.cases))
    return {what: draws.spread(values) for what, values in zip(MEASURES, drawn)}


def by_subgroup(model: Measured) -> list[tuple[str, int, dict[str, draws.Interval]]]:
    """(subgroup, studies, summary) of every subgroup that holds both classes."""
    found = []
    for name, indices in groups(model.cases).items():
        cases = tuple(model.cases[i] for i in indices)
        if {case.label for case in cases} == {0, 1}:
            part = replace(model, cases=cases)
            found.append((name, len(cases), summary(part)))
    return found


def calibration_error(cases: Iterable[Case]) -> float:
    """Expected calibration error over bins of equal width (Guo et al. 2017), without
    scikit-learn, whose import costs a process a second and 120 MB."""
    labels, chances = _arrays(cases)
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], chances)
    gaps = np.bincount(bins, weights=chances - labels, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


# --- From a card ----------------------------------------------------------------


def _images(told: object) -> tuple[Case, ...]:
    """ValueError says what is wrong with them."""
    if not isinstance(told, list):
        raise ValueError("it lists no cases")
    images = tuple(map(_image, told))
    if len({image.id for image in images}) != len(images):
        raise ValueError("a case occurs twice")
    return images


def _studies(
    images: Iterable[Case], threshold: float, aggregation: str
) -> tuple[Case, ...]:
    """A study is fractured if one of its images is, and in every subgroup of theirs.

    ValueError says what is wrong with them.
    """
    if aggregation not in AGGREGATIONS:
        raise ValueError(
            f"nobody knows how {aggregation!r} makes a study of its images"
        )
    inside: dict[str, list[Case]] = {}
    for image in images:
        inside.setdefault(image.study, []).append(image)
    aggregate = AGGREGATIONS[aggregation]
    studies = tuple(_study(found, threshold, aggregate) for found in inside.values())
    if {study.label for study in studies} != {0, 1}:
        raise ValueError("it needs studies with and without a fracture")
    return studies


def _study(found: list[Case], threshold: float, aggregate: Aggregation) -> Case:
    name, patients = found[0].study, {image.patient for image in found}
    if len(patients) > 1:
        raise ValueError(f"study {name} is of several patients")
    chance = aggregate([image.probability for image in found], threshold).probability
    groups = frozenset().union(*(image.subgroups for image in found))
    label = max(image.label for image in found)
    return Case(name, name, found[0].patient, label, chance, groups)


def _image(told: object) -> Case:
    if not isinstance(told, Mapping) or not told.keys() >= {"id", "patient"}:
        raise ValueError("a case lacks its id or its patient")
    told = {"study": told["id"]} | dict(told)
    label, chance = told.get("label"), figure(told.get("probability"))
    if isinstance(label, bool) or label not in (0, 1):
        raise ValueError(f"label {label!r} is neither 0 nor 1")
    if chance is None or not 0 <= chance <= 1:
        raise ValueError(f"{told.get('probability')!r} is no probability")
    subgroups = told.get("subgroups")
    subgroups = subgroups if isinstance(subgroups, Mapping) else {}
    known = frozenset(f"{k} {v}" for k, v in subgroups.items() if v not in (None, ""))
    names = (str(told[key]) for key in ("id", "study", "patient"))
    hits = told.get("hits")
    hits = frozenset(map(str, hits)) if isinstance(hits, list) else None
    return Case(*names, int(label), chance, known, hits)


def _hits(card: Mapping[str, object], told: Mapping[str, object]) -> dict[str, object]:
    hits, games = told.get("hits"), card.get("pointing")
    if isinstance(hits, Mapping):
        return {method: hits.get(method) for method in METHODS}
    games = games if isinstance(games, Mapping) else {}
    played = {method: games.get(method) for method in METHODS}
    return {m: g.get("hits") for m, g in played.items() if isinstance(g, Mapping)}


def _marked(
    card: Mapping[str, object], told: Mapping[str, object], images: Iterable[Case]
) -> int | None:
    """Older cards tell how many in their pointing game alone; no rate: none."""
    counted = sum(image.hits is not None for image in images)
    if counted or told.get("hits") == {}:
        return counted
    games = card.get("pointing")
    found = figure(games.get("images")) if isinstance(games, Mapping) else None
    return None if found is None else int(found)


# --- Figures --------------------------------------------------------------------


def _arrays(cases: Iterable[Case]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities, float (N,) each."""
    pairs = np.array([(case.label, case.probability) for case in cases], float)
    return pairs[:, 0], pairs[:, 1]


def groups(cases: Sequence[Case]) -> dict[str, list[int]]:
    """Indices of the cases of every subgroup, by its name."""
    found: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        for name in case.subgroups:
            found.setdefault(name, []).append(index)
    return dict(sorted(found.items()))


def weights(cases: Sequence[Case]) -> np.ndarray:
    """(1 + DRAWS, N): how often each case counts; once in the first row, then as
    often as its patient was drawn with replacement."""
    names, owners = np.unique([case.patient for case in cases], return_inverse=True)
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    return np.vstack([np.ones(len(cases)), drawn[:, owners]])


def measures(
    model: Measured, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AUROC, sensitivity, specificity, each for every row of `counts`.

    nan where a draw holds no case of a class.
    """
    labels, chances = _arrays(model.cases)
    broken = labels == 1
    return (
        draws.aurocs(labels, chances, counts),
        draws.shares(chances[broken] >= model.threshold, counts[:, broken]),
        specificity(model, model.threshold, counts),
    )


def specificity(model: Measured, threshold: float, counts: np.ndarray) -> np.ndarray:
    """For every row of `counts`; nan where a draw holds no sound case."""
    labels, chances = _arrays(model.cases)
    sound = labels == 0
    return draws.shares(chances[sound] < threshold, counts[:, sound])
