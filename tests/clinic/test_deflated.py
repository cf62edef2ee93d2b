"""What the viewer cannot inflate, inflated for it; and nothing else touched."""

import zlib
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from clinic import deflated
from clinic.deflated import viewable
from inference import deflated as stream
from inference.unreadable import UnreadableFrame
from tests.clinic.pacs.radiographs import as_bytes, radiograph


class Stored(BytesIO):
    """A file as the PACS hands it out, which tells how much of it was asked for."""

    def __init__(self, file):
        super().__init__(file)
        self.size, self.asked = len(file), 0

    def read(self, size=-1):
        got = super().read(size)
        self.asked += len(got)
        return got


def written(syntax, **tags):
    ds = radiograph("one", sop_uid="1.2.3.4", **tags)
    ds.file_meta.TransferSyntaxUID = syntax
    return as_bytes(ds)


def pieces(file):
    return iter(lambda: file.read(deflated.CHUNK), b"")


def handed_out(file):
    with viewable(Stored(file)) as seen:
        whole = b"".join(pieces(seen))
        assert seen.size == len(whole)
    return whole


@pytest.fixture(params=[1 << 18, 700])
def chunk(request, monkeypatch):
    """Files shorter and longer than a chunk; the file meta group is in the first."""
    monkeypatch.setattr(deflated, "CHUNK", request.param)
    monkeypatch.setattr(stream, "AT_ONCE", request.param)
    return request.param


def test_a_deflated_file_comes_as_the_same_elements_inflated(chunk):
    file = written(DeflatedExplicitVRLittleEndian)
    seen = dcmread(BytesIO(handed_out(file)))
    assert seen.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    stored = dcmread(BytesIO(file))
    assert seen == stored
    assert np.array_equal(seen.pixel_array, stored.pixel_array)
    kept = dict(seen.file_meta.to_json_dict())
    before = dict(stored.file_meta.to_json_dict())
    for tag in ("00020000", "00020010"):
        kept.pop(tag), before.pop(tag)
    assert kept == before
    assert handed_out(file) == written(ExplicitVRLittleEndian)


def test_others_are_neither_changed_nor_fetched_before_they_are_asked_for(chunk):
    file = written(ExplicitVRLittleEndian, ImageComments="1.2.840.10008.1.2.1.99")
    file += b"\0" * 5000
    assert handed_out(file) == file
    stored = Stored(file)
    with viewable(stored) as seen:
        assert stored.asked <= chunk
        assert seen.size == len(file)


@pytest.mark.parametrize("file", [b"", b"\0" * 100, b"DICM" * 40], ids=len)
def test_what_is_no_dicom_file_passes_untouched(file):
    assert handed_out(file) == file


@pytest.mark.parametrize("memory", [1 << 20, 100])
def test_what_was_kept_aside_is_closed(memory, monkeypatch):
    monkeypatch.setattr(deflated, "IN_MEMORY", memory)
    with viewable(Stored(written(DeflatedExplicitVRLittleEndian))) as seen:
        assert len(b"".join(pieces(seen))) == seen.size
    assert seen.closed


def bomb(inflated):
    file = written(DeflatedExplicitVRLittleEndian)
    meta = file[: 144 + int.from_bytes(file[140:144], "little")]
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return meta + packer.compress(b"\0" * inflated) + packer.flush()


def test_a_file_that_inflates_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(deflated, "LARGEST", 1 << 20)
    stored = Stored(bomb(1 << 26))
    monkeypatch.setattr(deflated, "CHUNK", 4096)
    monkeypatch.setattr(stream, "AT_ONCE", 4096)
    with pytest.raises(UnreadableFrame, match="without end"), viewable(stored):
        pass
    assert stored.asked < stored.size / 4  # long before its own end


def test_one_as_long_as_is_allowed_is_not(monkeypatch):
    """Its last input is gone while zlib still has output to give."""
    for length in range(stream.AT_ONCE - 3, stream.AT_ONCE + 300, 50):
        assert handed_out(bomb(length)).endswith(b"\0" * length)


def test_a_stream_that_ends_early_or_is_damaged_is_refused():
    file = written(DeflatedExplicitVRLittleEndian)
    with pytest.raises(UnreadableFrame, match="ends early"):
        handed_out(file[:-20])
    start = 144 + int.from_bytes(file[140:144], "little")
    with pytest.raises(UnreadableFrame, match="is damaged"):
        handed_out(file[:start] + b"\xff" * 50)
