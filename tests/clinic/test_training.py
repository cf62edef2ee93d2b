"""`manage.py train`: from a folder of radiographs to an artifact on disk."""

import csv
import json

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from clinic import training
from inference import artifact
from inference.phantom import phantom


@pytest.fixture
def images(tmp_path):
    """24 phantoms of 24 patients, half of them fractured."""
    folder = tmp_path / "phantoms"
    folder.mkdir()
    with (folder / "examples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "study", "patient", "boxes"])
        for seed in range(24):
            made = phantom(seed, fractured=seed % 2 == 0, rows=256, columns=200)
            pixels = (made.pixels >> 4).astype(np.uint8)
            cv2.imwrite(str(folder / f"{seed}.png"), pixels)
            boxes = json.dumps([made.box] if made.box else [])
            writer.writerow([f"{seed}.png", (seed + 1) % 2, seed, seed, boxes])
    return folder


@pytest.fixture
def data_root(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"


def train(images, out, *more):
    call_command(
        "train", "--network", "rx-lite", "--images", images, "--out", out, *more
    )


def test_a_folder_of_phantoms_becomes_an_artifact(images, tmp_path, data_root, capsys):
    train(images, tmp_path / "model", "--epochs", "1", "--seed", "3")
    said = json.loads(capsys.readouterr().out)
    assert said["digest"] == artifact.digest(tmp_path / "model")
    card = artifact.load_card(tmp_path / "model")
    assert card["plan"]["seed"] == 3
    assert said["test"]["cases"] == len(card["test_images"]) > 0
    assert artifact.load_spec(tmp_path / "model").name == "rx-lite"


def test_a_folder_without_examples_is_refused_in_a_sentence(tmp_path, data_root):
    with pytest.raises(CommandError, match=r"examples\.csv"):
        train(tmp_path, tmp_path / "model")


def test_epochs_must_match_the_stages_of_the_plan(images, tmp_path, data_root):
    with pytest.raises(CommandError, match="1 stage"):
        train(images, tmp_path / "model", "--epochs", "1", "1")


@pytest.mark.parametrize("network", ["resnet18", "rx-lite"])
class TestEveryShippedModel:
    def test_is_whole_and_of_the_family_its_plan_trains(self, network, settings):
        folder = settings.SHIPPED_MODELS / network
        spec = artifact.load_spec(folder, artifact.digest(folder))
        artifact.load_network(folder)
        assert spec.name == network
        assert spec.arch.family == training.plan(network=network).arch.family

    def test_has_a_card_that_names_data_licence_and_who_was_never_seen(
        self, network, settings
    ):
        card = artifact.load_card(settings.SHIPPED_MODELS / network)
        assert card["data"]["licence"] == "CC BY 4.0"
        sides = {side: set(p["patients"]) for side, p in card["parts"].items()}
        assert not sides["test"] & (sides["training"] | sides["validation"])
        assert len(card["test_images"]) == card["test"]["cases"] > 100
        assert card["test"]["auroc"]["low"] < card["test"]["auroc"]["value"]


def test_what_goes_on_from_an_artifact_keeps_its_architecture(settings):
    folder = settings.SHIPPED_MODELS / "rx-lite"
    plan = training.plan(network="rx-lite", epochs=[3], rate=1e-4, start=folder)
    assert plan.arch == artifact.load_spec(folder).arch
    assert [(stage.epochs, stage.rate) for stage in plan.stages] == [(3, 1e-4)]
