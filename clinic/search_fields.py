"""The fields of the form that starts a search: what they ask, hold and refuse."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.core.exceptions import ValidationError
from django.http import QueryDict

from clinic import materials
from clinic.models import ModelVersion
from clinic.search import LIMITS
from clinic.terms import HOURS, SCORES
from search.spaces import SIDE, SPACES
from search.strategies import DEFAULT, STRATEGIES

Wrong = Mapping[str, Sequence[str]]  # sentences by the name of a field
ASKED = {  # what the form begins with
    "space": "ofa-1.2",
    "strategy": DEFAULT,
    "height": 224,
    "width": 224,
    "budget": 30,
    "workers": 1,
    "finals": 3,
    "epochs": 5,
    "final_epochs": 20,
    "batch": 128,
    "seed": 0,
}
AT = {  # what a search calls it -> the field that asks for it
    "objective": "besides",
    "objectives": "besides",
    "datasets": "images",
    "supernets": "supernet",
    "proposals": "patches",
    "latency": "table",
}
COSTS = {
    "parameters": "parameters",
    "madds": "multiply-adds",
    "latency": "predicted latency",
}


@dataclass(frozen=True)
class Field:
    """kind: choice, several, count, amount (any number or none) or file. choices:
    (value, words). span: from, to, if there are ends. value: as typed; or a list."""

    name: str
    words: str
    aside: str = ""
    kind: str = "count"
    choices: Sequence[tuple[str, str]] = ()
    span: tuple[float, float] | tuple[()] = ()
    value: object = ""
    refusals: Sequence[str] = ()

    @property
    def about(self) -> str:
        """Ids of what stands below it, for `aria-describedby`."""
        told = {"wrong": self.refusals, "aside": self.aside}
        return " ".join(f"{kind}-{self.name}" for kind, said in told.items() if said)


@dataclass(frozen=True)
class Group:
    """refusals: what is wrong with several of its fields together."""

    words: str
    fields: Sequence[Field]
    refusals: Sequence[str] = ()


@dataclass(frozen=True)
class Form:
    """refusals: what is about no field."""

    groups: Sequence[Group]
    refusals: Sequence[str] = field(default=())

    @property
    def told(self) -> list[str]:
        """Everything that is wrong, a sentence each, with the words of its field."""
        found = list(self.refusals)
        for group in self.groups:
            found += group.refusals
            for asked in group.fields:
                found += [f"{asked.words}: {said}" for said in asked.refusals]
        return found


def form(
    asked: Mapping[str, object] = ASKED, error: ValidationError | None = None
) -> Form:
    """asked: what was typed. error: what is refused of it."""
    wrong = sentences(error) if error else defaultdict(list)
    groups = [
        Group("What is searched", _filled(_what(), asked, wrong)),
        Group("What it learns from", _filled(_material(), asked, wrong)),
        Group("How long it goes on", _filled(_length(), asked, wrong)),
        Group(
            "What a candidate may cost",
            _filled(_most(), asked, wrong),
            wrong.pop("most", ()),
        ),
    ]
    placed = {known.name for group in groups for known in group.fields}
    lost = [said for name in wrong.keys() - placed for said in wrong[name]]
    return Form(groups, lost)


def sentences(error: ValidationError) -> dict[str, list[str]]:
    """What is refused, by the name of the field that it is about, or by ""."""
    keyed = hasattr(error, "error_dict")
    found = defaultdict(list)
    for name, said in (error.message_dict if keyed else {"": error.messages}).items():
        for words in said:
            plain = words.removeprefix(f"{name}: ")
            found[AT.get(name, name)].append(plain[:1].upper() + plain[1:])
    return found


def _filled(
    fields: Sequence[Field], asked: Mapping[str, object], wrong: Wrong
) -> list[Field]:
    return [
        replace(known, value=_typed(known, asked), refusals=wrong.get(known.name, ()))
        for known in fields
    ]


def _typed(known: Field, asked: Mapping[str, object]) -> object:
    if known.kind == "several":
        return asked.getlist(known.name) if isinstance(asked, QueryDict) else []
    return str(asked.get(known.name, known.value))


def _what() -> list[Field]:
    models = ModelVersion.objects.order_by("stage", "-pk")
    served = next((m.pk for m in models if m.stage == m.Stage.ACTIVE), "")
    words = [
        (str(model.pk), f"{model.name} {model.brief} ({model.get_stage_display()})")
        for model in models
    ]
    several = ", ".join(name for name, known in STRATEGIES.items() if known.several)
    return [
        Field(
            "parent",
            "Parent model",
            "Its winner sees radiographs as this one does.",
            kind="choice",
            choices=words,
            value=served,
        ),
        Field("space", "Space", kind="choice", choices=_plain(sorted(SPACES))),
        Field("strategy", "Strategy", kind="choice", choices=_plain(STRATEGIES)),
        Field("seed", "Seed", span=LIMITS["seed"]),
        Field(
            "score",
            "Objective",
            "AUFROC is of patches",
            kind="choice",
            choices=[*SCORES.items()],
        ),
        Field(
            "besides",
            "Further objectives: less of",
            f"More than one objective is for {several}.",
            kind="several",
            choices=[*COSTS.items()],
        ),
    ]


def _material() -> list[Field]:
    sets = [("", "the verdicts"), *_plain(materials.names("datasets"))]
    nets = [("", "random weights"), *_plain(materials.names("supernets"))]
    proposers = [("", "whole views"), (materials.PARENT, "the parent model suspects")]
    proposers += _plain(materials.names("proposals"))
    return [
        Field("images", "Learn from", kind="choice", choices=sets),
        Field(
            "patches",
            "Look at",
            "Patches need fractures that are marked by boxes",
            kind="choice",
            choices=proposers,
        ),
        Field("supernet", "Begin with", kind="choice", choices=nets),
        Field("height", "Image height", "Pixels of a view or patch", span=SIDE),
        Field("width", "Image width", "Pixels of a view or patch", span=SIDE),
        Field("batch", "Views a batch", span=(2, 1024)),
    ]


def _length() -> list[Field]:
    return [
        Field(
            "budget",
            "Candidates to try",
            "Left empty: as many as the hours allow",
            kind="amount",
            span=LIMITS["budget"],
        ),
        Field(
            "hours",
            "Hours of searching",
            "Then none is begun. Left empty: no matter how long",
            kind="amount",
            span=HOURS,
        ),
        Field("epochs", "Epochs of a candidate", span=(1, 200)),
        Field("finals", "Best ones trained at length", span=LIMITS["finals"]),
        Field("final_epochs", "Epochs at length", span=(1, 200)),
        Field(
            "workers", "Workers", "That train at the same time", span=LIMITS["workers"]
        ),
    ]


def _most() -> list[Field]:
    tables = [("", "none"), *_plain(materials.names("latency"))]
    free = "Left empty: no limit"
    return [
        Field("most_parameters", "At most, parameters", free, kind="amount"),
        Field("most_madds", "At most, multiply-adds", free, kind="amount"),
        Field(
            "most_latency",
            "At most, milliseconds",
            f"{free}; needs a latency table",
            kind="amount",
        ),
        Field(
            "table",
            "Latency table",
            "Of the same space, height and width",
            kind="choice",
            choices=tables,
        ),
        Field("upload", "or a table as a file", kind="file"),
    ]


def _plain(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]
