"""The verdicts chosen for a job, written down as a data set: images, labels, boxes.

Once, whole or not at all: afterwards its digest tells whether it is still the same.
"""

import csv
import hashlib
import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from django.conf import settings
from pydicom import Dataset

from clinic import learning, pseudonyms
from clinic.models import ImageReading, Prediction, Review
from clinic.pacs import GoneFromPacs, Pacs
from inference import dicom
from inference.unreadable import UnreadableFrame
from search.dataset import rows_of, write_salt
from search.deidentify import Pseudonyms, described
from search.demographics import rows_of as attributes_of
from search.demographics import summary
from search.parts import is_held_out

log = logging.getLogger(__name__)

TABLE = "examples.csv"
COLUMNS = ("image", "label", "study", "patient", "group", "part", "boxes", "weight")
HEADER = ("age", "sex", "side", "view", "maker")  # of each image, de-identified
SIDES = ("x", "y", "width", "height")
# Why an image of a judged study cannot be learnt from, besides what the reader says.
MISSING = {
    "replaced": "replaced in the PACS by other content than was judged",
    "gone_from_pacs": "no longer in the PACS",
    "in_doubt": learning.LEFT_OUT["in_doubt"],
    "other_side": "another patient has its pixels on the other side of the holdout",
}


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
    known = _known(folder)
    for done, (pk, weight) in enumerate(chosen, 1):
        rows += _fetch(pk, weight, pacs, partial, missing, known)
        tell(done)
    write_salt(partial, pseudonyms.names().mark)
    with (partial / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS + HEADER)
        writer.writeheader()
        writer.writerows(rows)
    who = summary(attributes_of(partial))
    write(people(folder), who, f"Who is in {folder.name}")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return digest(folder), dict(missing)


def people(folder: Path) -> Path:
    """Where it is told who is in `folder`: beside it, and not in its digest."""
    return folder.with_name(f"{folder.name}-people")


def digest(folder: Path) -> str:
    """SHA-256 over every file: the table, the images and, but of older ones, the mark
    of the salt; "" where there is no data set."""
    if not (folder / TABLE).exists():
        return ""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(
            f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return found.hexdigest()


def _known(folder: Path) -> dict[str, set[bool]]:
    """Of all pixels in other data sets of this house whether held-out patients have
    them, others, or both. A table that cannot be read tells nothing."""
    root, known = Path(settings.DATA_ROOT), defaultdict(set)
    tables = [*root.glob(f"jobs/*/*/{TABLE}"), *root.glob(f"datasets/*/{TABLE}")]
    for table in sorted(tables):
        if table.parent == folder:
            continue
        try:
            told = {(row.get("group"), row["patient"]) for row in rows_of(table)}
        except (OSError, KeyError, ValueError, csv.Error):
            log.warning("%s cannot be read", table.parent.name)
            continue
        for group, patient in filter(all, told):
            known[group].add(is_held_out(patient))
    return known


def _fetch(
    pk: int,
    weight: float,
    pacs: Pacs,
    folder: Path,
    missing: dict[str, list[int]],
    known: Mapping[str, set[bool]],
) -> Iterator[dict[str, object]]:
    """The rows of one verdict, once their images are written.

    Every image has its study's label, as studies are judged and not images; where
    the fracture is boxed on one view of an image, the others of it are sound. group,
    known: the same pixels under two patients must not be learnt from and judged by.
    """
    names = pseudonyms.names()
    review = Review.objects.select_related("prediction__study").get(pk=pk)
    study = review.prediction.study
    images = review.prediction.images.filter(state=Prediction.State.READ)
    doubtful = learning.in_doubt(study)  # since the job was started
    held = is_held_out(names.patient(study.patient_id))
    for image in images.select_related("instance__series").order_by("pk"):
        if doubtful:
            missing["in_doubt"].append(image.instance_id)
            continue
        name = f"{image.instance_id}.png"
        try:
            ds = _judged(image, pacs)
            pixels, header = _seen(ds, study.patient_id, names)
        except UnreadableFrame as error:
            missing[error.code].append(image.instance_id)
            continue
        group = names.pixels(pixels)
        if known.get(group, set()) - {held}:
            missing["other_side"].append(image.instance_id)
            continue
        (folder / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        yield {column: header[column] for column in HEADER} | {
            "image": name,
            "label": int(review.verdict == Review.Verdict.FRACTURE),
            "study": study.pk,
            "patient": names.patient(study.patient_id),
            "group": group,
            "part": header["part"],
            "boxes": json.dumps(_boxes(review, image.instance_id)),
            "weight": weight,
        }


def _seen(
    ds: Dataset, patient: str, names: Pseudonyms
) -> tuple[np.ndarray, dict[str, str]]:
    """Pixels, and what the header says. UnreadableFrame, whatever is wrong with `ds`;
    never in the words of an error that nobody foresaw, which may hold a name."""
    try:
        return dicom.frame(ds).pixels, described(ds, patient, names)
    except UnreadableFrame:
        raise
    except Exception as error:
        code = f"unforeseen {type(error).__name__}"
        raise UnreadableFrame(code, "An error that nobody foresaw.") from error


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
