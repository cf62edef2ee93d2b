"""The terms of a search, settled before it starts, and what it may cost. No torch.

They stand in the search's row. Every worker holds the radiographs and the supernet
against the digests written there, so that no two candidates learn from different ones.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from django.conf import settings
from django.core.exceptions import ValidationError

from clinic import pseudonyms, shelf
from clinic.models import Job, ModelVersion, Study, Trial
from clinic.pseudonyms import refuse_foreign
from inference.artifact import DamagedArtifact, any_digest, file_digest
from search.data import examples as read
from search.data import is_fracatlas
from search.dataset import digest, salts
from search.example import Example
from search.parts import Parts, is_held_out, refuse_unmarked
from search.spaces import SPACES
from search.supernet_header import notes
from search.told import named_by

SCORES = {"auroc": "AUROC", "aufroc": "AUFROC"}  # one of them is the first objective
COSTS = ("parameters", "madds", "latency")  # any after it: less of it
OBJECTIVES = (*SCORES, *COSTS)
SIDES = {"training": "training", "validation": "validation", "test": "holdout"}
# Multiply-adds (of the forward pass) that one virtual core trains with in a second, by
# tests/benchmarks/depthwise.py 4e9; augmentation and the unevenness of small views
# take their share.
ASSUMED = 3e9
HOURS = (0.01, 10_000)  # of a search, from, to
MOST = 10_000  # candidates that are counted
# Patches on a fracture an image with marks, as a model's proposals on FracAtlas have
# them; assumed until a search has looked.
HITS = 4


@dataclass(frozen=True)
class Terms:
    """images, supernet, patches: where they lay at the start, each with its digest; ""
    learns from the verdicts of the search's row, begins with random weights, looks at
    whole views. patches: who proposes them, see `search.proposals`; patches_pack: the
    same in the artifact store. drawn: views an epoch, or about as many patches.
    recipe: the parent's, of which every view is made."""

    images: str = ""
    digest: str = ""
    supernet: str = ""
    supernet_digest: str = ""
    patches: str = ""
    patches_digest: str = ""
    patches_pack: str = ""
    objective: tuple[str, ...] = ("auroc",)
    epochs: int = 5
    final_epochs: int = 20
    batch: int = 128
    drawn: int = 0
    recipe: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job) -> "Terms":
        said = dict(job.parameters["evaluation"])
        return cls(**said | {"objective": tuple(said["objective"])})

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def settle(
    *,
    images: Path | None,
    supernet: Path | None,
    verdicts: Mapping[str, object],
    parent: ModelVersion,
    patches: Path | None = None,
    **asked: object,
) -> Terms:
    """ValidationError, in words and by the name of the field, for radiographs or a file
    that cannot be used, and for objectives and epochs that make no sense."""
    terms = Terms(patches=str(patches or ""), **asked)
    refuse_nonsense(terms)
    found = {"drawn": 2 * min(_verdicts(verdicts))}
    looks = {"recipe": shelf.spec(Path(settings.MODEL_ROOT, parent.folder))["recipe"]}
    with _about("patches"):
        found |= _proposers(patches) if patches else {}
    with _about("images"):
        found |= _radiographs(images, marked=bool(patches)) if images else {}
    with _about("supernet"):
        found |= _weights(supernet) if supernet else {}
    return Terms(**asdict(terms) | found | looks)


@contextmanager
def _about(field: str) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError, DamagedArtifact) as error:
        raise ValidationError({field: str(error)}) from error


def _radiographs(folder: Path, *, marked: bool) -> dict[str, object]:
    examples = read(folder)
    refuse_foreign(f"The data set {folder.name}", salts(folder))
    if not salts(folder) and not is_fracatlas(folder):
        _refuse_held_out(folder, examples)
    refuse_one_sided(examples)
    parts = Parts.of(examples)
    drawn = 2 * min(_kinds(parts.training))
    if marked:
        refuse_unmarked(parts)
        drawn = 2 * HITS * sum(bool(e.boxes) for e in parts.training)
    known = {"digest": digest(folder, examples), "drawn": drawn}
    return known | {"images": str(folder.resolve())}


def _refuse_held_out(folder: Path, examples: list[Example]) -> None:
    """ValueError if people named patients by their IDs in `folder`, which puts them on
    other sides than their pseudonyms do, and held-out ones would be trained on."""
    known = Study.objects.exclude(patient_id="").values_list("patient_id", flat=True)
    held = {}
    for patient in known.distinct():
        if is_held_out(name := pseudonyms.patient(patient)):
            held |= {patient: patient, name: patient}
    parts = Parts.of(examples)
    taught = {e.patient for e in (*parts.training, *parts.validation)}
    if count := len({held[name] for name in taught & held.keys()}):
        raise ValueError(
            f"Of the patients of the data set {folder.name}, {count} held out here "
            "would be learnt from: it names them by their IDs. Build it with "
            "`manage.py dataset build`, which gives them their names here."
        )


def _weights(file: Path) -> dict[str, object]:
    marks = named_by(notes(file).get("source"))
    refuse_foreign(f"The supernet {file.name}", marks)
    return {"supernet": str(file.resolve()), "supernet_digest": file_digest(file)}


def _proposers(source: Path) -> dict[str, object]:
    return {"patches": str(source.resolve()), "patches_digest": any_digest(source)}


def refuse_nonsense(terms: Terms) -> None:
    """ValidationError by the name of the field."""
    refused = {}
    first, rest = terms.objective[:1], terms.objective[1:]
    if not first or first[0] not in SCORES or not set(rest) <= set(COSTS):
        words = f"{' or '.join(SCORES)}, and after it any of {', '.join(COSTS)}."
        refused["objective"] = f"objective: {words}"
    elif first[0] == "aufroc" and not terms.patches:
        refused["patches"] = "patches: AUFROC is of patches; say who proposes them."
    for name in ("epochs", "final_epochs"):
        if not 1 <= getattr(terms, name) <= 200:
            refused[name] = f"{name}: from 1 to 200."
    if not 2 <= terms.batch <= 1024:
        refused["batch"] = "batch: from 2 to 1024."
    if refused:
        raise ValidationError(refused)


def refuse_one_sided(examples: list[Example]) -> None:
    """Each side of the split has to know both kinds. ValueError in a sentence."""
    for side, found in vars(Parts.of(examples)).items():
        for count, words in zip(_kinds(found), ("no fracture", "a fracture")):
            if not count:
                raise ValueError(
                    f"No patient of the {SIDES[side]} part has a usable label or "
                    f"verdict “{words}” yet: more patients are needed."
                )


@dataclass(frozen=True)
class Estimate:
    """seconds: of one worker. basis: where that comes from, in words. fits: how many
    candidates are expected to be tried."""

    seconds: float
    basis: str
    fits: int


def estimate(
    terms: Terms,
    *,
    space: str,
    size: tuple[int, int],
    budget: int | None,
    finals: int,
    hours: float | None = None,
    workers: int = 1,
) -> Estimate:
    """By what an epoch took in the latest search like this one; else by the largest
    network's multiply-adds, which is too much rather than too little.

    ValidationError for hours that make no sense, and for neither of both.
    """
    refuse_endless(budget, hours)
    epoch, besides, basis = _epoch(terms, space, size)
    each = epoch * (terms.epochs + besides)
    fits = MOST if budget is None else budget
    if hours is not None:
        within = hours * 3600 * workers / max(each, 1.0)
        fits = min(fits, max(1, int(within)))
    each_final = epoch * (terms.final_epochs + besides)
    return Estimate(fits * each + finals * each_final, basis, fits)


def refuse_endless(budget: int | None, hours: float | None) -> None:
    """ValidationError by the name of the field."""
    low, high = HOURS
    if budget is None and hours is None:
        raise ValidationError({"budget": "budget: a number of trials, or hours."})
    if hours is not None and not low <= hours <= high:
        raise ValidationError({"hours": f"hours: from {low} to {high}."})


def _epoch(terms: Terms, space: str, size: tuple[int, int]) -> tuple[float, int, str]:
    """Seconds an epoch, what comes besides in epochs, and how that is known. An
    epoch is as long as the views it draws are many: verdicts grow in number."""
    for known in _alike(terms, space, size):
        if spent := list(_epochs(known)):
            drawn = known.parameters["evaluation"].get("drawn") or terms.drawn or 1
            seconds = median(spent) * terms.drawn / drawn
            return seconds, 0, f"measured in search {known.pk}"
    madds = SPACES[space].madds(SPACES[space].start, *size)
    words = "assumed from the largest network; nothing measured yet"
    # Besides: recalibration before, validation between.
    return terms.drawn * madds / ASSUMED, 1, words


def _alike(terms: Terms, space: str, size: tuple[int, int]) -> Iterator[Job]:
    """Views of the same size and kind, the newest first."""
    searches = Job.objects.filter(kind=Job.Kind.SEARCH, parameters__space=space)
    for job in searches.order_by("-pk")[:20]:
        said = job.parameters["evaluation"]
        same = [said.get(name) for name in ("digest", "patches_digest", "batch")]
        wanted = [terms.digest, terms.patches_digest, terms.batch]
        if [*same, job.parameters["size"]] == [*wanted, list(size)]:
            yield job


def _epochs(job: Job) -> Iterator[float]:
    """Seconds an epoch of each trial that came to its end at once."""
    done = job.trials.filter(state=Trial.State.DONE, attempts=1)
    for trial in done:
        epochs = len(trial.measured.get("history", ()))
        if epochs and trial.seconds:
            yield trial.seconds / epochs


def _kinds(found: list[Example]) -> tuple[int, int]:
    broken = sum(example.label for example in found)
    return len(found) - broken, broken


def _verdicts(verdicts: Mapping[str, object]) -> tuple[int, int]:
    total = len(verdicts.get("chosen", ()))
    broken = int(verdicts.get("fractured", 0))
    return total - broken, broken
