"""From verdicts to a data set that a training can read, frozen.

Chosen are the verdicts that stand: one a study, what radiologists agree on. Who is
in the holdout is no question here: `search.data.split` takes those patients out of
every training by a hash, whatever was chosen.
"""

import csv
import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from django.conf import settings
from django.db.models import Exists, OuterRef
from pydicom import Dataset

from clinic import pseudonyms
from clinic.models import ImageReading, Prediction, Review, Study
from clinic.pacs import GoneFromPacs, Pacs
from clinic.review import disagree, standing
from inference import dicom
from inference.unreadable import UnreadableFrame
from search.deidentify import described
from search.demographics import rows_of, summary
from search.gate import FEWEST as FEWEST_HELD
from search.parts import is_held_out

TABLE = "examples.csv"
COLUMNS = ("image", "label", "study", "patient", "group", "part", "boxes", "weight")
HEADER = ("age", "sex", "side", "view", "maker")  # of each image, de-identified
SIDES = ("x", "y", "width", "height")
FEWEST = 3  # studies of each kind: training, validation and holdout need one
FRACTURE = Review.Verdict.FRACTURE
# Why a judged study cannot be learnt from, in the order in which they are asked.
LEFT_OUT = {
    "disputed": "radiologists disagree; waits for adjudication",
    "unsure": "the latest verdict is “unsure”",
    "no_image": "no image of it was read",
    "no_patient": "no patient ID: it could be on both sides of the holdout",
    "in_doubt": "whose images these are is in doubt: they may be another patient's too",
    "weightless": "judged after the overlay was seen, and such verdicts count nothing",
}
# Notices with which one examination may stand on both sides of the holdout.
DOUBTS = {"shared_study_number", "mixed_patients"}
# Why an image of a judged study cannot be learnt from, besides what the reader says.
MISSING = {
    "replaced": "replaced in the PACS by other content than was judged",
    "gone_from_pacs": "no longer in the PACS",
}


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
            f"Of held-out patients are {self.held_fractured} studies with and "
            f"{self.held_sound} without a fracture: a model may learn from the others, "
            f"but the gate promotes none that fewer than {FEWEST_HELD} of each judge."
        )

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def choose() -> Choice:
    """The usable verdicts as they now stand. One query."""
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
    choice, patients, left = Choice(), set(), Counter()
    for _, given in groupby(reviews.iterator(), lambda r: r.prediction.study_id):
        given = list(given)
        review, weight, reason = _judge(given)
        if reason:
            left[reason] += 1
            continue
        choice.chosen.append((_marking(review, standing(given)).pk, weight))
        choice.fractured += review.verdict == FRACTURE
        choice.blind += not review.overlay_shown
        whose = review.prediction.study.patient_id
        patients.add(whose)
        held = is_held_out(names.patient(whose))
        choice.held_fractured += held and review.verdict == FRACTURE
        choice.held_sound += held and review.verdict != FRACTURE
    choice.patients = len(patients)
    choice.left_out = {code: left[code] for code in LEFT_OUT if left[code]}
    return choice


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
        "no_patient": not review.prediction.study.patient_id,
        "in_doubt": _in_doubt(review.prediction.study),
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


def _in_doubt(study: Study) -> bool:
    return not DOUBTS.isdisjoint(notice["code"] for notice in study.notices)


def patient(patient_id: str) -> str:
    """The name under which a patient is kept in every data set of this house."""
    return pseudonyms.names().patient(patient_id)


def freeze(
    *,
    chosen: Iterable[tuple[int, float]],
    pacs: Pacs,
    folder: Path,
    tell: Callable[[int], None] = lambda done: None,
) -> tuple[str, dict[str, list[int]]]:
    """Write the images and labels of `chosen` to `folder`, whole or not at all.

    -> the data set's digest, and which instances were left out for which reason.
    tell: called after each study with how many are done. Raises PacsUnavailable.
    """
    # Matplotlib sits behind it, which the web process has no use for.
    from search.demographics_page import write

    partial, missing, rows = folder.with_suffix(".part"), defaultdict(list), []
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for done, (pk, weight) in enumerate(chosen, 1):
        rows += _fetch(pk, weight, pacs, partial, missing)
        tell(done)
    with (partial / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS + HEADER)
        writer.writeheader()
        writer.writerows(rows)
    who = summary(rows_of(partial))
    write(people(folder), who, f"Who is in {folder.name}")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return digest(folder), dict(missing)


def people(folder: Path) -> Path:
    """Where it is told who is in `folder`: beside it, and not in its digest."""
    return folder.with_name(f"{folder.name}-people")


def digest(folder: Path) -> str:
    """SHA-256 over the table and every image; "" where there is no data set."""
    if not (folder / TABLE).exists():
        return ""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(
            f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return found.hexdigest()


def _fetch(
    pk: int, weight: float, pacs: Pacs, folder: Path, missing: dict[str, list[int]]
) -> Iterator[dict[str, object]]:
    """The rows of one verdict, once their images are written.

    Every image has its study's label, as studies are judged and not images; where
    the fracture is boxed on one view of an image, the others of it are sound. group:
    the same pixels under two patients must not be learnt from and judged by.
    """
    review = Review.objects.select_related("prediction__study").get(pk=pk)
    study = review.prediction.study
    images = review.prediction.images.filter(state=Prediction.State.READ)
    for image in images.select_related("instance__series").order_by("pk"):
        name = f"{image.instance_id}.png"
        try:
            ds = _judged(image, pacs)
            pixels = dicom.frame(ds).pixels
        except UnreadableFrame as error:
            missing[error.code].append(image.instance_id)
            continue
        (folder / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        header = described(ds, study.patient_id, pseudonyms.names())
        yield {column: header[column] for column in HEADER} | {
            "image": name,
            "label": int(review.verdict == FRACTURE),
            "study": study.pk,
            "patient": patient(study.patient_id),
            "group": _same(pixels),
            "part": header["part"],
            "boxes": json.dumps(_boxes(review, image.instance_id)),
            "weight": weight,
        }


def _same(pixels: np.ndarray) -> str:
    """One name for the same pixels, in whatever file they came: the file's digest
    differs with the patient it names."""
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _judged(image: ImageReading, pacs: Pacs) -> Dataset:
    """What the verdict is about. UnreadableFrame if it cannot be had."""
    if image.digest and image.digest != image.instance.digest:
        raise UnreadableFrame("replaced", MISSING["replaced"])
    try:
        with pacs.open(image.instance.pacs_id) as stream:
            return dicom.open_dataset(stream)
    except GoneFromPacs as error:
        raise UnreadableFrame("gone_from_pacs", MISSING["gone_from_pacs"]) from error


def _boxes(review: Review, instance: int) -> list[list[float]]:
    return [
        [box[side] for side in SIDES]
        for box in review.boxes
        if box["instance"] == instance
    ]
