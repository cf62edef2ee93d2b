"""From a model and labelled files to what it is worth: read exactly as in the clinic.

A file that cannot be read, or that the reader will not read, is counted and named
and never ends the exam.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inference.aggregate import AGGREGATIONS
from inference.explain import EXPLAINERS
from inference.reader import READ, Reader
from search import coco
from search.evaluate import EVEN, report
from search.example import Box
from search.finder import Finder
from search.pointing import hit

COLUMNS = {
    "image": ("image", "image_id", "file", "filename", "file_name", "path"),
    "label": ("label", "fractured", "fracture", "class", "target"),
    "study": ("study", "study_id"),
    "patient": ("patient", "patient_id", "block"),
}
NAMED = 5  # files that a sentence names
BROKEN = {"1", "true", "yes", "fractured", "fracture", "positive"}
SOUND = {"0", "false", "no", "not fractured", "non_fractured", "normal", "negative"}


@dataclass(frozen=True)
class Question:
    """One labelled file. study, patient: whose it is; itself where nobody says.
    boxes: where its fractures are, if anybody marked them."""

    file: str
    label: int
    study: str
    patient: str
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What the reader said: see inference.reader.Reading."""

    question: Question
    state: str
    code: str
    reason: str
    probability: float | None


def questions(labels: Path, boxes: Path | None = None) -> list[Question]:
    """The rows of a CSV: image and label, study and patient if they are known.

    Names of columns and of labels: see COLUMNS, BROKEN, SOUND. boxes: COCO, see
    `search.coco`. ValueError says which row is wrong, and how.
    """
    found = _listed(labels)
    if not boxes:
        return found
    marked = coco.boxes(boxes, [question.file for question in found])
    return [replace(question, boxes=marked[question.file]) for question in found]


def _listed(labels: Path) -> list[Question]:
    try:
        with labels.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            names = _columns(rows.fieldnames or [])
            found = [
                _question(row, names, f"{labels.name}, line {rows.line_num}")
                for row in rows
            ]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{labels.name} is no table in UTF-8: {error}.") from error
    _refuse_shared(found)
    return found


def _refuse_shared(asked: Sequence[Question]) -> None:
    """A number that two houses use is no study: one would hide the other's fracture."""
    patients = defaultdict(set)
    for question in asked:
        patients[question.study].add(question.patient)
    for study, named in patients.items():
        if len(two := sorted(named - {study})) > 1:
            raise ValueError(
                f"the study {study[:40]!r} is of two patients, {two[0][:40]!r} and "
                f"{two[1][:40]!r}: name it otherwise for one of them"
            )


def sit(
    reader: Reader, asked: Sequence[Question], images: Path, scope: str
) -> list[Answer]:
    """Have every file read, each as a study of its own. ValueError, in words, where one
    is asked for more than once: it would weigh double, or contradict itself."""
    found = Finder(images)
    _refuse_doubles(asked, found)
    return [
        _answered(reader, question, found, scope)
        for question in tqdm(asked, "reading", unit="image")
    ]


def marks(answers: Sequence[Answer], reader: Reader) -> dict[str, object]:
    """How good the answers are, by image and by study, by every fixed rule: at the
    threshold, and where a finding counts as confident.

    Intervals are 90 %, from drawing whole patients.
    """
    spec = reader.spec
    return {
        "images": _counted(answers),
        "studies_left_to_people": _left_to_people(answers),
        "threshold": spec.threshold,
        "confident_from": spec.confident,
        **_marked_at(answers, spec.threshold),
        "confident": _marked_at(answers, spec.confident),
        "even": _report(_studies(answers, spec.aggregation, EVEN), EVEN),
    }


def _marked_at(answers: Sequence[Answer], threshold: float) -> dict[str, object]:
    read = [a for a in answers if a.probability is not None]
    images = [(a.question.label, a.probability, a.question.patient) for a in read]
    return {
        "instance": _report(images, threshold),
        "study": {
            name: _report(_studies(answers, name, threshold), threshold)
            for name in AGGREGATIONS
        },
    }


def pointing(
    answers: Sequence[Answer], reader: Reader, images: Path
) -> dict[str, object]:
    """How often each method's peak lies in a marked fracture, widened by a tenth.

    detected: the same among the images that the model flags.
    """
    fractured = [a for a in answers if a.state == READ and a.question.label]
    marked = [a for a in fractured if a.question.boxes]
    found, rows = Finder(images), []
    for answer in tqdm(marked, "explaining", unit="image"):
        overlays = reader.explain(found.source(answer.question.file))
        flagged = answer.probability >= reader.spec.threshold
        peaks = {name: overlay.peak for name, overlay in overlays.items()}
        rows.append((answer.question.boxes, peaks, flagged))
    return {"images": len(rows)} | {
        method: {
            "all": _shares([(boxes, peaks[method]) for boxes, peaks, _ in rows]),
            "detected": _shares([(b, peaks[method]) for b, peaks, f in rows if f]),
        }
        for method in EXPLAINERS
    }


def _refuse_doubles(asked: Sequence[Question], found: Finder) -> None:
    said = defaultdict(list)
    for question in asked:
        paths = found.paths(question.file)
        alone = len(paths) == 1
        said[paths[0].resolve() if alone else question.file].append(question)
    double = [same for same in said.values() if len(same) > 1]
    torn = [same for same in double if len({q.label for q in same}) > 1]
    if double:
        named = ", ".join(same[0].file for same in (torn or double)[:NAMED])
        raise ValueError(
            f"The labels list {len(double)} file(s) more than once, {len(torn)} of "
            f"them as fractured and as not fractured, such as {named}."
        )


def _answered(reader: Reader, question: Question, found: Finder, scope: str) -> Answer:
    reading = reader.read([found.source(question.file)], scope)
    return Answer(
        question, reading.state, reading.code, reading.reason, reading.probability
    )


def _columns(found: Iterable[str]) -> dict[str, str]:
    """Our name of a column -> the file's."""
    lower = {name.strip().lower(): name for name in found}
    names = {
        ours: next((lower[name] for name in known if name in lower), "")
        for ours, known in COLUMNS.items()
    }
    for needed in ("image", "label"):
        if not names[needed]:
            known = ", ".join(COLUMNS[needed])
            raise ValueError(f"the labels have no column {needed!r} (or {known})")
    return names


def _question(row: Mapping[str, str], names: Mapping[str, str], where: str) -> Question:
    # A column may have no name, such as the index that pandas writes.
    said = {ours: (row[its] or "").strip() for ours, its in names.items() if its}
    file, label = said["image"], said["label"].lower()
    if not file:
        raise ValueError(f"{where}: no image is named")
    if label not in BROKEN | SOUND:
        raise ValueError(f"{where}: the label {label[:20]!r} is neither 0 nor 1")
    study = said.get("study") or file
    return Question(file, int(label in BROKEN), study, said.get("patient") or study)


def _counted(answers: Sequence[Answer]) -> dict[str, object]:
    """How many were read; who was not, and why."""
    aside = [answer for answer in answers if answer.state != READ]
    by_code = defaultdict(int)
    for answer in aside:
        by_code[f"{answer.state}: {answer.code}"] += 1
    return {
        "asked": len(answers),
        "read": len(answers) - len(aside),
        "not_read": dict(sorted(by_code.items())),
        "named": [
            {"file": a.question.file, "state": a.state, "reason": a.reason}
            for a in aside
        ],
    }


def _studies(
    answers: Sequence[Answer], aggregation: str, threshold: float
) -> list[tuple[int, float, str]]:
    """(label, probability, patient) of every study with an image that was read.

    A fracture on an image that was not read is one nevertheless: the study that the
    model then calls sound is a miss.
    """
    aggregate = AGGREGATIONS[aggregation]
    return [
        (_label(inside), aggregate(read, threshold).probability, _patient(inside))
        for inside in _by_study(answers)
        if (read := [a.probability for a in inside if a.probability is not None])
    ]


def _left_to_people(answers: Sequence[Answer]) -> dict[str, int]:
    """Studies of which the model says nothing: in no report, and not to be lost."""
    left = [
        _label(inside)
        for inside in _by_study(answers)
        if all(answer.probability is None for answer in inside)
    ]
    return {"fractured": sum(left), "sound": len(left) - sum(left)}


def _by_study(answers: Sequence[Answer]) -> list[list[Answer]]:
    studies = defaultdict(list)
    for answer in answers:
        studies[answer.question.study].append(answer)
    return list(studies.values())


def _label(inside: Sequence[Answer]) -> int:
    return max(answer.question.label for answer in inside)


def _patient(inside: Sequence[Answer]) -> str:
    return inside[0].question.patient


def _report(
    cases: Sequence[tuple[int, float, str]], threshold: float
) -> dict[str, object] | None:
    """None where nothing was read."""
    if not cases:
        return None
    labels, scores, patients = zip(*cases, strict=True)
    return asdict(report(np.array(labels), np.array(scores), list(patients), threshold))


def _shares(
    rows: Sequence[tuple[Sequence[Box], tuple[float, float] | None]],
) -> dict[str, float | int | None]:
    hits = [hit(peak, boxes) for boxes, peak in rows]
    share = round(float(np.mean(hits)), 4) if hits else None
    return {"images": len(hits), "hits": share}
