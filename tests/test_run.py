"""`./run` as a newcomer types it, short of installing: docker/stack.py whole."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import listens, program
from stack import _logins

ROOT = Path(__file__).resolve().parent.parent
STACK = [sys.executable, str(ROOT / "docker" / "stack.py")]
REAL = {"OSTEON_PACS": "orthanc", "OSTEON_BROKER": "redis"}
OWN = {"OSTEON_PACS": "embedded", "OSTEON_BROKER": "filesystem"}


def environment(folder, servers):
    return os.environ | servers | {"OSTEON_DATA": str(folder), "PYTHONUNBUFFERED": "1"}


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


@pytest.mark.timeout(400)
@pytest.mark.parametrize("servers", [REAL, OWN], ids=["real servers", "our own"])
def test_every_sample_study_is_accounted_for(servers, tmp_path):
    if servers is REAL and not (program("Orthanc") and program("redis-server")):
        assert os.environ.get("REQUIRE_SERVERS") != "1"
        pytest.skip("Orthanc and Redis are not both installed")
    # A folder of radiographs as people have them: one is none, one is cut short.
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "notes.txt").write_text("not a radiograph")
    done = subprocess.run(
        [*STACK, "--once", "--phantoms", "3", "--studies", str(folder)],
        env=environment(tmp_path / "data", servers),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ledger = json.loads(done.stdout)
    studies, images = ledger["studies"], ledger["images"]
    assert studies["received"] == 3
    for balance in (studies, images):
        assert balance["waiting"] == 0
        assert balance["received"] == sum(
            balance[state]
            for state in ("read", "abstained", "not_ours", "unreadable", "failed")
        )
    assert studies["read"] == 3
    assert "notes.txt" in done.stderr
    assert not processes_of(tmp_path / "data")


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
        stack = subprocess.Popen(
            [*STACK, "--phantoms", "0"],
            env=environment(tmp_path, OWN),
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    try:
        for line in stack.stdout:
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
        stack.terminate()
        stack.wait(60)
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
