"""A search as a document: what it says is what the rows say."""

import json
import re
from xml.etree import ElementTree

import pytest

from clinic import search_report, standings, trials
from clinic.trials import Outcome
from search.spaces import SPACES
from tests.clinic.factories import make_search

SVG = "{http://www.w3.org/2000/svg}"
pytestmark = pytest.mark.django_db


@pytest.fixture
def job(administrator):
    job = make_search(administrator, budget=2, workers=1, finals=1)
    job.parameters["evaluation"] = {
        "images": "/secret/place/hands",
        "objective": ["auroc", "madds"],
    }
    job.save()
    for score in (0.64, 0.71, 0.78):
        held = trials.claim(pk=job.trials.get(state="queued").pk)
        trials.finish(trial=held, outcome=Outcome([score], {"parameters": 2e6}))
        job.refresh_from_db()
    return job


def test_it_tells_the_terms_the_best_and_every_trial(job, tmp_path):
    text = search_report.write(job, tmp_path).read_text()
    best = job.trials.get(number=2)
    told = re.search("Trial 2, 0.780 on validation: `(.+)`", text)[1]
    assert json.loads(told) == best.architecture
    assert "* images: hands\n" in text and "secret" not in text
    assert f"* seed: {job.seed}\n" in text
    assert "* objective: auroc, madds\n" in text
    assert "None" not in text
    scores = re.findall(r"\| (0\.\d{3}) +\|", text)
    assert scores == ["0.640", "0.710", "0.780"]


def test_its_figures_draw_every_candidate_and_are_the_same_again(job, tmp_path):
    text = search_report.write(job, tmp_path).read_text()
    figures = re.findall(r"\]\((.+\.svg)\)", text)
    assert "trials.svg" in figures and len(figures) > 1
    for name in figures:
        drawn = (tmp_path / name).read_bytes()
        (candidates,) = ElementTree.fromstring(drawn).iterfind(
            f".//{SVG}g[@id='line-0']"
        )
        assert len(list(candidates.iter(f"{SVG}use"))) == 2
        search_report.write(job, tmp_path)
        assert (tmp_path / name).read_bytes() == drawn


def test_it_says_in_words_what_the_line_of_the_model_in_service_is(job, tmp_path):
    told = {"test_by_study": {"auroc": {"value": 0.83}}}
    type(job.parent).objects.update(card=told)
    text = search_report.write(job, tmp_path).read_text()
    name = f"tester {job.parent.brief}"
    assert f"(trials.svg)\n\nThe line: AUROC by study of {name}, in service" in text
    drawn = ElementTree.parse(tmp_path / "trials.svg")
    words = " ".join("".join(node.itertext()) for node in drawn.iter(f"{SVG}text"))
    assert "in service: tester, by study on the test side" in words


def test_the_winner_lies_beside_it_as_once_for_all_publishes(job, tmp_path):
    text = search_report.write(job, tmp_path).read_text()
    assert "[net.config](net.config)" in text
    space, best = SPACES["ofa-1.2"], job.trials.get(number=2)
    said = json.loads((tmp_path / "net.config").read_text())
    assert said["name"] == "MobileNetV3" and "d" not in said
    assert space.to_json(space.from_json(said)) == best.architecture


def test_a_space_that_is_not_of_once_for_all_has_no_such_file(
    job, tmp_path, monkeypatch
):
    monkeypatch.setattr(standings, "OnceForAll", type("Other", (), {}))
    assert "net.config" not in search_report.write(job, tmp_path).read_text()
    assert not (tmp_path / "net.config").exists()


def test_nothing_judged_is_said_in_words(administrator, tmp_path):
    waiting = make_search(administrator, budget=2)
    with pytest.raises(ValueError, match="has judged no candidate yet"):
        search_report.write(waiting, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
