"""Whoever judges a model has not been met by it, wherever figures are measured."""

import json
from dataclasses import asdict

import pytest
import torch

from search import aggregation, contest, data, dataset
from search.heirs import Heirs
from search.leaks import refuse_known
from search.lineup import Lineup
from search.parts import Parts
from search.recalibrate import recalibrate
from search.run import run
from search.spaces import SPACES
from search.supernet import Supernet
from search.supernet_file import save
from search.trainee import Plan, Stage
from tests.search import specks
from tests.search.test_run import changed

PLAN = Plan(specks.TINY, (Stage(1, 1.0, True, 1e-3),), specks.RECIPE, batch=8)


def marked(row):
    row["boxes"] = "[[8, 8, 6, 6]]" if row["label"] == "1" else "[]"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Specks, and somewhere in each image that shows one a mark."""
    room = tmp_path_factory.mktemp("leaks")
    folder = changed(specks.folder(room / "bare", 40), room / "specks", marked)
    dataset.write_salt(folder, "ours")
    return folder


@pytest.fixture(scope="module")
def judged(images):
    return Parts.of(data.examples(images)).test


def met(*patients, salts=("ours",)):
    before = {"patients": [*patients], "unnamed": []}
    return {"learnt_before": before, "salts": [*salts]}


def made(images, room, **sources):
    return run("x", PLAN, images, room / "out", room, **sources)


HOW = {
    "goes on": lambda m, images, room: made(images, room, start=m),
    "is taught": lambda m, images, room: made(images, room, teacher=m),
    "is calibrated": lambda m, images, room: recalibrate(m, images, room, room / "out"),
    "is measured": lambda m, images, room: next(contest.rows([m], images, room)),
    "is summed up": lambda m, images, room: next(
        aggregation.rows([m], images, room, [0])
    ),
    "proposes": lambda m, images, room: Lineup(images, m, room).sides,
    "is compared": lambda m, images, room: (
        Lineup(images, room / "results.json", room, served=m).sides
    ),
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_an_artifact_that_has_met_who_judges_is_refused(how, images, judged, tmp_path):
    model = specks.model(tmp_path / "model")
    card = met("somebody", judged[0].patient)
    (model / "card.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match=r"^model has met 1 of the \d+ patients"):
        how(model, images, tmp_path)


def test_a_supernet_that_has_met_who_judges_is_refused(images, judged, tmp_path):
    source = {"images": "theirs", "patients": [judged[0].patient], "salts": ["ours"]}
    source["plan"] = {"recipe": asdict(specks.RECIPE)}
    torch.manual_seed(0)
    save(tmp_path / "net", Supernet(SPACES["ofa-1.0"], mean=0.1, std=0.5), source)
    with pytest.raises(ValueError, match=r"^net has met 1 of the \d+ patients"):
        _ = Heirs(tmp_path / "net", images, tmp_path).parts


def test_a_few_of_many_are_named(images, judged):
    everybody = sorted({example.patient for example in judged})
    with pytest.raises(ValueError, match="has met") as refused:
        refuse_known("tiny", met(*everybody), judged, images)
    assert f"({', '.join(everybody[:3])}, …)" in str(refused.value)
    count = len(everybody)
    assert f"met {count} of the {count} patients" in str(refused.value)


def test_who_names_patients_by_another_salt_is_refused_where_there_is_one(
    images, judged, tmp_path
):
    with pytest.raises(ValueError, match="another pseudonym_salt than specks"):
        refuse_known("tiny", met(salts=["theirs"]), judged, images)
    by_people = specks.folder(tmp_path / "by people", 40)
    refuse_known("tiny", met(salts=["theirs"]), judged, by_people)


def test_who_has_met_others_alone_may_be_judged(images, judged):
    parts = Parts.of(data.examples(images))
    others = {example.patient for example in parts.training}
    refuse_known("tiny", met(*others), judged, images)
    refuse_known("published", {}, judged, images)
