"""Who it was is taken out of an image's header, what can be learned from is kept.

An attribute leaves only if KEPT names it, and even then it is treated as the Basic
Profile of PS3.15 Annex E says, with two of its options: Retain Patient
Characteristics (age, sex) and Retain Longitudinal Temporal Information With Modified
Dates. So what is added to KEPT by mistake is still taken out. What the profile does to
each attribute comes from dicom-anonymizer (Kitware, BSD), whose tables are generated
from PS3.15 Table E.1-1; it does not look into sequences, and none is kept. dicognito
(MIT) changes names, ids and dates well but leaves descriptions, comments and private
attributes; deid (MIT) brings no recipe for the profile: both were looked at and left.
Patient, study and instance are told apart by pseudonyms instead.

Free text never leaves: the part of the body is one of the lexicon's, view and side
are one of a few words. Pixels are not cleaned; see `search.build` for burned-in text.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from dicomanonymizer import simpledicomanonymizer as profile
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from inference import anatomy
from inference.spelling import line

EDITION = "dicomfields_2026c"
KEPT = (
    "StudyDate", "PatientAge", "PatientSex", "Manufacturer", "ViewPosition",
    "ImageLaterality", "Laterality", "PixelSpacing", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
)  # fmt: skip
FRONTAL, LATERAL = {"AP", "PA"}, {"LL", "RL", "LAT", "LATERAL", "ML", "LM"}
OBLIQUE = {"OBL", "OBLIQUE", "RAO", "LAO", "RPO", "LPO", "RLO", "LLO", "RL OBLIQUE"}
OLDEST = 90  # years: older people are so few that their age names them
LONGEST = 64  # characters of a patient ID (PS3.5 6.2, LO)
YEAR = 365.25  # days
FORMULA = "=+-@ "  # what a spreadsheet takes for one, in front of a cell
UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / YEAR, "D": 1 / YEAR}


@dataclass(frozen=True)
class Pseudonyms:
    """Names that are the same for the same person, and lead back only with `salt`."""

    salt: bytes

    def of(self, kind: str, name: str) -> str:
        """16 hexadecimal digits for the `name` of a `kind`: patient, study, image."""
        # A path need not be UTF-8, and is told in surrogates then.
        told = f"{kind}/{name}".encode(errors="surrogatepass")
        return hmac.new(self.salt, told, hashlib.sha256).hexdigest()[:16]

    def patient(self, known: str) -> str:
        """For a patient ID, as a header, a table or the archive spells it."""
        return self.of("patient", patient_id(known))

    def pixels(self, pixels: np.ndarray) -> str:
        """For the same pixels, in whatever file they came: the file's digest differs
        with the patient it names."""
        content = str(pixels.shape).encode() + pixels.tobytes()
        return self.of("group", hashlib.sha256(content).hexdigest())

    def days(self, patient: str) -> int:
        """How many days the dates of `patient` move into the past: one to ten years."""
        return 365 + int(self.of("days", patient), 16) % 3288

    @cached_property
    def mark(self) -> str:
        """What tells one salt from another without telling it."""
        return self.of("salt", "")


def patient_id(text: str) -> str:
    """`text` as every data set spells a patient ID before it is hashed; "" for none.

    The one rule by which patients are named, and so split: rows of studies hold IDs
    in this form. Who issued an ID does not count: verdicts do not know it, and two
    people taken for one share a side, while one taken for two would be on both.
    """
    return line(text, LONGEST)


def described(ds: Dataset, patient: str, names: Pseudonyms) -> dict[str, str]:
    """What the header of `ds` says of its image, and of nobody in particular.

    patient: the name that the dates of one person are moved by. -> date (moved),
    age (years), sex, side, view, part, maker, spacing (mm between rows, columns).
    """
    age, part = _age(ds), anatomy.judge(anatomy.tags_of(ds), "upper_limb").part
    safe = _profiled(_selected(ds), names.days(patient))
    return {
        "date": str(safe.get("StudyDate") or ""),
        "age": age,
        "sex": _one_of(safe, "MFO", "PatientSex"),
        "side": _one_of(safe, "LRB", "ImageLaterality", "Laterality"),
        "view": _view(str(safe.get("ViewPosition") or "")),
        "part": part or "",
        "maker": _line(str(safe.get("Manufacturer") or "")),
        "spacing": _spacing(safe),
    }


def identity(ds: Dataset, keyword: str) -> str:
    """The text of an identifying attribute; "" where it is missing or damaged."""
    with suppress(Exception):  # damaged values make pydicom raise anything
        found = ds.get(keyword) or ""
        several = found if isinstance(found, MultiValue) else [found]
        return "\\".join(map(str, several)).strip("\0 ")
    return ""


def _selected(ds: Dataset) -> Dataset:
    selected = Dataset()
    for keyword in KEPT:
        with suppress(Exception):  # as above: a damaged attribute stays behind
            if keyword in ds:
                selected[keyword] = deepcopy(ds[keyword])  # it will be altered
    return selected


def _profiled(ds: Dataset, days: int) -> Dataset:
    moved = _moved_by(days)
    rules = {
        _tag("PatientAge"): profile.keep,
        _tag("PatientSex"): profile.keep,
        _tag("StudyDate"): moved,
    }
    profile.anonymize_dataset(
        ds, rules, base_rules_gen=lambda: profile.initialize_actions(EDITION)
    )
    return ds


def _moved_by(days: int) -> Callable[[Dataset, tuple[int, int]], None]:
    def move(ds: Dataset, tag: tuple[int, int]) -> None:
        if tag not in ds:
            return
        when = _date(str(ds[tag].value))
        ds[tag].value = _earlier(when, days) if when else ""

    return move


def _earlier(when: date, days: int) -> str:
    """Nothing for what stands for no date, such as the year 1 of .NET."""
    try:
        return (when - timedelta(days)).isoformat().replace("-", "")
    except OverflowError:
        return ""


def _tag(keyword: str) -> tuple[int, int]:
    tag = Tag(tag_for_keyword(keyword))
    return tag.group, tag.element


def _date(text: str) -> date | None:
    digits = text.strip().replace(".", "")  # 1993.01.22 was allowed before 1993
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _age(ds: Dataset) -> str:
    """Years with one decimal below two, whole above, OLDEST at most; "" if unknown."""
    years = _written_age(identity(ds, "PatientAge"))
    born, seen = (_date(identity(ds, k)) for k in ("PatientBirthDate", "StudyDate"))
    if years is None and born and seen:
        years = (seen - born).days / YEAR
    if years is None or not 0 <= years < 130:
        return ""
    return f"{years:.1f}" if years < 2 else str(min(int(years), OLDEST))


def _written_age(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,3})([DWMY])", text)
    return int(found[1]) * UNITS[found[2]] if found else None


def _one_of(ds: Dataset, letters: str, *keywords: str) -> str:
    said = (str(ds.get(keyword) or "").strip().upper()[:1] for keyword in keywords)
    return next((letter for letter in said if letter and letter in letters), "")


def _view(text: str) -> str:
    words = {"frontal": FRONTAL, "lateral": LATERAL, "oblique": OBLIQUE}
    said = text.strip().upper()
    return next((view for view, known in words.items() if said in known), "")


def _line(text: str) -> str:
    words = " ".join("".join(filter(str.isprintable, text)).split())
    return words.lstrip(FORMULA)[:40]


def _spacing(ds: Dataset) -> str:
    """At the detector where nothing better is known, as the viewer does."""
    keywords = "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"
    for keyword in keywords:
        with suppress(Exception):  # a damaged number is no number
            rows, columns = (float(value) for value in ds[keyword].value)
            if rows > 0 and columns > 0:
                return f"{rows:g} {columns:g}"
    return ""
