import json
import socket

import cv2
import numpy as np
import pydicom
import pytest
from django.core.management import CommandError, call_command

from clinic.management.commands import push
from clinic.pacs.embedded import EmbeddedPacs
from clinic.pacs.storage_scp import Door, listen
from tests.clinic.pacs.radiographs import as_bytes, radiograph


@pytest.fixture
def pacs(tmp_path):
    return EmbeddedPacs(tmp_path / "pacs")


@pytest.fixture
def port(pacs):
    server = listen(pacs, Door("OSTEON", "127.0.0.1", 0))
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture
def folder(tmp_path):
    """Radiographs as people have them, and what lies about beside them."""
    folder = tmp_path / "studies"
    (folder / "deeper").mkdir(parents=True)
    grey = np.random.default_rng(3).integers(0, 256, (40, 30)).astype(np.uint8)
    (folder / "one.dcm").write_bytes(as_bytes(radiograph()))
    (folder / "deeper" / "no_suffix").write_bytes(as_bytes(radiograph()))
    cv2.imwrite(str(folder / "wrist.png"), grey)
    cv2.imwrite(str(folder / "deeper" / "hand.JPG"), grey[::-1])
    (folder / "notes.txt").write_text("not a radiograph")
    (folder / "empty").write_bytes(b"")
    whole = (folder / "deeper" / "hand.JPG").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[:-300])
    return folder


@pytest.fixture
def run(port, capsys):
    def command(*arguments, fails=None, port=port):
        try:
            call_command("push", *map(str, arguments), port=port)
        except CommandError as error:
            assert fails and fails in str(error), str(error)
        else:
            assert fails is None
        printed = capsys.readouterr()
        return json.loads(printed.out) if printed.out else None, printed.err

    return command


def held(pacs):
    named = [c.id for c in pacs.changes(0).changes if c.kind == "NewInstance"]
    return [pacs.instance(id) for id in dict.fromkeys(named)]


def test_a_folder_goes_whole_and_what_cannot_go_is_named(run, pacs, folder):
    summary, progress = run(folder)
    assert (summary["sent"], summary["wrapped"]) == (4, 2)
    reasons = {one["path"]: one["reason"] for one in summary["refused"]}
    assert reasons.keys() == {
        str(folder / n) for n in ("notes.txt", "empty", "cut.jpg")
    }
    assert "neither a DICOM file" in reasons[str(folder / "notes.txt")]
    assert "picture" in reasons[str(folder / "cut.jpg")]
    assert len(held(pacs)) == 4
    assert "7 of 7: 4 objects sent" in progress
    for path in reasons:
        assert path in progress


def test_a_dicom_file_goes_as_it_is(run, pacs, folder):
    run(folder / "one.dcm")
    sent = pydicom.dcmread(folder / "one.dcm")
    with pacs.open(held(pacs)[0].id) as stream:
        assert pydicom.dcmread(stream) == sent


def test_a_picture_pushed_twice_is_one_study(run, pacs, folder):
    run(folder / "wrist.png")
    (copy := folder / "copy.png").write_bytes((folder / "wrist.png").read_bytes())
    run(folder / "wrist.png", copy)
    assert len({one.study_id for one in held(pacs)}) == len(held(pacs)) == 1


def test_phantom_studies_have_two_images_and_follow_their_seed(run, pacs):
    summary, _ = run("--phantoms", 2, "--seed", 5)
    assert summary == {"sent": 4, "wrapped": 0, "refused": []}
    assert len({one.study_id for one in held(pacs)}) == 2
    run("--phantoms", 1, "--seed", 6)
    assert len(held(pacs)) == 4


def test_pixels_without_their_padding_byte_are_mended(run, pacs, folder):
    """Uncompressed 8-bit images of an odd number of pixels, as some devices do."""
    odd = radiograph()
    file = as_bytes(odd)[:-1].replace(b"OW\0\0\x60\x03\0\0", b"OB\0\0\x5f\x03\0\0")
    assert len(file) % 2
    (folder / "odd.dcm").write_bytes(file)
    summary, _ = run(folder / "odd.dcm")
    assert summary["sent"] == 1
    with pacs.open(held(pacs)[0].id) as stream:
        assert len(pydicom.dcmread(stream).PixelData) == 0x360


def test_a_file_cut_short_is_named(run, folder):
    file = as_bytes(radiograph())
    (folder / "meta.dcm").write_bytes(file[:180])
    body = file.index(b"\x08\x00\x05\x00CS")
    (folder / "odd.dcm").write_bytes(file[: body + 21])
    summary, _ = run(folder / "odd.dcm", folder / "meta.dcm")
    assert summary["sent"] == 0
    odd, meta = (one["reason"] for one in summary["refused"])
    assert "odd length" in odd
    assert "file meta information" in meta


def test_a_directory_file_is_named_and_not_sent(run, folder, sample_data):
    summary, _ = run(next(sample_data.rglob("DICOMDIR")))
    assert "DICOMDIR" in summary["refused"][0]["reason"]


def test_what_the_pacs_refuses_fails_the_command_after_the_rest_went(run, folder):
    lacking = as_bytes(ds := radiograph())
    uid = str(ds.StudyInstanceUID).encode()
    (folder / "a.dcm").write_bytes(lacking.replace(uid, b"\0" * len(uid)))
    summary, _ = run(folder, fails="The PACS refused 1 objects")
    assert summary["sent"] == 4
    (refused,) = [one for one in summary["refused"] if "a.dcm" in one["path"]]
    assert "0xA900" in refused["reason"]


def test_an_encoding_that_the_pacs_does_not_take_is_named(run, folder):
    ds = radiograph()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.3.4.5"
    (folder / "a.dcm").write_bytes(as_bytes(ds))
    summary, _ = run(folder, fails="refused 1")
    assert summary["sent"] == 4
    assert "does not accept 1.2.3.4.5" in json.dumps(summary)


def test_many_kinds_of_object_need_more_than_one_association(
    run, pacs, folder, monkeypatch
):
    monkeypatch.setattr("clinic.pacs.storage_scu.MOST_CONTEXTS", 2)
    for path in folder.iterdir():
        path.unlink() if path.is_file() else None
    for number in range(6):
        ds = radiograph()
        kinds = ["1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.2"]
        kinds += ["1.2.840.10008.5.1.4.1.1.4"]
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = kinds[number % 3]
        (folder / f"{number}.dcm").write_bytes(as_bytes(ds))
    summary, _ = run(*sorted(folder.glob("*.dcm")))
    assert summary["sent"] == len(held(pacs)) == 6


def test_a_pacs_that_is_not_there_is_said_so(run, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    summary, _ = run(
        folder, fails=f"Nothing answers DICOM at OSTEON at 127.0.0.1:{free}", port=free
    )
    assert summary["sent"] == 0


def test_a_refused_title_is_said_so(pacs, run, folder):
    server = listen(pacs, Door("OSTEON", "127.0.0.1", 0, accepted=("SCANNER",)))
    try:
        port = server.server_address[1]
        summary, _ = run(folder, fails="Calling AE title not recognised", port=port)
        assert summary["sent"] == 0
        run(folder / "one.dcm", "--calling-aet", "SCANNER", port=port)
    finally:
        server.shutdown()


def test_a_lost_connection_is_made_anew(run, pacs, folder, monkeypatch):
    stored = []

    def dying(self, item, real=push.Sender._store):
        stored.append(item)
        if len(stored) == 2:
            self._association.abort()
        return real(self, item)

    monkeypatch.setattr(push.Sender, "_store", dying)
    summary, _ = run(folder)
    assert summary["sent"] == len(held(pacs)) == 4
    assert len(stored) == 5


def test_nothing_to_send_and_nowhere_to_look_are_told_apart(run, tmp_path):
    run(fails="Nothing to send")
    run(tmp_path / "missing", fails="There is no")
