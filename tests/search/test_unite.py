"""A committee out of artifacts: who may sit in it, and what its card says."""

import json
from dataclasses import replace

import pytest
import torch

from inference import artifact
from inference.networks import Arch
from search import dataset
from search.run import run
from search.trainee import Plan, Stage
from search.unite import unite
from tests.search.test_run import RECIPE, folder_of_phantoms

ARCH = Arch("squeezenet", (("attention", 0.5), ("dropout", 0.3), ("stride", 8)))
PLAN = Plan(ARCH, (Stage(1, 1.0, True, 1e-4),), RECIPE, batch=8)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Two members of one kind, and a stranger of another."""
    room = tmp_path_factory.mktemp("unite")
    images = folder_of_phantoms(room / "phantoms", 40)
    dataset.write_salt(images, "mark")
    stranger = replace(PLAN, seed=2, arch=Arch("squeezenet", (("dropout", 0.3),)))
    for plan in PLAN, replace(PLAN, seed=1), stranger:
        run("one", plan, images, room / f"seed{plan.seed}", room / "work")
    return room


def united(room, *names, images="phantoms"):
    members = [room / name for name in names]
    return unite("board", members, room / images, room / "work", room / "board")


def test_it_reads_as_its_members_do_on_average_and_names_them(room):
    verdict = united(room, "seed0", "seed1")
    spec = artifact.load_spec(room / "board", verdict.digest)
    options = (("attention", 0.5), ("members", 2), ("stride", 8))
    assert spec.arch == Arch("committee", options)
    views = torch.randn(4, 1, RECIPE.height, RECIPE.width)
    one, two, board = (
        artifact.load_network(room / name)(views)
        for name in ("seed0", "seed1", "board")
    )
    assert torch.allclose(board, (one + two) / 2, atol=2e-3)  # half precision
    card = artifact.load_card(room / "board")
    digests = {artifact.digest(room / f"seed{seed}"): seed for seed in (0, 1)}
    assert card["members"] == digests
    assert card["plan"]["seeds"] == [0, 1]
    assert card["histories"] == {
        artifact.digest(room / name): artifact.load_card(room / name)["history"]
        for name in ("seed0", "seed1")
    }
    learnt = {*card["parts"]["training"]["patients"]}
    assert learnt < {*card["learnt_before"]["patients"]}
    assert card["salts"] == ["mark"]
    assert card["test"]["cases"] == verdict.report.cases == len(card["test_images"])
    assert set(card["parts"]["test"]["patients"]) == {
        case["patient"] for case in card["holdout"]["cases"]
    }


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("seed0", "seed2"), "SqueezeNets of one kind"),
        (("seed0", "seed0"), "seed 0 has a seat already"),
    ],
)
def test_who_does_not_belong_is_refused(room, names, words):
    with pytest.raises(ValueError, match=words):
        united(room, *names)


def test_members_whose_cards_do_not_say_how_they_were_trained_are_refused(room):
    spec = artifact.load_spec(room / "seed1")
    state = artifact.load_network(room / "seed1").state_dict()
    for lacking in "plan", "data":
        card = artifact.load_card(room / "seed1")
        del card[lacking]
        artifact.save(room / "silent", spec, state, card)
        with pytest.raises(ValueError, match="does not say how it was trained"):
            united(room, "seed0", "silent")


def test_members_that_learnt_from_other_data_are_refused(room):
    folder_of_phantoms(room / "others", 39)
    with pytest.raises(ValueError, match="trained on other data"):
        united(room, "seed0", "seed1", images="others")


def test_members_that_have_met_who_judges_are_refused(room):
    spec = artifact.load_spec(room / "seed1")
    state = artifact.load_network(room / "seed1").state_dict()
    card = artifact.load_card(room / "seed1")
    patients = card["parts"]["test"]["patients"]
    card["learnt_before"] = {"patients": patients[:1], "unnamed": []}
    artifact.save(room / "taught", spec, state, card)
    with pytest.raises(ValueError, match="taught has met 1 of"):
        united(room, "seed0", "taught")


def test_members_that_look_at_other_views_are_refused(room):
    spec = artifact.load_spec(room / "seed1")
    changed = replace(spec, recipe=replace(spec.recipe, mean=0.5))
    state = artifact.load_network(room / "seed1").state_dict()
    card = json.loads(json.dumps(artifact.load_card(room / "seed1")))
    artifact.save(room / "other", changed, state, card)
    with pytest.raises(ValueError, match="looks at other views"):
        united(room, "seed0", "other")
