import zlib

import pytest
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from clinic.pacs import header
from clinic.pacs.header import MissingIdentity, read_header
from tests.clinic.pacs.radiographs import as_bytes, radiograph


def test_elements_of_unknown_representation_are_read_by_the_dictionary():
    """As some archives write them: the identity of the object in a UN element."""
    ds = radiograph(BodyPartExamined="WRIST")
    file = as_bytes(ds)
    plain = b"\x18\x00\x15\x00CS\x06\x00WRIST "
    assert plain in file
    unknown = file.replace(plain, b"\x18\x00\x15\x00UN\0\0\x06\0\0\0WRIST ")
    assert read_header(unknown).tags["BodyPartExamined"] == "WRIST"


def test_numbers_are_text_and_broken_ones_are_left_out():
    file = as_bytes(radiograph())
    rows = b"\x28\x00\x10\x00US\x02\x00\x18\x00"
    assert rows in file
    assert read_header(file).tags["Rows"] == "24"
    broken = file.replace(rows, b"\x28\x00\x10\x00US\x03\x00\x18\x00\x00")
    assert "Rows" not in read_header(broken).tags


def test_a_damaged_view_code_costs_no_object():
    """Each byte of the sequence broken in turn: identity and size are still told."""
    code = Dataset()
    code.CodeMeaning = "postero-anterior"
    file = as_bytes(radiograph(ViewCodeSequence=[code]))
    assert read_header(file).tags["ViewCodeSequence"] == "postero-anterior"
    start = file.index(b"\x54\x00\x20\x02SQ") + 12
    for at in range(start, start + 20):
        broken = file[:at] + b"\xff" + file[at + 1 :]
        assert read_header(broken).tags["Rows"] == "24"


def test_an_unknown_charset_costs_no_object():
    file = as_bytes(radiograph(name="Müller"))
    tags = read_header(file.replace(b"ISO_IR 192", b"KLINGON_42")).tags
    assert tags["PatientName"].startswith("M")


def test_a_truncated_file_with_a_whole_header_is_kept():
    """It will be called unreadable, with its name, rather than never seen."""
    file = as_bytes(radiograph())
    assert read_header(file[:-100]).tags["Rows"] == "24"


def test_every_cut_is_read_or_refused():
    file = as_bytes(radiograph())
    for end in range(132, 1400, 7):
        try:
            found = read_header(file[:end])
        except ValueError as error:
            assert str(error)
        else:
            assert found.id


def test_what_is_missing_is_named():
    file = as_bytes(ds := radiograph())
    uid = str(ds.SeriesInstanceUID).encode()
    with pytest.raises(MissingIdentity, match="SeriesInstanceUID"):
        read_header(file.replace(uid, b"\0" * len(uid)))


def test_a_deflated_file_that_inflates_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(header, "LARGEST", 1 << 20)
    ds = radiograph()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = as_bytes(ds)
    assert read_header(file).id
    start = 144 + int.from_bytes(file[140:144], "little")
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    endless = deflate.compress(zlib.decompress(file[start:], -zlib.MAX_WBITS))
    endless += deflate.compress(b"\0" * (2 << 20)) + deflate.flush()
    with pytest.raises(ValueError, match="damaged"):
        read_header(file[:start] + endless)
