"""From DICOM tags, which anyone may have written, to values that a row may hold."""

import re
import unicodedata
from datetime import date, datetime

from inference.spelling import line as text

LARGEST = 2**31 - 1

# Objects without pixels of their own, by SOP class (PS3.4 B.5): waveforms,
# presentation states, segmentations and other derived objects, structured reports,
# encapsulated documents, radiotherapy.
_OTHER_CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{branch}"
    for branch in ("9.", "11.", "66", "67", "78.", "88.", "104.", "481.")
)
_OTHER_MODALITIES = {"SR", "PR", "KO", "SEG", "DOC", "REG", "PLAN", "RTSTRUCT"}


def first(said: dict[str, str], length: int, *keywords: str) -> str:
    """The first of these tags that says anything, as `text`."""
    found = (text(said.get(keyword, ""), length) for keyword in keywords)
    return next(filter(None, found), "")


def uid(value: object) -> str:
    """A DICOM UID (PS3.5 9.1), or "" when the text is none."""
    found = text(value, 65).rstrip()
    return found if re.fullmatch(r"[0-9.]{1,64}", found) else ""


def day(value: object) -> date | None:
    """A DA value (PS3.5 6.2), also with the dots of old scanners; else None."""
    digits = re.sub(r"[.\-/]", "", text(value, 16))
    try:
        return datetime.strptime(digits, "%Y%m%d").date() if len(digits) == 8 else None
    except ValueError:
        return None


def number(value: object) -> int | None:
    """An IS or US value that fits a column, else None."""
    found = re.fullmatch(r"[+-]?\d{1,10}", text(value, 16), re.ASCII)
    whole = int(found[0]) if found else None
    return whole if whole is not None and abs(whole) <= LARGEST else None


def size(value: object) -> int | None:
    """Rows or columns of a frame, else None."""
    found = number(value)
    return found if found is not None and 0 < found <= 65535 else None


def holds_an_image(tags: dict[str, str]) -> bool:
    """Whether to expect pixels; what does not say what it is counts as an image.

    The SOP class decides where there is one: a wrong modality, typed at the
    scanner, must not hide a radiograph from its reader.
    """
    if sop_class := uid(tags.get("SOPClassUID", "")):
        return not sop_class.startswith(_OTHER_CLASSES)
    return text(tags.get("Modality", ""), 16).upper() not in _OTHER_MODALITIES


def same_name(one: str, other: str) -> bool:
    """Whether two PN values may be one person: case, order and carets aside.

    A missing name agrees with any.
    """
    left, right = _words(one), _words(other)
    return not left or not right or left == right


def _words(name: str) -> list[str]:
    """The parts of the first spelling given (alphabetic=ideographic=phonetic)."""
    spelling = next((part for part in name.split("=") if part.strip("^ ")), "")
    plain = unicodedata.normalize("NFKD", spelling).casefold()
    return sorted(re.findall(r"\w+", re.sub(r"[\u0300-\u036f]", "", plain)))
