"""From the bytes of a DICOM file to its identifiers and its tags as text.

Works on the raw elements: what a scanner writes is taken as it stands, never
validated, so that nothing odd is lost and no value of a patient ends in a warning.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from clinic.pacs import CODES

LONGEST = 256  # characters; Orthanc leaves longer texts out of its tags, too
LARGEST = 1 << 28  # bytes that a deflated file may have once inflated

TRANSLATED = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}  # in the file's charset
PLAIN = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}
NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
CHARSET = 0x00080005
CODE_MEANING = BaseTag(0x00080104)

# What a damaged sequence makes pydicom raise.
DAMAGE = ArithmeticError, AttributeError, LookupError, OSError, ValueError, TypeError
DAMAGE += EOFError, NotImplementedError, RecursionError, struct.error


class MissingIdentity(ValueError):
    """The object does not say which instance of which series and study it is."""


@dataclass(frozen=True)
class Header:
    """Identifiers are Orthanc's (see clinic.pacs). tags: keyword -> text."""

    id: str
    series_id: str
    study_id: str
    patient_id: str
    tags: dict[str, str]


def read_header(file: bytes) -> Header:
    """Raises ValueError for what is no DICOM file, MissingIdentity among them."""
    tags = _texts(_parse(file))
    levels = [tags.get("PatientID", "")]
    ids = [orthanc_id(*levels)]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not tags.get(keyword):
            raise MissingIdentity(f"{keyword} is missing")
        levels.append(tags[keyword])
        ids.append(orthanc_id(*levels))
    patient_id, study_id, series_id, id = ids
    return Header(id, series_id, study_id, patient_id, tags)


def orthanc_id(*levels: str) -> str:
    """SHA-1 of the levels from the patient down, in five groups of eight."""
    words = "|".join(levels).encode()
    digest = hashlib.sha1(words, usedforsecurity=False).hexdigest()
    return "-".join(digest[at : at + 8] for at in range(0, 40, 8))


def _parse(file: bytes) -> Dataset:
    if file[128:132] != b"DICM":
        raise ValueError("this is not a DICOM file (PS3.10 7.1)")
    try:
        _refuse_bomb(file)
        return dcmread(BytesIO(file), stop_before_pixels=True)
    except Exception as error:
        # Damaged files make pydicom raise anything: struct.error, KeyError,
        # EOFError, zlib.error, RecursionError, NotImplementedError.
        raise ValueError(f"the header is damaged ({type(error).__name__})") from error


def _refuse_bomb(file: bytes) -> None:
    if DeflatedExplicitVRLittleEndian.encode() not in file[:2048]:
        return
    # The file meta group ends where its first element says (PS3.10 7.1).
    start = 144 + int.from_bytes(file[140:144], "little")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    inflate.decompress(file[start:], LARGEST)
    if inflate.unconsumed_tail:
        raise ValueError("it inflates without end")


def _texts(ds: Dataset) -> dict[str, str]:
    found = {}
    encodings = _encodings(ds)
    for tag in ds.keys():  # noqa: SIM118 - iterating a Dataset converts its values
        keyword = keyword_for_tag(tag)
        text = _told(ds, tag, encodings) if keyword else None
        if text is not None and len(text) <= LONGEST:
            found[keyword] = text
    return found


def _told(ds: Dataset, tag: BaseTag, encodings: list[str]) -> str | None:
    if keyword_for_tag(tag) in CODES:
        return _meaning(ds, tag, encodings)
    return _text(tag, ds.get_item(tag), encodings)


def _meaning(ds: Dataset, tag: BaseTag, encodings: list[str]) -> str | None:
    try:
        meaning = ds[tag].value[0].get_item(CODE_MEANING)
        return meaning and _text(CODE_MEANING, meaning, encodings)
    except DAMAGE:
        return None


def _encodings(ds: Dataset) -> list[str]:
    element = ds.get_item(CHARSET)
    if element is None:
        return convert_encodings(None)
    names = element.value or b""
    if isinstance(names, bytes):
        names = names.decode("latin-1").rstrip(" \0").split("\\")
    return convert_encodings(names)


def _text(
    tag: BaseTag, element: DataElement | RawDataElement, encodings: list[str]
) -> str | None:
    """The value in Unicode, None for what is no text. Padding is cut (PS3.5 6.2)."""
    vr = dictionary_VR(tag) if element.VR in (None, "UN") else element.VR
    if isinstance(element, DataElement):
        return _joined(element) if vr in TRANSLATED | PLAIN | NUMBERS.keys() else None
    value = element.value or b""
    if vr in PLAIN:
        return value.decode("latin-1").rstrip(" \0")
    if vr in TRANSLATED:
        delimiters = {"^", "=", "\\"} if vr == "PN" else {"\\"}
        return decode_bytes(value, encodings, delimiters).rstrip(" \0")
    if vr in NUMBERS:
        return _numbers(value, NUMBERS[vr], element.is_little_endian)
    return None


def _joined(element: DataElement) -> str:
    """pydicom converts a few elements at once, empty ones among them."""
    values = element.value if element.VM > 1 else [element.value]
    return "" if element.is_empty else "\\".join(map(str, values))


def _numbers(value: bytes, code: str, little: bool) -> str | None:
    form = "<" if little else ">"
    if len(value) % struct.calcsize(form + code):
        return None
    return "\\".join(str(n) for (n,) in struct.iter_unpack(form + code, value))
