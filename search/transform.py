"""One study decoded once: 8-bit PNG of display values and a table beside them."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
from pydicom import Dataset

from inference import anatomy, dicom, picture
from inference.artifact import file_digest
from inference.unreadable import UnreadableFrame
from search.dataset import STUDIES, write_rows, write_text
from search.deidentify import OLDEST, Pseudonyms, described, identity, patient_id
from search.sources import Study, is_picture
from search.table import SAID, Table

Row = dict[str, str]

PARTIAL = ".partial"
SEEN = ".seen"  # beside the studies: a copy of the same source makes the same data
# Half the time of zlib's own search, and smaller: radiographs repeat by neighbours.
COMPRESSION = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
UNFORESEEN = "unforeseen"  # the code of any error but those named, before its class
EVERYTHING = "all"  # the scope of a data set that takes any part of the body


class Dropped(Exception):
    """An image that could be read and is not wanted. code: one of `outcome.WHY`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Rules:
    """What holds for every study. scope: of `anatomy.SCOPES`, or EVERYTHING.

    burned_in: whether images with burned-in text are taken. unnamed: whether those
    without a patient ID are, each study as a patient of its own.
    """

    source: Path
    out: Path
    names: Pseudonyms
    table: Table
    scope: str
    burned_in: bool
    unnamed: bool = False

    def study(self, study: Study) -> str:
        return self.names.of("study", study.key)


@dataclass(frozen=True)
class Made:
    """What became of one study's files. dropped: (file, code). lines: of the table,
    whose rows say something of an image that was taken. pixels: (image, the name of
    its pixels); None of a study from before they had one."""

    study: str
    images: int
    dropped: tuple[tuple[str, str], ...]
    lines: tuple[int, ...] = ()
    pixels: tuple[tuple[str, str], ...] | None = None


def make(rules: Rules, study: Study) -> Made:
    """Leave the study's folder in `rules.out`, whole; what stands is not done again.

    Only OSError comes out, where a file cannot be fetched: then there is no folder,
    and trying again may help.
    """
    made = standing(rules, study)
    if made is not None and made.pixels is not None:
        return made
    name, seen = rules.study(study), [_times(rules, study), _contents(rules, study)]
    partial, final = rules.out / PARTIAL / name, rules.out / STUDIES / name
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    rows: dict[str, Row] = {}
    dropped, lines, pixels = [], set(), {}
    for file in study.files:
        try:
            row, said, same = _image(rules, study, file, partial, rows)
        except Exception as error:
            dropped.append((file, _code(error)))
            continue
        rows[row["image"]], pixels[row["image"]] = row, same
        lines |= said
    write_rows(partial / "study.csv", [rows[image] for image in sorted(rows)])
    told = {
        "sources": _fingerprint(rules, study),
        "images": len(rows),
        "dropped": [[rules.names.of("file", f), code] for f, code in dropped],
        "lines": sorted(lines),
        "pixels": dict(sorted(pixels.items())),
    }
    write_text(partial / "study.json", json.dumps(told, indent=1))
    shutil.rmtree(final, ignore_errors=True)
    (rules.out / SEEN).mkdir(exist_ok=True)
    write_text(rules.out / SEEN / name, json.dumps(seen))
    final.parent.mkdir(exist_ok=True)
    partial.rename(final)
    return _made(name, tuple(dropped), told)


def standing(rules: Rules, study: Study) -> Made | None:
    """What became of a study that was made of these very files before."""
    name = rules.study(study)
    try:
        told = json.loads((rules.out / STUDIES / name / "study.json").read_text())
        if told["sources"] != _fingerprint(rules, study) or _changed(rules, study):
            return None
        files = {rules.names.of("file", file): file for file in study.files}
        dropped = tuple((files[file], code) for file, code in told["dropped"])
        return _made(name, dropped, told)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _made(
    name: str, dropped: tuple[tuple[str, str], ...], told: Mapping[str, object]
) -> Made:
    pixels = tuple(told["pixels"].items()) if "pixels" in told else None
    return Made(name, told["images"], dropped, tuple(told["lines"]), pixels)


def _code(error: Exception) -> str:
    """Why this one file is left out. Never the text of an error that nobody foresaw:
    it may hold a name. OSError goes on, as trying again may help."""
    if isinstance(error, OSError):
        raise error
    if isinstance(error, (UnreadableFrame, Dropped)):
        return error.code
    return f"{UNFORESEEN} {type(error).__name__}"


def _fingerprint(rules: Rules, study: Study) -> str:
    """Names and sizes, salted: a path may hold a name."""
    sizes = [(file, (rules.source / file).stat().st_size) for file in study.files]
    return rules.names.of("sources", json.dumps(sizes))


def _changed(rules: Rules, study: Study) -> bool:
    """Whether files of the same sizes are others now: they are read only where their
    times differ. Data sets from before that was kept are taken at their word."""
    kept = rules.out / SEEN / rules.study(study)
    if not kept.exists():
        return False
    times, contents = json.loads(kept.read_text())
    return times != _times(rules, study) and contents != _contents(rules, study)


def _times(rules: Rules, study: Study) -> str:
    times = [(rules.source / file).stat().st_mtime_ns for file in study.files]
    return rules.names.of("times", json.dumps(times))


def _contents(rules: Rules, study: Study) -> str:
    digests = [file_digest(rules.source / file) for file in study.files]
    return rules.names.of("contents", json.dumps(digests))


def _image(
    rules: Rules, study: Study, file: str, folder: Path, before: Mapping[str, Row]
) -> tuple[Row, set[int], str]:
    """Write the picture into `folder`; -> its row, the lines of the table that say
    something of it, the name of its pixels. before: the rows of the study.

    group: the table's, or the name of the pixels; see `search.alike` for both.
    """
    read = _picture if is_picture(file) else _radiograph
    pixels, sop, patient, row, lines = read(rules, study, file)
    image = rules.names.of("image", sop or file)
    names = {
        "image": f"{STUDIES}/{rules.study(study)}/{image}.png",
        "study": rules.study(study),
        "patient": rules.names.of("patient", patient),
    }
    if names["image"] in before:
        raise Dropped("duplicate")
    if any(row["patient"] != names["patient"] for row in before.values()):
        raise Dropped("two_patients")  # they might be on two sides of a split
    same = rules.names.pixels(pixels)
    encoded = cv2.imencode(".png", pixels, COMPRESSION)[1]
    (folder / f"{image}.png").write_bytes(encoded.tobytes())
    return {"group": same} | row | names, lines, same


def _picture(rules: Rules, study: Study, file: str) -> tuple:
    said = rules.table.row((file,), ())
    if not said:
        raise Dropped("no_row")
    patient = _patient(rules, study, said.get("patient", ""))
    pixels = picture.frame(rules.source / file).pixels
    lines = rules.table.matched((file,), ())
    return pixels, "", patient, _said(rules, said), lines


def _radiograph(rules: Rules, study: Study, file: str) -> tuple:
    ds = dicom.open_dataset(rules.source / file)
    _refuse_unwanted(rules, ds)
    pixels = dicom.frame(ds).pixels
    sop = identity(ds, "SOPInstanceUID")
    keys = (
        (file, sop),
        (identity(ds, "StudyInstanceUID"), identity(ds, "AccessionNumber")),
    )
    said = rules.table.row(*keys)
    told = identity(ds, "PatientID"), said.get("patient", "")
    patient = _patient(rules, study, *told)
    header = described(ds, patient, rules.names)
    row = header | _said(rules, said)
    return pixels, sop, patient, row, rules.table.matched(*keys)


def _refuse_unwanted(rules: Rules, ds: Dataset) -> None:
    tags = anatomy.tags_of(ds)
    if tags.get("Modality", "").upper() in anatomy.NOT_PROJECTIONS:
        raise Dropped("not_a_radiograph")
    if rules.scope != EVERYTHING and not anatomy.judge(tags, rules.scope).ours:
        raise Dropped("other_part")
    if not rules.burned_in and identity(ds, "BurnedInAnnotation").upper() == "YES":
        raise Dropped("burned_in")


def _patient(rules: Rules, study: Study, *told: str) -> str:
    """The first ID that says anything. Nobody's study may be anybody's, who is on
    another side already."""
    known = next(filter(None, map(patient_id, told)), "")
    if not known and not rules.unnamed:
        raise Dropped("no_patient")
    return known or study.key


def _said(rules: Rules, row: dict[str, str]) -> dict[str, str]:
    """What a row of the table says; nobody is known by their age or their group."""
    said = {column: row[column] for column in SAID if row.get(column)}
    if said.get("group"):
        said["group"] = rules.names.of("group", said["group"])
    if said.get("age"):
        said["age"] = f"{min(float(said['age']), OLDEST):g}"
    return said
