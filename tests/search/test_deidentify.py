"""Nothing that leaves an image's header says who it was."""

import os
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from search import deidentify
from search.deidentify import Pseudonyms, described
from tests.search.archive import radiograph

NAMES = Pseudonyms(b"salt")
IDENTIFYING = (
    "PatientName", "PatientAddress", "OtherPatientNames", "InstitutionName",
    "ReferringPhysicianName", "OperatorsName", "StationName", "StudyDescription",
    "SeriesDescription", "PatientComments", "ImageComments", "AccessionNumber",
    "RequestedProcedureDescription", "ProtocolName", "PatientInsurancePlanCodeSequence",
    "DeviceSerialNumber", "AdditionalPatientHistory",
)  # fmt: skip


def told():
    ds = radiograph("4711", 1)
    for keyword in IDENTIFYING:
        item = Dataset()
        item.CodeMeaning = "Secret"
        value = Sequence([item]) if keyword.endswith("Sequence") else "Secret wrist"
        setattr(ds, keyword, value)
    ds.private_block(0x0009, "Secret", create=True).add_new(1, "LO", "Secret")
    return ds


def test_no_name_id_or_free_text_gets_out():
    out = " ".join(described(told(), "4711", NAMES).values())
    for secret in ("Secret", "4711", "20240131", told().StudyInstanceUID):
        assert secret not in out


def test_what_the_profile_removes_is_removed_even_if_somebody_keeps_it(monkeypatch):
    texts = tuple(k for k in IDENTIFYING if not k.endswith("Sequence"))
    ids = ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "PatientBirthDate")
    monkeypatch.setattr(deidentify, "KEPT", texts + ids)
    ds = told()
    ds.PatientBirthDate = "19700102"
    safe = deidentify._profiled(deidentify._selected(ds), 100)
    for keyword in texts + ids:
        assert safe.get(keyword) != ds.get(keyword), keyword


@given(st.binary(min_size=1), st.text(), st.text())
def test_a_pseudonym_is_the_same_again_and_only_for_the_same(salt, one, other):
    names = Pseudonyms(salt)
    assert names.of("patient", one) == Pseudonyms(salt).of("patient", one)
    assert (names.of("patient", one) == names.of("patient", other)) == (one == other)
    assert names.of("patient", one) != names.of("study", one)
    assert names.of("patient", one) != Pseudonyms(salt + b"x").of("patient", one)


def test_a_name_in_another_encoding_has_a_pseudonym_too():
    one, other = (os.fsdecode(name) for name in (b"R\xf6ntgen", b"R\xfcntgen"))
    assert NAMES.of("file", one) == NAMES.of("file", one)
    assert NAMES.of("file", one) != NAMES.of("file", other)


@pytest.mark.parametrize("maker", ["=HYPERLINK(1)", " +-@=HYPERLINK(1)"])
def test_no_spreadsheet_takes_a_maker_for_a_formula(maker):
    ds = radiograph("p", 1, Manufacturer=maker)
    assert described(ds, "p", NAMES)["maker"] == "HYPERLINK(1)"


def date_of(ds, patient):
    return datetime.strptime(described(ds, patient, NAMES)["date"], "%Y%m%d")


def test_dates_move_by_one_amount_a_patient():
    first, later = (
        radiograph("p", i, StudyDate=f"202401{day}") for i, day in ((1, "01"), (2, 31))
    )
    assert (date_of(later, "p") - date_of(first, "p")).days == 30
    assert date_of(first, "p") != date_of(first, "q")
    moved = (datetime(2024, 1, 1) - date_of(first, "p")).days
    assert 365 <= moved <= 3653


@pytest.mark.parametrize("date", ["", "20241301", "yesterday", "2024", "00010101"])
def test_a_date_that_is_none_is_left_out(date):
    ds = radiograph("p", 1)
    ds.StudyDate = date
    assert described(ds, "p", NAMES)["date"] == ""


def test_a_date_of_early_years_has_eight_digits():
    ds = radiograph("p", 1, StudyDate="00201231")
    assert len(described(ds, "p", NAMES)["date"]) == 8


@pytest.mark.parametrize(
    ("age", "born", "told"),
    [
        ("014Y", "", "14"),
        ("018M", "", "1.5"),
        ("002W", "", "0.0"),
        ("097Y", "", "90"),
        ("", "20140201", "9"),
        ("", "20230131", "1.0"),
        ("", "19200101", "90"),
        ("", "20250101", ""),  # born after the examination
        ("old", "", ""),
    ],
)
def test_age(age, born, told):
    ds = radiograph("p", 1, PatientAge=age, PatientBirthDate=born)
    assert described(ds, "p", NAMES)["age"] == told


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"ImageLaterality": "L"}, {"side": "L"}),
        ({"ImageLaterality": "U"}, {"side": ""}),
        ({"ImageLaterality": "", "Laterality": "R"}, {"side": "R"}),
        ({"PatientSex": "f"}, {"sex": "F"}),
        ({"PatientSex": "Mrs Secret"}, {"sex": "M"}),
        ({"ViewPosition": "pa"}, {"view": "frontal"}),
        ({"ViewPosition": "LL"}, {"view": "lateral"}),
        ({"ViewPosition": "of Mrs Secret"}, {"view": ""}),
        ({"BodyPartExamined": "Handgelenk Secret"}, {"part": "wrist"}),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, {"spacing": "0.1 0.2"}),
        ({"PixelSpacing": [0.3, 0.3]}, {"spacing": "0.3 0.3"}),
    ],
)
def test_what_is_kept(tags, expected):
    found = described(radiograph("p", 1, **tags), "p", NAMES)
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("keyword", deidentify.KEPT)
def test_a_damaged_attribute_says_nothing(keyword):
    ds, tag = radiograph("p", 1), Tag(keyword)
    vr = dictionary_VR(tag)
    ds._dict[tag] = RawDataElement(tag, vr, 4, b"\xff\xfe\x00\x01", 0, False, True)
    found = described(ds, "p", NAMES)
    assert set(found) == set(described(radiograph("p", 1), "p", NAMES))
    assert all(value.isprintable() for value in found.values())
