"""What ./run refuses before anything is started, in sentences with a remedy."""

import argparse
import os
import shutil
import socket
import subprocess
from pathlib import Path

import preflight
import pytest
from processes import CannotStart, free_port

ROOMY = {"df": "echo h; echo / 1 1 9999999 1% /"}
BOOTSTRAP = Path(__file__).resolve().parent.parent / "docker" / "bootstrap.sh"


@pytest.mark.parametrize("words", ["0", "-1", "65536", "99999", "8o80", "", "٣"])
def test_what_is_no_port(words):
    with pytest.raises(argparse.ArgumentTypeError, match="1 to 65535"):
        preflight.port(words)


def test_ports_from_first_to_last():
    assert [preflight.port(words) for words in ("1", "65535")] == [1, 65535]


def test_the_first_free_port_of_a_range_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert preflight.first_free(range(port, port + 1)) != port


def test_a_port_that_cannot_be_had_is_not_said_to_be_in_use(monkeypatch):
    def bind(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(CannotStart, match="Port 80 cannot be had: Permission denied"):
        free_port(80)


class TestRoom:
    def test_the_folder_is_made(self, tmp_path):
        preflight.room(tmp_path / "deep" / "data")
        assert (tmp_path / "deep" / "data").is_dir()

    def test_a_full_disk_is_told_with_what_is_free_and_what_to_do(
        self, tmp_path, monkeypatch
    ):
        usage = shutil.disk_usage(tmp_path)._replace(free=123 << 20)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(CannotStart, match=r"123 MB are free.*OSTEON_DATA"):
            preflight.room(tmp_path)

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(CannotStart, match=r"Not a directory.*OSTEON_DATA"):
            preflight.room(tmp_path / "file" / "data")

    def test_a_folder_of_somebody_else(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may everything
        with pytest.raises(CannotStart, match=r"not yours.*OSTEON_DATA"):
            preflight.room(tmp_path)


class TestServers:
    def test_who_asks_for_one_that_is_missing_is_told_how_to_get_it(self, monkeypatch):
        monkeypatch.setenv("OSTEON_PACS", "orthanc")
        monkeypatch.setattr(preflight.processes, "program", lambda _: None)
        with pytest.raises(CannotStart, match=r"apt-get install orthanc.*unset"):
            preflight.wanted("OSTEON_PACS", "orthanc", "Orthanc")

    @pytest.mark.parametrize(
        ("asked", "here", "taken"),
        [("", "there", True), ("", None, False), ("embedded", "there", False)],
    )
    def test_the_real_one_serves_where_it_is(self, asked, here, taken, monkeypatch):
        monkeypatch.setenv("OSTEON_PACS", asked)
        monkeypatch.setattr(preflight.processes, "program", lambda _: here)
        assert preflight.wanted("OSTEON_PACS", "orthanc", "Orthanc") is taken


class TestAssociation:
    @pytest.fixture(autouse=True)
    def nothing_set(self, monkeypatch):
        for name in ("ACCEPTED_AETS", "AET", "MAX_ASSOCIATIONS", "MAX_PDU", "TIMEOUT"):
            monkeypatch.delenv(f"DICOM_{name}", raising=False)

    def test_unset_changes_nothing(self):
        assert preflight.association() == {} and preflight.accepted() == []

    def test_limits_in_orthancs_words(self, monkeypatch):
        for name, value in (
            ("AET", "WARD"),
            ("MAX_ASSOCIATIONS", "3"),
            ("MAX_PDU", "16384"),
            ("TIMEOUT", "7"),
        ):
            monkeypatch.setenv(f"DICOM_{name}", value)
        assert preflight.association() == {
            "DicomAet": "WARD",
            "DicomThreadsCount": 3,
            "MaximumPduLength": 16384,
            "DicomScpTimeout": 7,
        }

    def test_only_named_titles_may_store(self, monkeypatch):
        monkeypatch.setenv("DICOM_ACCEPTED_AETS", "SCANNER, CR2,")
        found = preflight.association()
        assert preflight.accepted() == ["SCANNER", "CR2"]
        assert found["DicomAlwaysAllowStore"] is False
        assert found["DicomModalities"].keys() == {"SCANNER", "CR2"}

    def test_what_is_no_number(self, monkeypatch):
        monkeypatch.setenv("DICOM_TIMEOUT", "soon")
        with pytest.raises(CannotStart, match="DICOM_TIMEOUT=soon is no whole number"):
            preflight.association()


class TestBootstrap:
    """docker/bootstrap.sh in an empty folder, with programs of our own."""

    @pytest.fixture
    def said(self, tmp_path):
        (tmp_path / "bin").mkdir()
        (tmp_path / "work").mkdir()

        def run(verb, programs):
            for name, script in programs.items():
                path = tmp_path / "bin" / name
                path.write_text(f"#!/bin/sh\n{script}\n")
                path.chmod(0o755)
            done = subprocess.run(
                ["bash", "-c", f"set -euo pipefail; source {BOOTSTRAP}; {verb}"],
                cwd=tmp_path / "work",
                env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
                capture_output=True,
                text=True,
            )
            return done.returncode, done.stderr

        return run

    def test_another_python(self, said):
        others = {"python3.11": "exit 1", "python3": "exit 1"}
        rc, words = said("find_python", others)
        assert rc == 1 and "needs Python 3.11" in words and "apt-get install" in words

    def test_no_disk(self, said):
        rc, words = said("enough_disk", {"df": "echo h; echo / 1 1 1048576 1% /"})
        assert rc == 1 and "1024 MB are free" in words and "Make room" in words

    def test_enough_disk(self, said):
        assert said("enough_disk", ROOMY) == (0, "")

    def test_a_folder_of_somebody_else(self, said, tmp_path):
        (tmp_path / "work" / "var").write_text("a file where a folder should be")
        rc, words = said("bootstrap", {})
        assert rc == 1 and "choose a folder you own" in words

    def test_a_server_that_may_not_be_installed_is_done_without(self, said):
        quiet = "make_venv() { :; }; install_requirements() { :; }; "
        quiet += "build_frontend() { :; }; may_install() { return 1; }; "
        without = ROOMY | {"dpkg-query": "echo unknown"}
        rc, words = said(quiet + "bootstrap", without)
        assert rc == 0, words
        assert "using the embedded PACS" in words and "filesystem broker" in words
        rc, words = said(f"{quiet} export OSTEON_PACS=orthanc; bootstrap", without)
        assert rc == 0 and "embedded" not in words
