"""A tree becomes a data set; a build that is killed loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.preprocess import Recipe
from search import dataset
from search.build import BuildRefused, build
from search.data import examples
from search.demographics import rows_of, summary
from search.samples import prepare
from tests.search.archive import content, fill, radiograph, save

ROOT = Path(__file__).resolve().parents[2]
SALT = b"salt"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """12 people, two views each; a note, a CT and a damaged file beside them."""
    folder = tmp_path_factory.mktemp("archive")
    fill(folder / "in", 12)
    (folder / "in" / "note.txt").write_text("no image")
    save(radiograph("P1", 1, 9, Modality="CT"), folder / "in" / "ct")
    whole = save(radiograph("P2", 1, 9), folder / "in" / "cut").read_bytes()
    (folder / "in" / "cut").write_bytes(whole[:-1000])
    rows = [f"AP{i}1,{i % 2}" for i in range(11)]
    (folder / "labels.csv").write_text("\n".join(["study,label", *rows]))
    return folder


def made(archive, out, **options):
    options = {"labels": archive / "labels.csv", "jobs": 2} | options
    return build(archive / "in", out, salt=SALT, **options)


@pytest.fixture(scope="module")
def built(archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    return out, made(archive, out)


def test_the_report_accounts_for_every_file(built):
    out, found = built
    told = json.loads((out / "report.json").read_text())
    assert told == found.report
    assert (told["files"], told["images"]) == (27, 24)
    assert (told["studies"], told["patients"]) == (12, 12)
    assert (told["fractured"], told["not_fractured"]) == (10, 12)
    assert told["without_label"] == 2
    counted = {code: entry["files"] for code, entry in told["dropped"].items()}
    assert sum(counted.values()) == 3
    assert {"not_dicom", "not_a_radiograph"} < set(counted)
    assert {file for file, _ in found.dropped} == {"note.txt", "ct", "cut"}
    words = (out / "report.txt").read_text()
    assert "24 images of 12 studies and 12 patients" in words
    assert "3 of 27 files dropped" in words


def test_it_can_be_trained_on(built, tmp_path):
    found = examples(built[0])
    assert len(found) == 22
    assert {e.part for e in found} == {"wrist"}
    samples, reasons = prepare(found, Recipe(width=48, height=64), tmp_path)
    assert len(samples) >= 22
    assert not reasons


def test_it_tells_who_is_in_it(built):
    out, _ = built
    told = json.loads((out / "demographics.json").read_text())
    assert told == json.loads(json.dumps(summary(rows_of(out))))
    assert told["images"] == 24
    assert (out / "demographics.html").exists()


def test_one_process_makes_the_same(built, archive, tmp_path):
    out = tmp_path / "out"
    assert made(archive, out, jobs=1).digest == built[1].digest
    assert content(out) == content(built[0])


def test_again_does_nothing_and_says_the_same(built, archive):
    before = content(built[0])
    assert made(archive, built[0]) == built[1]
    assert content(built[0]) == before


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_killed_build_goes_on_and_ends_in_the_same_bytes(tmp_path):
    """SIGKILL, so that nothing can be tidied up."""
    count = 120
    source = fill(tmp_path / "in", count)
    environment = os.environ | {"OSTEON_DATA": str(tmp_path / "var")}

    def command(out):
        verb = [sys.executable, "manage.py", "dataset", "build", source, tmp_path / out]
        return [*map(str, verb), "--jobs", "2"]

    process = subprocess.Popen(command("killed/out"), cwd=ROOT, env=environment)
    studies = tmp_path / "killed" / "out" / dataset.STUDIES
    while not studies.exists() or len(list(studies.iterdir())) < 5:
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.002)
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(workers) >= 2
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/exe").exists() for pid in workers):
        assert time.monotonic() < until, "a worker outlived its build"
        time.sleep(0.05)
    whole = len(list(studies.iterdir()))
    assert 5 <= whole < count
    assert not (studies.parent / dataset.MANIFEST).exists()
    kept = {path: path.stat().st_mtime_ns for path in studies.glob("*/study.json")}

    subprocess.run(command("killed/out"), cwd=ROOT, env=environment, check=True)
    subprocess.run(command("whole/out"), cwd=ROOT, env=environment, check=True)
    assert content(tmp_path / "killed/out") == content(tmp_path / "whole/out")
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def test_a_frozen_data_set_does_not_grow(built, archive):
    more = save(radiograph("P20", 1), archive / "in" / "more")
    try:
        with pytest.raises(BuildRefused, match="is frozen and the source has changed"):
            made(archive, built[0])
    finally:
        more.unlink()


def test_patients_stay_on_their_side_as_data_grow(built, archive, tmp_path):
    more = fill(archive / "in" / "later", 30, views=1)
    try:
        grown = tmp_path / "out"
        made(archive, grown, labels=None)
    finally:
        for path in more.rglob("*"):
            if path.is_file():
                path.unlink()
    rows = list(dataset.all_rows(grown))
    assert len({row["patient"] for row in rows}) == 30
    before = {e.image.name: e.patient for e in examples(built[0])}
    after = {Path(row["image"]).name: row["patient"] for row in rows}
    assert all(after[image] == patient for image, patient in before.items())


@pytest.mark.parametrize(
    ("options", "word"),
    [({"scope": "all"}, "scope"), ({"labels": None}, "labels")],
)
def test_a_build_is_not_gone_on_with_in_another_way(built, archive, options, word):
    with pytest.raises(BuildRefused, match=f"begun with another {word}"):
        made(archive, built[0], **options)


def test_another_salt_is_refused(built, archive):
    labels = archive / "labels.csv"
    with pytest.raises(BuildRefused, match="another salt"):
        build(archive / "in", built[0], salt=b"other", labels=labels, jobs=1)


def test_a_folder_with_something_else_in_it_is_left_alone(archive, tmp_path):
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(BuildRefused, match=r"holds something else: thesis\.doc"):
        made(archive, tmp_path)
    with pytest.raises(BuildRefused, match="lies in the source"):
        made(archive, archive / "in" / "out")
    with pytest.raises(BuildRefused, match="is not a folder"):
        build(tmp_path / "none", tmp_path / "out", salt=SALT)


@pytest.mark.parametrize("text", ["[]", "3", "{", "", "[" * 60_000], ids=len)
def test_options_that_are_none_are_refused_in_words(archive, tmp_path, text):
    (tmp_path / "options.json").write_text(text)
    with pytest.raises(BuildRefused, match="is not what a build wrote"):
        made(archive, tmp_path)


@pytest.mark.parametrize("name", [None, "notes.txt", ".hidden"])
def test_a_source_without_an_image_makes_no_data_set(tmp_path, name):
    (tmp_path / "in").mkdir()
    if name:
        (tmp_path / "in" / name).write_text("x")
    with pytest.raises(BuildRefused, match="No image was taken") as refused:
        build(tmp_path / "in", tmp_path / "out", salt=SALT, jobs=1)
    assert not (tmp_path / "out" / dataset.MANIFEST).exists()
    why = {None: "0 of 0 files", "notes.txt": "1 not_dicom", ".hidden": "1 hidden"}
    assert why[name] in str(refused.value)


def test_nothing_is_left_out_in_silence(tmp_path):
    """Links, hidden files, images of nobody, rows of the table that meet no image."""
    source = fill(tmp_path / "in", 2, views=1)
    save(radiograph("X", 1, PatientID=""), source / "nobody.dcm")
    (source / ".hidden").write_text("x")
    (source / "linked.dcm").symlink_to(source / "nobody.dcm")
    labels = tmp_path / "labels.csv"
    labels.write_text("study,label\nAP01,1\nAP99,0\nAP11,0\nAX1,1\n")
    options = {"salt": SALT, "labels": labels, "jobs": 1}
    found = build(source, tmp_path / "out", **options)
    assert dict(found.dropped) == {
        ".hidden": "hidden",
        "linked.dcm": "link",
        "nobody.dcm": "no_patient",
    }
    assert found.report["files"] == 5
    assert found.report["table"] == {"rows": 4, "idle": 2, "lines": [3, 5]}
    words = (tmp_path / "out" / "report.txt").read_text()
    assert (
        "2 of 4 rows of the table say nothing of an image that was taken: line 3, 5."
        in words
    )
    assert build(source, tmp_path / "out", **options) == found
    everybody = build(source, tmp_path / "all", unnamed=True, **options)
    assert everybody.report["images"] == 3
    assert everybody.report["table"]["lines"] == [3]
    with pytest.raises(BuildRefused, match="begun with another unnamed"):
        build(source, tmp_path / "out", unnamed=True, **options)


def test_a_build_that_was_killed_at_its_very_first_file_goes_on(tmp_path):
    source, out = fill(tmp_path / "in", 1), tmp_path / "out"
    out.mkdir()
    (out / ".options.json.part").write_text('{"scope')
    assert build(source, out, salt=SALT, jobs=1).report["images"] == 2
    assert not (out / ".options.json.part").exists()


def test_one_build_at_a_time(archive, tmp_path):
    import fcntl

    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BuildRefused, match="Another build is at work"):
            made(archive, tmp_path)


def test_what_cannot_be_written_is_tried_again(tmp_path):
    source = fill(tmp_path / "in", 2, views=1)
    out = tmp_path / "out"
    assert build(source, out, salt=SALT, jobs=1).report["images"] == 2
    for path in (out / dataset.MANIFEST, out / dataset.STUDIES):
        path.rename(tmp_path / path.name)
    in_the_way = out / ".partial"
    in_the_way.touch()  # no study can be written
    with pytest.raises(BuildRefused, match="could not be fetched or written"):
        build(source, out, salt=SALT, jobs=1)
    in_the_way.unlink()
    assert build(source, out, salt=SALT, jobs=1).report["images"] == 2


def test_plain_pictures_with_a_table(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 30), np.uint8)
    rows = ["image,label,study,patient,boxes"]
    for i in range(4):
        cv2.imwrite(str(source / f"{i}.png"), np.roll(noise, i))
        boxes = '"[[1, 2, 3, 4]]"' if i == 1 else ""
        rows.append(f"{i}.png,{i % 2},s{i // 2},p{i // 2},{boxes}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    build(source, out, salt=SALT, labels=tmp_path / "labels.csv", jobs=1)
    found = examples(out)
    assert sorted(e.label for e in found) == [0, 0, 1, 1]
    assert len({e.study for e in found}) == len({e.patient for e in found}) == 2
    assert [e.boxes for e in found if e.boxes] == [((1, 2, 3, 4),)]


def test_real_files_of_every_kind(sample_data, tmp_path):
    found = build(sample_data / "dicom", tmp_path / "out", salt=SALT, scope="all")
    told = found.report
    dropped = sum(entry["files"] for entry in told["dropped"].values())
    assert told["files"] == told["images"] + dropped > 250
    assert told["images"] > 20
