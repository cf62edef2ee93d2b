"""An artifact gets new operating points and limits, and keeps its weights."""

import json

import pytest
import torch

from inference import artifact
from search import dataset, holdout, pointing
from search.data import examples
from search.parts import Parts
from search.recalibrate import recalibrate
from search.run import run
from tests.search.test_run import PLAN, changed, folder_of_phantoms


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    room = tmp_path_factory.mktemp("recalibrate")
    images = folder_of_phantoms(room / "phantoms", 40)
    run("tiny", PLAN, images, room / "tiny", room / "work")
    return room, images


def spoilt(room):
    """As if it had never been calibrated."""
    spec = json.loads((room / "tiny" / "spec.json").read_text())
    spec |= {"threshold": 0.999, "confident": 1.0, "temperature": 7.0}
    spec["limits"] = dict.fromkeys(spec["limits"], 0.0)
    return spec


def test_what_training_chose_is_chosen_again(made, monkeypatch):
    room, images = made
    wanted = artifact.load_spec(room / "tiny")
    (room / "old").mkdir()
    for name in ("weights.safetensors", "card.json"):
        (room / "old" / name).write_bytes((room / "tiny" / name).read_bytes())
    (room / "old" / "spec.json").write_text(json.dumps(spoilt(room)))
    verdict = recalibrate(room / "old", images, room / "work", room / "new")
    found = artifact.load_spec(room / "new", verdict.digest)
    for name in ("threshold", "confident", "temperature"):
        near = pytest.approx(getattr(wanted, name), abs=0.02)
        assert getattr(found, name) == near, name
    assert vars(found.limits) == pytest.approx(vars(wanted.limits), abs=0.05)
    assert found.limits.unlike > 0 and found.limits.contrast > 0
    before = artifact.load_network(room / "tiny").state_dict()
    after = artifact.load_network(room / "new").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    card = artifact.load_card(room / "new")
    assert card["plan"]["seed"] == 0  # what only the training knew
    assert card["test"]["cases"] == verdict.report.cases


def test_the_uncertain_are_left_to_people_if_asked_for(made):
    room, images = made
    asked = (0.0, 1.0)
    recalibrate(room / "tiny", images, room / "work", room / "unsure", asked)
    limits = artifact.load_spec(room / "unsure").limits
    assert (limits.uncertain_from, limits.uncertain_to) == asked
    told = artifact.load_card(room / "unsure")["abstentions"]
    assert sum(told.values()) == 2 * told["images"]


def test_the_pointing_game_is_played_again_only_if_other_images_or_peaks_count(
    made, monkeypatch
):
    room, images = made
    games = []
    play = pointing.card
    monkeypatch.setattr(pointing, "card", lambda *a: games.append(a) or play(*a))
    recalibrate(room / "tiny", images, room / "work", room / "same")
    recalibrate(room / "same", images, room / "work", room / "again")
    first = len(games)
    card = artifact.load_card(room / "again")
    for told, what in (
        (card["pointing"]["lrp"], "flagged"),
        (card["pointing"], "finger"),
    ):
        was = told[what]
        told[what] = 2 * was + 1
        (room / "again" / "card.json").write_text(json.dumps(card))
        recalibrate(room / "again", images, room / "work", room / "other")
        told[what] = was
    assert len(games) == first + 2 and first < 2


def renamed(row):
    row["patient"] = f"other {row['patient']}"


def test_whom_the_weights_learnt_from_stays_known_wherever_they_are_calibrated(
    made, tmp_path
):
    room, images = made
    others = changed(images, tmp_path / "others", renamed)
    dataset.write_salt(others, "theirs")
    recalibrate(room / "tiny", others, tmp_path, tmp_path / "there")
    before = artifact.load_card(room / "tiny")
    there = artifact.load_card(tmp_path / "there")
    assert there["data"] == before["data"] != there["calibrated_on"]
    assert there["parts"]["training"] == before["parts"]["training"]
    judged = {case["patient"] for case in there["holdout"]["cases"]}
    assert judged == {*there["parts"]["test"]["patients"]}
    assert all(patient.startswith("other") for patient in judged)
    assert "of others alone" in there["limits"]
    # A check for leaks refuses both: those of the training, and who chose the limits.
    met = {*there["learnt_before"]["patients"]}
    chose = Parts.of(examples(others))
    for side in ("training", "validation"):
        assert {*before["parts"][side]["patients"]} <= met
        assert {example.patient for example in getattr(chose, side)} <= met
    found = holdout.measured("tiny", 0.5, there, "alo")
    assert {*before["parts"]["training"]["patients"]} <= found.learnt_from
    # And back: it is calibrated on what it learnt from, and has met the others.
    recalibrate(tmp_path / "there", images, tmp_path, tmp_path / "back")
    back = artifact.load_card(tmp_path / "back")
    assert back["parts"] == before["parts"] and back["data"] == before["data"]
    assert back["calibrated_on"] == before["data"]
    assert {*back["learnt_before"]["patients"]} == met
    assert (before["salts"], there["salts"], back["salts"]) == (
        [],
        ["theirs"],
        ["theirs"],
    )


def test_a_model_that_does_not_name_its_patients_is_not_given_others(made, tmp_path):
    room, images = made
    spec = artifact.load_spec(room / "tiny")
    state = artifact.load_network(room / "tiny").state_dict()
    artifact.save(tmp_path / "silent", spec, state, {"name": "silent"})
    recalibrate(tmp_path / "silent", images, room / "work", tmp_path / "out")
    card = artifact.load_card(tmp_path / "out")
    assert "training" not in card["parts"]
    assert card["learnt_before"]["unnamed"] == ["silent"]
    assert holdout.measured("tiny", 0.5, card, "alo").learnt_from is None
