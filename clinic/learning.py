"""Which verdicts are learnt from, and judged by; `clinic.freezing` writes them down.

Chosen are the verdicts that stand: one a study, what radiologists agree on. Who is
in the holdout is no question here: `search.data.split` takes those patients out of
every training by a hash, whatever was chosen.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import groupby

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Exists, F, OuterRef, QuerySet

from clinic import pseudonyms
from clinic.models import (
    ImageReading,
    Job,
    ModelVersion,
    Prediction,
    Review,
    Study,
)
from clinic.review import disagree, standing
from search.gate import FEWEST as FEWEST_HELD
from search.parts import is_held_out
from search.told import named_by

FEWEST = 3  # studies of each kind: training, validation and holdout need one
FRACTURE = Review.Verdict.FRACTURE
Stage = ModelVersion.Stage
OTHERWISE = (
    "Patients were named with another pseudonym_salt when {} was made, and "
    "those it has met cannot be told from the held-out: bring the backup of that file "
    "back. Is it lost for good, retire what was made with it, and do not go on from it."
)
ELSEWHERE = (
    "Patients were named with another pseudonym_salt when {} began, and others were "
    "held out: bring the backup of that file back. Is it lost for good, remove the "
    "files of that job."
)
# Why a judged study cannot be learnt from, in the order in which they are asked.
LEFT_OUT = {
    "disputed": "radiologists disagree; waits for adjudication",
    "unsure": "the latest verdict is “unsure”",
    "no_image": "no image of it was read",
    "not_read": "judged with an image that the reading of that moment had not seen",
    "no_patient": "no patient ID: it could be on both sides of the holdout",
    "in_doubt": "whose images these are is in doubt: they may be another patient's too",
    "weightless": "judged after the overlay was seen, and such verdicts count nothing",
}
# Notices with which one examination may stand on both sides of the holdout.
DOUBTS = {"shared_study_number", "mixed_patients"}


@dataclass
class Choice:
    """chosen: (review, weight), one a study. left_out: reason -> studies."""

    chosen: list[tuple[int, float]] = field(default_factory=list)
    fractured: int = 0
    patients: int = 0
    blind: int = 0
    held_fractured: int = 0
    held_sound: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    unnamed: str = ""  # why patients cannot be told apart by name, if they cannot
    names: str = ""  # the mark of the salt that they are named with

    @property
    def studies(self) -> int:
        return len(self.chosen)

    @property
    def sound(self) -> int:
        return self.studies - self.fractured

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why how many studies are left out, in words."""
        return [(LEFT_OUT[code], count) for code, count in self.left_out.items()]

    @property
    def obstacle(self) -> str:
        """Why nothing can be learnt from these; empty if something can."""
        if self.unnamed:
            return self.unnamed
        if min(self.fractured, self.sound) >= FEWEST:
            return ""
        return (
            f"Usable are {self.fractured} studies with and {self.sound} without a "
            f"fracture: at least {FEWEST} of each are needed."
        )

    @property
    def caveat(self) -> str:
        """Why nothing that learns from these can be promoted; empty if it could be."""
        if min(self.held_fractured, self.held_sound) >= FEWEST_HELD:
            return ""
        return (
            f"{self._held}: a model may learn from the others, but the gate promotes "
            f"none that fewer than {FEWEST_HELD} of each judge."
        )

    @property
    def nothing_to_judge_by(self) -> str:
        """Why no model can be measured by these; empty if one can."""
        if self.unnamed or not self.caveat:
            return self.unnamed
        return f"{self._held}: the gate judges by no fewer than {FEWEST_HELD} of each."

    @property
    def _held(self) -> str:
        return (
            f"Of held-out patients are {self.held_fractured} studies with and "
            f"{self.held_sound} without a fracture"
        )

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def choose(*, held_out: bool = False) -> Choice:
    """The usable verdicts as they now stand; those of held-out patients alone, by whom
    models are judged, if asked for. Three queries."""
    readable = ImageReading.objects.filter(
        prediction=OuterRef("prediction"), state=Prediction.State.READ
    )
    reviews = (
        Review.objects.select_related("prediction__study")
        .annotate(readable=Exists(readable))
        .order_by("prediction__study", "pk")
    )
    try:
        names = pseudonyms.names()
    except ValueError as error:
        return Choice(unnamed=str(error))
    ours = ModelVersion.objects.filter(made_by__isnull=False)
    if others := _named_otherwise(names.mark, ours.exclude(stage=Stage.RETIRED)):
        return Choice(unnamed=others[0])
    if held := _frozen_otherwise(names.mark):
        return Choice(unnamed=held)
    choice, patients, left = Choice(names=names.mark), set(), Counter()
    for _, given in groupby(reviews.iterator(), lambda r: r.prediction.study_id):
        given = list(given)
        whose = given[0].prediction.study.patient_id
        held = is_held_out(names.patient(whose))
        if held_out and not held:
            continue
        review, weight, reason = _judge(given)
        if reason:
            left[reason] += 1
            continue
        choice.chosen.append((_marking(review, standing(given)).pk, weight))
        choice.fractured += review.verdict == FRACTURE
        choice.blind += not review.overlay_shown
        patients.add(whose)
        choice.held_fractured += held and review.verdict == FRACTURE
        choice.held_sound += held and review.verdict != FRACTURE
    choice.patients = len(patients)
    choice.left_out = {code: left[code] for code in LEFT_OUT if left[code]}
    return choice


def refuse_named_otherwise(model: ModelVersion) -> None:
    """ValidationError if `model`, retired or not, knows patients by other names: whom
    it has met could not be told."""
    mark = pseudonyms.names().mark
    if words := _named_otherwise(mark, ModelVersion.objects.filter(pk=model.pk)):
        raise ValidationError(words[0])


def _named_otherwise(mark: str, models: QuerySet[ModelVersion]) -> list[str]:
    """Of each of `models` whose card knows patients by another salt, why that stops
    whoever learns or judges.

    One query, and of the cards, which are long, one entry.
    """
    rows = models.order_by("pk").values("name", "digest", salts=F("card__salts"))
    return [
        OTHERWISE.format(f"{row['name']} {row['digest'][:12]}")
        for row in rows
        if named_by(row) - {mark}
    ]


def _frozen_otherwise(mark: str) -> str:
    """Why verdicts that an unfinished job or a measurement froze under other names stop
    whoever learns or judges: their holdout was another one."""
    jobs = Job.objects.filter(cleared=None, candidate=None)
    for job in jobs.exclude(verdicts__names__in=["", mark]).order_by("pk"):
        if job.verdicts.get("names"):
            return ELSEWHERE.format(f"{job.get_kind_display()} {job.pk}")
    return ""


def _judge(given: list[Review]) -> tuple[Review, float, str]:
    """-> what to learn from one study, how much it counts, or why not."""
    stand = standing(given)
    definite = [r for r in stand if r.verdict != Review.Verdict.UNSURE]
    # Given without knowing what the overlay says, an opinion is the reader's own.
    blind = [review for review in definite if not review.overlay_shown]
    review = (blind or definite or stand)[-1]
    weight = settings.REVEALED_WEIGHT if review.overlay_shown else 1.0
    asked = {
        "disputed": disagree(given),
        "unsure": stand[-1].verdict == Review.Verdict.UNSURE,
        "no_image": not review.readable,
        "not_read": review.revision > review.prediction.revision,
        "no_patient": not review.prediction.study.patient_id,
        "in_doubt": in_doubt(review.prediction.study),
        "weightless": weight == 0,
    }
    return review, weight, next((code for code, so in asked.items() if so), "")


def _marking(review: Review, stand: list[Review]) -> Review:
    """Who says the same as `review` and where: itself, or the latest who agrees.

    The boxes are then learnt from, with the weight of the verdict that was blind.
    """
    agreeing = [
        other
        for other in [*stand, review]
        if other.boxes
        and other.readable
        and other.verdict == review.verdict
        and other.prediction.revision >= review.prediction.revision
    ]
    return (agreeing or [review])[-1]


def in_doubt(study: Study) -> bool:
    """Whether its images may be another patient's too."""
    return not DOUBTS.isdisjoint(notice["code"] for notice in study.notices)
