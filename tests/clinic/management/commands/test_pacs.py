"""`manage.py pacs` as a process: what it survives, and how it ends."""

import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import processes
import pytest

from clinic.pacs import PacsUnavailable
from clinic.pacs.embedded import EmbeddedPacs
from clinic.pacs.storage_scu import Peer, Refused, sending
from tests.clinic.pacs.radiographs import orthanc_ids, radiograph

COMMAND = [sys.executable, "manage.py", "pacs"]
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"OSTEON_DATA": str(tmp_path), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def pacs(tmp_path):
    return EmbeddedPacs(tmp_path / "pacs")


class Served:
    def __init__(self, environment, log):
        self.environment, self.log = environment, log
        self.port = processes.free_port()
        self.process = None

    def start(self, **env):
        own = {"DICOM_PORT": str(self.port)} | env
        self.process = processes.start(
            COMMAND, self.log, self.environment | own, cwd=ROOT
        )
        processes.wait_for(self.listens, self.process, "PACS", self.log, seconds=90)

    def listens(self):
        """Its port is open a moment before it says so."""
        return "listens" in self.log.read_text() and processes.listens(self.port)

    def send(self, *datasets, calling="OSTEON-PUSH"):
        with sending(Peer("127.0.0.1", self.port, "OSTEON", calling)) as sender:
            for ds in datasets:
                sender.send(ds)


@pytest.fixture
def served(environment, tmp_path):
    served = Served(environment, tmp_path / "pacs.log")
    yield served
    if served.process is not None:
        processes.stop(served.process, patience=1)


def test_the_settings_say_who_may_send(served, pacs):
    served.start(DICOM_ACCEPTED_AETS="SCANNER,ROOM2", DICOM_AET="HOUSE")
    assert "HOUSE listens" in served.log.read_text()
    served.send(ds := radiograph(), calling="ROOM2")
    assert pacs.instance(orthanc_ids(ds)["Instance"])
    with pytest.raises(PacsUnavailable, match="not recognised"):
        served.send(radiograph(), calling="STRANGER")


def test_what_was_answered_survives_a_kill(served, pacs):
    served.start()
    served.send(first := radiograph())
    served.process.send_signal(signal.SIGKILL)
    served.process.wait()
    served.start()
    served.send(second := radiograph())
    for ds in (first, second):
        with pacs.open(orthanc_ids(ds)["Instance"]) as stream:
            assert ds.SOPInstanceUID.encode() in stream.read()
    sequences = [change.sequence for change in pacs.changes(0).changes]
    assert sequences == list(range(1, 9))


def test_a_full_disk_is_answered_as_such_and_passes(served, pacs):
    served.start()
    served.send(radiograph())
    pid = served.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, limits[1]))
    with pytest.raises(Refused, match="out of resources"):
        served.send(ds := radiograph())
    assert len(pacs.changes(0).changes) == 4
    assert not list(pacs.root.rglob("*.part"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    served.send(ds)
    assert len(pacs.changes(0).changes) == 8


def test_it_ends_when_told_and_its_log_names_no_patient(served):
    served.start()
    odd = {"PatientBirthDate": "GEHEIM-1", "SpecificCharacterSet": "GEHEIM-2"}
    served.send(radiograph(name="Geheim^Gerda", **odd))
    served.process.terminate()
    assert served.process.wait(30) == 0
    assert "Stored " in served.log.read_text()
    assert "geheim" not in served.log.read_text().lower()


def ends_at_once(environment):
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_in_use_is_told_with_the_remedy(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = ends_at_once(environment | {"DICOM_PORT": port})
    assert port in said
    assert "DICOM_PORT" in said


def test_a_folder_that_cannot_be_used_is_told_with_the_remedy(environment, tmp_path):
    (tmp_path / "pacs").write_text("in the way")
    assert "OSTEON_DATA" in ends_at_once(environment | {"DICOM_PORT": "0"})
