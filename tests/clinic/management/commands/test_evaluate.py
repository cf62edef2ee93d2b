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
    assert f"AUROC {found['instance']['auroc']['value']:.3f}" in told


def test_labels_without_a_label_are_refused_in_a_sentence(folder, tmp_path):
    (folder / "labels.csv").write_text("image\n0.png\n")
    with pytest.raises(CommandError, match="no column 'label'"):
        evaluate(folder, None)
