"""The command prints what was measured, and writes it as JSON."""

import json

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from inference.phantom import phantom


def evaluate(folder, out, *arguments):
    call_command(
        "evaluate",
        "--model=rx-lite",
        f"--images={folder / 'images'}",
        f"--labels={folder / 'labels.csv'}",
        *arguments,
        stdout=out,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    lines = ["image,label"]
    for seed in range(2):
        made = phantom(seed, fractured=bool(seed), rows=256, columns=200)
        path = tmp_path / "images" / f"{seed}.png"
        cv2.imwrite(str(path), (made.pixels >> 4).astype(np.uint8))
        lines.append(f"{seed}.png,{seed}")
    (tmp_path / "labels.csv").write_text("\n".join([*lines, "gone.png,0"]))
    return tmp_path


def test_it_tells_and_writes_what_it_measured(folder, tmp_path, capsys):
    with (tmp_path / "said.txt").open("w") as said:
        evaluate(folder, said, f"--json={tmp_path / 'out.json'}")
    told = (tmp_path / "said.txt").read_text()
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["images"]["read"] == 2
    assert found["instance"]["fractured"] == 1
    assert "2 of 3 images were read" in told
    assert "    gone.png: No such file." in told
    assert found["studies_left_to_people"] == {"fractured": 0, "sound": 1}
    assert (
        "studies left to people, in no figure below: 1 (0 fractured, 1 sound)" in told
    )
    assert f"AUROC {found['instance']['auroc']['value']:.3f}" in told


def test_labels_without_a_label_are_refused_in_a_sentence(folder, tmp_path):
    (folder / "labels.csv").write_text("image\n0.png\n")
    with pytest.raises(CommandError, match="no column 'label'"):
        evaluate(folder, None)


def test_help_says_where_the_learned_aggregation_is_measured(capsys):
    with pytest.raises(SystemExit):
        call_command("evaluate", "--help")
    told = " ".join(capsys.readouterr().out.split())
    assert "learned aggregation has to be fitted" in told
    assert "`benchmark aggregation`" in told


def test_only_so_many_unread_files_are_named(folder, capsys):
    with (folder / "labels.csv").open("a") as file:
        file.writelines(f"\ngone{n}.png,0" for n in range(24))
    with (folder / "said.txt").open("w") as said:
        evaluate(folder, said)
    told = (folder / "said.txt").read_text()
    assert told.count("No such file.") == 20
    assert "… and 5 more" in told


def test_one_class_alone_is_said_to_tell_nothing_of_the_other(folder):
    (folder / "labels.csv").write_text("image,label\n1.png,1\n")
    with (folder / "said.txt").open("w") as said:
        evaluate(folder, said, f"--json={folder / 'out.json'}")
    told = (folder / "said.txt").read_text()
    assert "AUROC not measurable" in told and "specificity not measurable" in told
    assert json.loads((folder / "out.json").read_text())["instance"]["auroc"] is None


def test_an_answer_that_cannot_be_written_is_refused_before_anything_is_read(
    folder, monkeypatch
):
    monkeypatch.setattr("clinic.training.examine", None)
    with pytest.raises(CommandError, match="there is no folder"):
        evaluate(folder, None, f"--json={folder / 'no' / 'out.json'}")
