"""Tables that anybody can make again."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from inference.networks import ARCHS
from search.spaces import SPACES
from search.spaces.ofa import SMALLEST
from tests.clinic.factories import make_model, make_search
from tests.clinic.searched import boxes_of, draw
from tests.search import specks
from tests.search.test_proposals import model


@pytest.fixture(autouse=True)
def kept_elsewhere(settings, tmp_path):
    settings.DATA_ROOT = tmp_path


def test_ways_from_images_to_a_study_side_by_side(tmp_path):
    images = specks.folder(tmp_path / "images", 60)
    model, said = specks.model(tmp_path / "model"), StringIO()
    found = tmp_path / "found.json"
    call_command(
        "benchmark",
        *("aggregation", str(model), "--images", str(images)),
        *("--seeds", "3", "--json", str(found)),
        stdout=said,
    )
    rows = json.loads(found.read_text())
    assert [row["way"] for row in rows][-2:] == ["learned", "Aggregator, seed 3"]
    assert said.getvalue().count("\n") == len(rows) + 2
    assert {row["test"]["cases"] for row in rows} == {rows[0]["test"]["cases"]}


def test_a_folder_that_is_no_model_is_refused_in_words(tmp_path):
    images = specks.folder(tmp_path / "images", 40)
    with pytest.raises(CommandError, match=r"nothing: card\.json cannot be read"):
        call_command(
            *("benchmark", "aggregation", str(tmp_path / "nothing")),
            *("--images", str(images)),
        )


def of_patches(tmp_path, *names):
    images = draw(tmp_path / "images")
    found, said = tmp_path / "found.json", StringIO()
    detector = tmp_path / "detector.json"
    call_command(
        *("benchmark", "search", *names, "--images", str(images)),
        *("--patches", str(boxes_of(images, detector)), "--json", str(found)),
        *("--size", "32", "32", "--epochs", "1", "--seeds", "0", "--batch", "4"),
        stdout=said,
    )
    return json.loads(found.read_text()), said.getvalue()


@pytest.mark.timeout(300)
def test_networks_on_the_same_patches_among_them_a_searchs_winner(
    tmp_path, administrator, settings
):
    job, served = make_search(administrator), tmp_path / "models" / make_model().folder
    settings.MODEL_ROOT = served.parent
    model(served, ARCHS["squeezenet"])
    space = SPACES[job.parameters["space"]]
    job.trials.filter(number=0).update(
        state="done", values=[0.5], architecture=space.to_json(SMALLEST)
    )
    file = tmp_path / "best.json"
    file.write_text(json.dumps(SPACES["ofa-1.2"].to_json(SMALLEST)))
    names = str(job.pk), str(file)
    (sides, first, second, beside, proposer), table = of_patches(tmp_path, *names)
    assert first["network"] == f"search {job.pk}"
    assert first["parameters"] == space.parameters(SMALLEST)
    assert second["parameters"] == SPACES["ofa-1.2"].parameters(SMALLEST)
    assert (first["less"], proposer["parameters"]) == (None, None)
    assert (beside["network"], beside["madds"]) == ("in service", None)
    assert beside["parameters"] > 0 and "| in service" in table
    assert sides["proposals"]["test"]["by_study"] == 1
    assert f"| less search {job.pk}" in table


@pytest.mark.parametrize(
    ("name", "words"),
    [("vgg", "no network vgg: resnet18"), ("7", "Search 7 has no candidate")],
)
@pytest.mark.django_db
def test_networks_that_are_not_known_are_refused_in_words(tmp_path, name, words):
    with pytest.raises(CommandError, match=words):
        of_patches(tmp_path, name)
