"""A model's card for people to read: only what card.json says, and what it lacks.

A card comes from a file and may hold anything; what has not the shape it should
have counts as missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clinic import registry
from clinic.models import ModelVersion
from search.draws import Interval
from search.holdout import MEASURES, METHODS, by_subgroup, summary
from search.holdout import calibration_error as error_of
from search.limits import sentences
from search.told import figure

NOT_MEASURED, NOT_STATED = "not measured", "not stated"
ALONE = "no others: one network"
SIDES = ("training", "validation", "test")
PERSONAL = ("age", "sex")  # told even where nothing is known of them
OVERLAYS = {"lrp": "LRP", "gradcam": "Grad-CAM"}
NEAR = "in or beside the box", "near"
ABSTENTIONS = {
    "poor_quality": "Left to people: poor quality",
    "unlike_training": "Left to people: unlike the training",
    "uncertain": "Left to people: uncertain",
}

JUDGED = {"by study": "by_study", "by image": "by_image"}
COSTS = {"parameters": "Parameters", "madds": "Multiply-adds of a view"}

Fact = tuple[str, str]
Row = tuple[str, str, str]  # figure, candidate, in service


@dataclass(frozen=True)
class Table:
    """head: names of the columns. rows: as many cells each."""

    heading: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Comparison:
    """first: what models are compared by, quality and cost. rest: all else."""

    first: Sequence[Row]
    rest: Sequence[Row]


def facts(version: ModelVersion) -> dict[str, list[Fact]]:
    """heading -> (name, value) of everything a card should tell."""
    card = version.card
    return {
        "Use": [
            ("Intended use", _words(card, "intended_use")),
            ("Limits", _limits(card)),
            ("Notes", _words(card, "notes")),
            ("Licence of the data", _words(card, "data", "licence")),
        ],
        "Holdout of its card, by study": list(_held_out(version)),
        "Test part by study": list(_tested(card.get("test_by_study"))),
        "Test part by image": list(_tested(card.get("test"))),
        "Calibration and doubt": list(_doubt(card)),
        "Overlays": list(_pointing(card)),
        "Making": list(_making(card)),
    }


def data(card: Mapping[str, object]) -> Table:
    """How much there is in each part of the data."""
    names = ("Part", "Images", "Fractured", "Patients", "Body parts")
    rows = []
    for side in SIDES:
        patients = _at(card, "parts", side, "patients")
        count = str(len(patients)) if isinstance(patients, list) else NOT_MEASURED
        counts = [_number(_at(card, "parts", side, k)) for k in ("images", "fractured")]
        rows.append((side, *counts, count, _counted(_at(card, "parts", side, "parts"))))
    return Table("Data", names, rows)


def people(card: Mapping[str, object]) -> Table:
    """Who is in each part of the data, by images; `search.demographics` counts."""
    known = [_at(card, "parts", side, "attributes") for side in SIDES]
    names = [n for told in known if isinstance(told, Mapping) for n in told]
    rows = [
        (str(name), *(_grouped(_at(told, name)) for told in known))
        for name in dict.fromkeys([*PERSONAL, *names])
    ]
    return Table("Who the data show", ("Attribute", *SIDES), rows)


def subgroups(version: ModelVersion) -> Table:
    """Each subgroup of the holdout's studies, with 90 % intervals over patients."""
    known = registry.facts(version)
    found = [] if known.trouble else by_subgroup(known)
    rows = [
        (name, str(count), *(_estimate(figures[what]) for what in MEASURES))
        for name, count, figures in found
    ]
    return Table("Subgroups of the holdout", ("Subgroup", "Studies", *MEASURES), rows)


def auroc(card: Mapping[str, object]) -> str:
    """By study on the test part, with its interval."""
    return _interval(_at(card, "test_by_study", "auroc"))


def compared(told: Mapping[str, object]) -> Comparison:
    """A job's `compared`: what was made against the model then in service."""
    sides = told.get("candidate"), told.get("incumbent")
    known = {f"{name} {of}": two for of in JUDGED for name, *two in _beside(sides, of)}
    first = {name: known.pop(name) for name in [f"AUROC {of}" for of in JUDGED]}
    for key, words in COSTS.items():
        first[words] = [_millions(_at(side, key)) for side in sides]
    return Comparison(*([(k, *v) for k, v in part.items()] for part in (first, known)))


# --- Sections -------------------------------------------------------------------


def _limits(card: Mapping[str, object]) -> str:
    """What the card says; an older one is asked what follows from its data."""
    told = _words(card, "limits")
    return " ".join(sentences(card)) or told if told == NOT_STATED else told


def _tested(report: object) -> Iterator[Fact]:
    yield "Cases", _number(_at(report, "cases"))
    yield "Fractured", _number(_at(report, "fractured"))
    yield "AUROC", _interval(_at(report, "auroc"))
    yield "AUROC inside the groups", _interval(_at(report, "auroc_within"))
    yield "Accuracy", _interval(_at(report, "accuracy"))
    yield "Threshold", _number(_at(report, "threshold"))
    for key in ("sensitivity", "specificity"):
        yield key.capitalize(), _number(_at(report, key))
    for key in ("tp", "fp", "tn", "fn"):
        words = {"t": "True", "f": "False"}[key[0]]
        side = {"p": "positives", "n": "negatives"}[key[1]]
        yield f"{words} {side}", _number(_at(report, "confusion", key))


def _beside(sides: Sequence[object], of: str) -> Iterator[tuple[str, str, str]]:
    told = (_tested(_at(side, JUDGED[of])) for side in sides)
    for facts in zip(*told, strict=True):
        yield (facts[0][0], *(value for _, value in facts))


def _held_out(version: ModelVersion) -> Iterator[Fact]:
    known = registry.facts(version)
    figures = {} if known.trouble else summary(known)
    for what, found in (("Studies", known.cases), ("Images", known.images)):
        yield what, str(len(found)) if found else NOT_MEASURED
    for what in MEASURES:
        name = what[:1].upper() + what[1:]
        yield name, _estimate(figures[what]) if figures else NOT_MEASURED
    error = error_of(known.cases) if figures else None
    yield "Expected calibration error", _number(error)
    for method in METHODS:
        yield (
            f"Overlay hit rate, {OVERLAYS[method]}",
            _number(known.pointing.get(method)),
        )
    yield "Milliseconds a view", _number(known.milliseconds)
    yield "Digest", known.digest[:12] or NOT_MEASURED


def _doubt(card: Mapping[str, object]) -> Iterator[Fact]:
    """Of the images of the test part, but for what validation says of itself."""
    for side in ("test", "validation"):
        error = _at(card, "calibration", side, "ece")
        bare = _at(card, "calibration", side, "ece_without_temperature")
        yield f"Expected calibration error, {side}", _number(error)
        yield f"The same without temperature, {side}", _number(bare)
    yield "Confident from", _number(_at(card, "confident", "test", "threshold"))
    for key in ("sensitivity", "specificity"):
        value = _at(card, "confident", "test", key)
        yield f"{key.capitalize()} of confident", _number(value)
    of = _number(_at(card, "abstentions", "images"))
    for code, words in ABSTENTIONS.items():
        count = _number(_at(card, "abstentions", code))
        yield words, count if NOT_MEASURED in (count, of) else f"{count} of {of} images"


def _pointing(card: Mapping[str, object]) -> Iterator[Fact]:
    for method, words in OVERLAYS.items():
        for where, key in (("in the box, wider by a tenth", "hits"), NEAR):
            rate = _number(_at(card, "pointing", method, key))
            yield f"{words}: peak {where}", rate
    yield "Fractured images", _number(_at(card, "pointing", "images"))
    yield "In words", _words(card, "pointing", "reading")


def _making(card: Mapping[str, object]) -> Iterator[Fact]:
    yield "Data", _words(card, "data", "name")
    yield "Source", _words(card, "data", "source")
    yield "Digest of the data", _words(card, "data", "digest")
    yield "Commit", _words(card, "commit")
    yield "Seed", _seeds(card)
    yield "Network", _network(card)
    yield "The mean of", _members(card)
    yield "Went on from", _words(card, "start")
    yield "Published weights (SHA-256)", _words(card, "published")
    yield "Teacher", _words(card, "teacher")
    yield "Machine", _words(card, "machine")
    yield "Seconds of training", _number(card.get("seconds"), NOT_STATED)


def _members(card: Mapping[str, object]) -> str:
    """Told of every model: rows of two cards stand side by side."""
    members = card.get("members")
    if not isinstance(members, Mapping):
        return ALONE if _at(card, "plan", "arch") else NOT_STATED
    return ", ".join(f"{str(d)[:12]} (seed {_number(s)})" for d, s in members.items())


def _seeds(card: Mapping[str, object]) -> str:
    """Of all members of a committee, whose plan is its first member's."""
    if isinstance(members := card.get("members"), Mapping):
        return ", ".join(_number(seed, NOT_STATED) for seed in members.values())
    return _number(_at(card, "plan", "seed"), NOT_STATED)


def _network(card: Mapping[str, object]) -> str:
    family = _words(card, "plan", "arch", "family")
    if isinstance(members := card.get("members"), Mapping):
        return f"a committee of {len(members)}: {family}"
    return family


# --- Values ---------------------------------------------------------------------


def _at(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _words(card: Mapping[str, object], *path: str) -> str:
    found = _at(card, *path)
    return found if isinstance(found, str) and found.strip() else NOT_STATED


def _number(value: object, missing: str = NOT_MEASURED) -> str:
    found = figure(value)
    if found is None:
        return missing
    return str(found) if isinstance(found, int) else f"{found:.3g}"


def _millions(value: object) -> str:
    found = figure(value)
    return NOT_MEASURED if found is None else f"{found / 1e6:.2f} million"


def _interval(value: object) -> str:
    """{"value", "low", "high"} as "0.86 (0.81 – 0.90)"."""
    found = [figure(_at(value, key)) for key in ("value", "low", "high")]
    return NOT_MEASURED if None in found else _estimate(Interval(*found))


def _estimate(found: Interval) -> str:
    return f"{found.value:.3f} ({found.low:.3f} – {found.high:.3f})"


def _counted(value: object) -> str:
    """{"hand": 217} as "hand 217"."""
    if not isinstance(value, Mapping) or not value:
        return NOT_MEASURED
    told = ((name or "not named", _number(count)) for name, count in value.items())
    return ", ".join(" ".join(map(str, pair)) for pair in told)


def _grouped(attribute: object) -> str:
    """An attribute as "F 12, M 9, missing 3"; missing everywhere is not measured."""
    groups, missing = _at(attribute, "groups"), figure(_at(attribute, "missing"))
    if not isinstance(groups, list) or not groups:
        return NOT_MEASURED
    told = [
        f"{_at(group, 'group')} {_number(_at(group, 'images'))}" for group in groups
    ]
    return ", ".join(told + ([f"missing {missing}"] if missing else []))
