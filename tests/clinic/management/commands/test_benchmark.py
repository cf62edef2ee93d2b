"""Tables that anybody can make again."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.search import specks


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
    images = specks.folder(tmp_path / "images", 8)
    with pytest.raises(CommandError, match=r"nothing: spec\.json cannot be read"):
        call_command(
            *("benchmark", "aggregation", str(tmp_path / "nothing")),
            *("--images", str(images)),
        )
