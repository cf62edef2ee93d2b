"""`./run` as a newcomer types it, short of installing: docker/stack.py whole."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import pytest
import stack
from processes import free_port, listens, program
from stack import _logins

from inference import phantom

ROOT = Path(__file__).resolve().parent.parent
STACK = [sys.executable, str(ROOT / "docker" / "stack.py")]
REAL = {"OSTEON_PACS": "orthanc", "OSTEON_BROKER": "redis"}
OWN = {"OSTEON_PACS": "embedded", "OSTEON_BROKER": "filesystem"}


def environment(folder, servers):
    return os.environ | servers | {"OSTEON_DATA": str(folder), "PYTHONUNBUFFERED": "1"}


def once():
    """On a web port of its own: tests of another checkout may run beside these."""
    return [*STACK, "--once", "--port", str(free_port())]


def processes_of(folder) -> dict[int, str]:
    """Living processes whose environment names `folder`: pid -> command line."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"OSTEON_DATA={folder}\0".encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_text()
        except OSError:
            continue
    return found


@pytest.fixture
def folder_of_studies(tmp_path):
    """Radiographs as people have them: a picture, a chest, one whose pixels are not
    what it says, and something else."""
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "notes.txt").write_text("not a radiograph")
    cv2.imwrite(str(folder / "wrist.png"), phantom.phantom(90).pixels >> 4)
    chest, broken = phantom.study(91)[0], phantom.study(92)[0]
    chest.BodyPartExamined, chest.StudyDescription = "CHEST", "Thorax"
    chest.SeriesDescription = chest.ProtocolName = "Thorax"
    broken.PixelData = broken.PixelData[: len(broken.PixelData) // 4]
    for name, made in (("chest", chest), ("broken", broken)):
        made.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    return folder


@pytest.mark.timeout(400)
@pytest.mark.parametrize("servers", [REAL, OWN], ids=["real servers", "our own"])
def test_every_sample_study_is_accounted_for(servers, tmp_path, folder_of_studies):
    if servers is REAL and not (program("Orthanc") and program("redis-server")):
        assert os.environ.get("REQUIRE_SERVERS") != "1"
        pytest.skip("Orthanc and Redis are not both installed")
    done = subprocess.run(
        [*once(), "--phantoms", "3", "--studies", str(folder_of_studies)],
        env=environment(tmp_path / "data", servers),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ledger = json.loads(done.stdout)
    studies, images = ledger["studies"], ledger["images"]
    for balance in (studies, images):
        assert balance["waiting"] == 0
        assert balance["received"] == sum(
            balance[state]
            for state in ("read", "abstained", "not_ours", "unreadable", "failed")
        )
    assert studies["received"] == 6
    assert (studies["read"], studies["not_ours"], studies["unreadable"]) == (4, 1, 1)
    assert "notes.txt" in done.stderr
    assert not processes_of(tmp_path / "data")


@pytest.mark.timeout(180)
def test_samples_are_sent_under_a_title_that_is_accepted(tmp_path):
    done = subprocess.run(
        [*once(), "--phantoms", "1"],
        env=environment(tmp_path, OWN) | {"DICOM_ACCEPTED_AETS": "SCANNER,OTHER"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["studies"]["read"] == 1


def test_what_the_pacs_refused_is_not_called_success(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OSTEON_DATA", str(tmp_path))
    monkeypatch.setattr(stack.Stack, "open", lambda self: None)
    monkeypatch.setattr(sys, "argv", ["run", "--once", "--phantoms", "1"])
    settled = {"settled": True, "balanced": True}
    monkeypatch.setattr(stack.Stack, "settle", lambda self, seconds: settled)
    assert stack.main() == 1  # nobody listens at its port
    assert json.loads(capsys.readouterr().out) == settled


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="whoever tests is an ordinary user")
def test_an_ordinary_user_may_run_it():
    home = Path(tempfile.mkdtemp(prefix="osteon-user-"))
    try:
        shutil.chown(home, "nobody")
        seen = ["test", "-r", str(ROOT / "manage.py"), "-a", "-x", sys.executable]
        if subprocess.run(seen, user="nobody").returncode:
            pytest.skip("this checkout may not be read by others")
        done = subprocess.run(
            [*once(), "--phantoms", "1"],
            env=environment(home / "data", OWN) | {"HOME": str(home)},
            user="nobody",
            cwd=home,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert (home / "data" / "logins.json").stat().st_uid != 0
    finally:
        shutil.rmtree(home)


def test_a_port_in_use_is_told_in_a_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*STACK, "--port", str(port)],
            env=environment(tmp_path, OWN),
            capture_output=True,
            text=True,
        )
    assert done.returncode != 0
    assert f"Port {port} is in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(180)
def test_a_pacs_that_dies_is_started_again_and_told_of(tmp_path):
    port = 0
    with (tmp_path / "said").open("w") as said:
        osteon = subprocess.Popen(
            [*STACK, "--phantoms", "0"],
            env=environment(tmp_path, OWN),
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    try:
        for line in osteon.stdout:
            if found := re.search(r"push to 127.0.0.1:(\d+)", line):
                port = int(found[1])
                break
        running = processes_of(tmp_path).items()
        (pacs,) = [pid for pid, words in running if "manage.py\0pacs" in words]
        os.kill(pacs, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while listens(port) and time.monotonic() < deadline:
            time.sleep(0.02)
        while not listens(port) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert listens(port)
        assert "The pacs process ended (-9)" in (tmp_path / "said").read_text()
    finally:
        osteon.terminate()
        osteon.wait(60)
    assert not processes_of(tmp_path)


@pytest.mark.timeout(120)
def test_one_folder_holds_one_osteon_and_a_kill_leaves_nothing_behind(tmp_path):
    first = subprocess.Popen(
        [*STACK, "--phantoms", "0"],
        env=environment(tmp_path, OWN),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert "Osteon is ready" in first.stdout.readline() + first.stdout.readline()
    second = subprocess.run(
        STACK, env=environment(tmp_path, OWN), capture_output=True, text=True
    )
    assert second.returncode != 0
    assert "already runs" in second.stderr
    first.send_signal(signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 30
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not processes_of(tmp_path)


def test_passwords_are_those_given_or_made_up_once(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTEON_RADIOLOGIST_PASSWORD", "given")
    monkeypatch.delenv("OSTEON_ADMINISTRATOR_PASSWORD", raising=False)
    first = _logins(tmp_path)
    assert first["radiologist"] == "given"
    assert len(first["administrator"]) >= 12
    monkeypatch.setenv("OSTEON_RADIOLOGIST_PASSWORD", "another")
    assert _logins(tmp_path) == first
    assert (tmp_path / "logins.json").stat().st_mode & 0o077 == 0
