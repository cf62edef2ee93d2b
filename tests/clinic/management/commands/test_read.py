import json
import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command

from inference import artifact
from tests.inference import tiny

KEYS = ["path", "state", "code", "reason", "probability", "threshold", "flagged"]
KEYS += ["confident_from", "confident", "views", "milliseconds"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    root = tmp_path_factory.mktemp("shipped")
    tiny.save(root / configured.FIRST_MODEL)
    return root


@pytest.fixture(autouse=True)
def models(settings, shipped):
    settings.SHIPPED_MODELS = shipped


@pytest.fixture
def folder(tmp_path):
    """Two radiographs, a picture, and what else people keep beside them."""
    inside = tmp_path / "images"
    (inside / "b.dcm").mkdir(parents=True)
    first, second = tiny.images(1)
    (inside / "a.dcm").write_bytes(first)
    (inside / "b.dcm" / "z").write_bytes(second)
    (inside / "c.png").write_bytes(tiny.picture())
    (inside / "d.csv").write_text("image,label\na.dcm,1\n")
    (inside / "e.dcm").write_bytes(b"")
    (inside / "f.dcm").write_bytes(first[:-4000])
    os.mkfifo(inside / "g.dcm")
    (inside / "h").symlink_to(inside / "h")
    (inside / "i").symlink_to(tmp_path)
    (inside / "j.dcm").symlink_to(inside / "gone.dcm")
    return inside


def read(*arguments):
    out = StringIO()
    call_command("read", *map(str, arguments), stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_one_line_a_file_in_order_whatever_it_is(folder):
    lines = read(folder)
    told = {os.path.relpath(line["path"], folder): line for line in lines}
    assert {name: (line["state"], line["code"]) for name, line in told.items()} == {
        "a.dcm": ("read", ""),
        "b.dcm/z": ("read", ""),
        "c.png": ("read", ""),
        "d.csv": ("unreadable", "not_dicom"),
        "e.dcm": ("unreadable", "not_dicom"),
        "f.dcm": ("unreadable", "truncated"),
        "g.dcm": ("unreadable", "cannot_open"),
        "h": ("unreadable", "cannot_open"),
        "j.dcm": ("unreadable", "cannot_open"),
    }
    assert len(lines) == len(told) and list(told) == sorted(told)


def test_a_line_says_what_was_read_and_why_not(folder):
    good, *_, bad = read(folder / "a.dcm", folder / "f.dcm")
    assert list(good) == list(bad) == KEYS
    assert 0 <= good["probability"] <= 1 and good["threshold"] == 0.5
    assert good["flagged"] == (good["probability"] >= 0.5)
    assert good["probability"] == max(view["probability"] for view in good["views"])
    assert len(good["views"][0]["affine"]) == 2
    assert good["milliseconds"]["total"] > 0
    assert bad["probability"] is None and bad["views"] == []
    assert "cut short" in bad["reason"]


def test_a_file_named_twice_is_read_twice_and_a_missing_one_is_told(folder):
    first, again, missing = read(folder / "a.dcm", folder / "a.dcm", folder / "none")
    assert first["probability"] == again["probability"]
    assert missing["code"] == "cannot_open"
    assert "No such file" in missing["reason"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_what_may_not_be_opened_is_told(folder):
    (folder / "a.dcm").chmod(0)
    (folder / "b.dcm").chmod(0)
    lines = read(folder / "a.dcm", folder / "b.dcm")
    assert [line["code"] for line in lines] == ["cannot_open"] * 2


def test_names_in_no_known_encoding_are_printed(tmp_path):
    odd = os.path.join(os.fsencode(tmp_path), b"\xff\n.dcm")
    with open(odd, "wb") as file:
        file.write(tiny.images(1)[0])
    (line,) = read(tmp_path)
    assert os.fsencode(line["path"]) == odd and line["state"] == "read"


def test_the_scope_may_be_chosen(tmp_path):
    words = {"BodyPartExamined": "ELBOW", "StudyDescription": "Elbow"}
    (tmp_path / "a").write_bytes(tiny.images(1, **words)[0])
    assert read(tmp_path)[0]["state"] == "read"
    assert read(tmp_path, "--scope", "wrist")[0]["state"] == "not_ours"


class TestModels:
    def thresholds(self, folder, *wanted):
        return {read(folder / "a.dcm", "--model", w)[0]["threshold"] for w in wanted}

    def test_are_found_by_name_and_digest_shipped_or_registered(
        self, folder, shipped, settings
    ):
        spec = replace(tiny.SPEC, threshold=0.75)
        digest = tiny.save(settings.MODEL_ROOT / "other", spec)
        there = artifact.digest(shipped / settings.FIRST_MODEL)
        assert self.thresholds(folder, settings.FIRST_MODEL, there, there[:8]) == {0.5}
        assert self.thresholds(folder, "other", digest[:10]) == {0.75}

    def test_unknown_ones_are_told_with_those_there_are(self, folder):
        with pytest.raises(CommandError, match=rf"'vgg'.*{configured.FIRST_MODEL} \("):
            read(folder, "--model", "vgg")

    def test_what_fits_several_is_refused(self, folder, settings):
        tiny.save(settings.MODEL_ROOT / "o", replace(tiny.SPEC, threshold=0.75))
        with pytest.raises(CommandError, match="Several models begin with ''"):
            read(folder, "--model", "")

    def test_a_damaged_one_is_refused_in_words(self, folder, settings):
        tiny.save(settings.MODEL_ROOT / "other")
        (settings.MODEL_ROOT / "other" / "card.json").unlink()
        with pytest.raises(CommandError, match=r"card\.json cannot be read"):
            read(folder, "--model", "other")


def manage(tmp_path, *arguments, **options):
    env = os.environ | {
        "OSTEON_DATA": str(tmp_path / "data"),
        "OSTEON_MODELS": str(tmp_path / "models"),
        "DATABASE_URL": "sqlite:////nowhere/at/all.sqlite3",
    }
    command = [sys.executable, "manage.py", "read", "--model", "tiny", *arguments]
    return subprocess.Popen(
        command, cwd=configured.BASE_DIR, env=env, stdout=subprocess.PIPE, **options
    )


def test_neither_database_nor_pacs_is_needed(folder, tmp_path):
    tiny.save(tmp_path / "models" / "tiny")
    process = manage(tmp_path, str(folder / "a.dcm"), stderr=subprocess.PIPE)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["state"] == "read"


def test_it_ends_quietly_when_nobody_listens_any_more(folder, tmp_path):
    tiny.save(tmp_path / "models" / "tiny")
    many = [str(folder / "d.csv")] * 50
    process = manage(tmp_path, *many, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait() == 141 and b"Traceback" not in err and b"Broken" not in err
