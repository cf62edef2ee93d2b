"""Orthanc dies while we speak with it, and comes back."""

import processes
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from clinic.pacs import PacsUnavailable
from clinic.pacs.orthanc import OrthancPacs
from clinic.pacs.storage_scu import Peer, Refused, sending
from tests.clinic.pacs.radiographs import as_bytes, orthanc_ids, radiograph

PATIENCE = 3.0


class Mortal:
    """An Orthanc on ports of its own that may be killed and started again."""

    def __init__(self, folder, **changes):
        self.folder, self.changes = folder, changes
        self.ports = processes.free_port(), processes.free_port()
        self.start()

    def start(self):
        port, dicom_port = self.ports
        self.server = processes.start_orthanc(
            self.folder,
            password="secret",
            port=port,
            dicom_port=dicom_port,
            **self.changes,
        )

    def kill(self):
        self.server.process.kill()
        self.server.process.wait()

    def pacs(self):
        return OrthancPacs(self.server.url, "osteon", "secret", PATIENCE)

    def peer(self, calling="OSTEON-PUSH"):
        return Peer("127.0.0.1", self.server.dicom_port, "OSTEON", calling, PATIENCE)


@pytest.fixture
def mortal(tmp_path):
    made = []

    def make(**changes):
        try:
            made.append(Mortal(tmp_path / "orthanc", **changes))
        except processes.CannotStart as error:
            pytest.skip(str(error))
        return made[-1]

    yield make
    for one in made:
        processes.stop(one.server.process, patience=0)


def test_a_killed_orthanc_is_unavailable_and_resumes_where_it_was(mortal):
    orthanc = mortal()
    pacs = orthanc.pacs()
    id = pacs.store(file := as_bytes(radiograph()))
    before = pacs.changes(0)
    orthanc.kill()
    for call in (
        lambda: pacs.changes(before.last),
        lambda: pacs.instance(id),
        lambda: pacs.study("s"),
        lambda: pacs.store(file),
        lambda: pacs.open(id).__enter__(),
        pacs.health,
    ):
        with pytest.raises(PacsUnavailable):
            call()
    orthanc.start()
    assert pacs.changes(0) == before
    assert pacs.changes(before.last).done
    with pacs.open(id) as stream:
        assert stream.read() == file


def test_a_download_cut_by_the_death_of_orthanc_is_no_short_file(mortal):
    orthanc = mortal()
    pacs = orthanc.pacs()
    large = radiograph(PatientComments="x" * 100)
    large.PixelData = b"\0" * (64 << 20)
    id = pacs.store(as_bytes(large))
    with pytest.raises(PacsUnavailable), pacs.open(id) as stream:
        stream.read(1000)
        orthanc.kill()
        while stream.read(1 << 20):
            pass


def test_a_list_of_instances_cut_by_the_death_of_orthanc_is_no_short_list(mortal):
    orthanc = mortal()
    pacs = orthanc.pacs()
    for _ in range(3):
        id = pacs.store(as_bytes(radiograph("one")))
    found = pacs.instances(pacs.instance(id).study_id)
    next(found)
    orthanc.kill()
    with pytest.raises(PacsUnavailable):
        list(found)


def test_an_orthanc_that_was_reset_shows_by_a_lower_cursor(mortal, tmp_path):
    orthanc = mortal()
    pacs = orthanc.pacs()
    for _ in range(3):
        pacs.store(as_bytes(radiograph()))
    cursor = pacs.changes(0).last
    orthanc.kill()
    orthanc.folder = tmp_path / "another"
    orthanc.start()
    pacs.store(as_bytes(radiograph()))
    assert pacs.changes(cursor).last < cursor


def test_sending_to_a_dying_orthanc_stops_in_words_and_goes_on_later(mortal):
    orthanc = mortal()
    first, second = radiograph(), radiograph()
    with sending(orthanc.peer()) as sender:
        sender.send(first)
        orthanc.kill()
        with pytest.raises(PacsUnavailable, match="Is the PACS running"):
            sender.send(second)
        orthanc.start()
        sender.send(second)
    for ds in (first, second):
        with orthanc.pacs().open(orthanc_ids(ds)["Instance"]) as stream:
            stored = dcmread(DicomBytesIO(stream.read()))
        assert stored.PixelData == ds.PixelData


def test_orthanc_takes_only_from_the_titles_it_was_told(mortal):
    """As docker/orthanc.json explains: no free store, and a list of modalities."""
    scanner = {"AET": "SCANNER", "Host": "127.0.0.1", "Port": 104}
    orthanc = mortal(DicomAlwaysAllowStore=False, DicomModalities={"scanner": scanner})
    with sending(orthanc.peer("SCANNER")) as sender:
        sender.send(radiograph())
    with (
        pytest.raises((Refused, PacsUnavailable)),
        sending(orthanc.peer("STRANGER")) as sender,
    ):
        sender.send(radiograph())
    changes = orthanc.pacs().changes(0).changes
    assert sum(one.kind == "NewInstance" for one in changes) == 1
