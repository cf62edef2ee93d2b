"""A search asked for from the page or by a script: its price, then its rows."""

import json

import pytest

from clinic.models import Job
from clinic.terms import Terms
from search.hardware import every_piece
from tests.clinic.factories import make_model
from tests.clinic.searched import draw

pytestmark = pytest.mark.django_db


@pytest.fixture
def steward(client, administrator):
    client.force_login(administrator)
    return client


@pytest.fixture(autouse=True)
def wrists(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"
    return draw(settings.DATA_ROOT / "datasets" / "wrists")


def asked(**more):
    said = {"parent": make_model().pk, "space": "ofa-1.0", "strategy": "random"}
    said |= {"images": "wrists", "height": 96, "width": 64, "budget": 4, "workers": 2}
    said |= {"finals": 1, "epochs": 1, "final_epochs": 2, "batch": 8, "seed": 5}
    return said | more


def text(answer):
    return answer.content.decode()


def test_a_search_is_started_from_the_form(steward, administrator, wrists):
    sent = asked(most_parameters="7000000", most_madds="", most_latency="")
    answer = steward.post("/searches/start/", sent)
    job = Job.objects.get()
    assert answer.url == f"/searches/{job.pk}/"
    assert (job.by, job.seed, job.trials.count()) == (administrator, 5, 2)
    assert job.parameters["most"] == {"parameters": 7e6}
    assert job.parameters["size"] == [96, 64]
    assert Terms.of(job).images == str(wrists)
    assert "wrists" in text(steward.get(f"/searches/{job.pk}/"))


def test_several_objectives_need_a_strategy_that_follows_them(steward):
    sent = asked(besides=["parameters", "madds"], strategy="evolution")
    refused = steward.post("/searches/start/", sent)
    assert refused.status_code == 422
    assert f"{sent['strategy']} follows one objective only" in text(refused)
    assert not Job.objects.exists()
    steward.post("/searches/start/", sent | {"strategy": "pareto"})
    job = Job.objects.get()
    assert Terms.of(job).objective == ("auroc", "parameters", "madds")
    assert job.parameters["objectives"] == 3


def test_a_table_may_be_uploaded_or_stored(steward, settings, tmp_path):
    times = {piece.key: 1.0 for piece in every_piece("ofa-1.0", 96, 64)}
    table = {"space": "ofa-1.0", "height": 96, "width": 64, "times": times}
    table |= {"slope": 1.0, "intercept": 0.0, "error": 0.05, "ranking": 1.0}
    written = json.dumps(table | {"machine": {}})
    stored = settings.DATA_ROOT / "latency" / "pi.json"
    stored.parent.mkdir()
    stored.write_text(written)
    (tmp_path / "upload.json").write_text(written)
    steward.post("/searches/start/", asked(table="pi.json", most_latency="20"))
    with (tmp_path / "upload.json").open("rb") as file:
        steward.post("/searches/start/", asked(upload=file, most_latency="20"))
    kept = [job.parameters["latency"]["times"] for job in Job.objects.all()]
    assert kept == [times, times]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"parent": 999}, "Choose a model to start from."),
        ({"budget": "many"}, "budget: A valid integer is required."),
        ({"budget": 0}, "budget: from 1 to 10000."),
        ({"hours": "0"}, "hours: from 0.01 to 10000."),
        ({"budget": ""}, "budget: a number of trials, or hours."),
        ({"epochs": 0}, "epochs: from 1 to 200."),
        ({"space": "mars"}, "space: "),
        ({"images": "../elsewhere"}, "in the data folder"),
        ({"images": ""}, "at least 3 of each are needed"),
        ({"most_latency": "3"}, "No limit is known by the name latency."),
        ({"besides": "beauty"}, "is not a valid choice."),
    ],
)
def test_a_refusal_keeps_what_was_typed_and_starts_nothing(steward, wrong, sentence):
    answer = steward.post("/searches/start/", asked(workers=7) | wrong)
    assert answer.status_code == 422
    assert sentence in text(answer)
    assert 'name="workers" type="number" min="1" max="1000" required value="7"' in (
        text(answer)
    )
    assert not Job.objects.exists()


def test_it_says_what_it_may_cost_and_starts_nothing(steward):
    answer = steward.post("/searches/estimate/", asked())
    assert answer.status_code == 200
    assert "of one worker, shared by 2" in text(answer)
    assert "nothing measured yet" in text(answer)
    assert steward.post("/searches/estimate/", asked(budget="")).status_code == 422
    told = steward.post("/searches/estimate/", asked(budget="", hours="0.5"))
    assert "candidates within 0.50 h, then 1 at length" in text(told)
    assert not Job.objects.exists()


def test_a_search_may_be_given_hours_in_place_of_trials(steward):
    steward.post("/searches/start/", asked(budget="", hours="0.5"))
    job = Job.objects.get()
    said = job.parameters
    assert (said["budget"], said["hours"]) == (None, 0.5)
    assert said["planned"] > 1
    Job.objects.update(seconds=600)
    page = text(steward.get(f"/searches/{job.pk}/"))
    assert "0 ended; asked for are 0.5 h and 1 at length; 10 min searched" in page
    assert "0 of 0.5 h + 1" in text(steward.get("/searches/"))
    sent = asked(hours=2, budget=None)
    made = steward.post("/api/searches/", sent, content_type="application/json")
    assert made.json()["parameters"]["hours"] == 2


def test_a_script_starts_one_too(steward):
    sent = asked(strategy="pareto", objective=["auroc", "madds"], most_madds=3e8)
    answer = steward.post("/api/searches/", sent, content_type="application/json")
    job = Job.objects.get()
    assert (answer.status_code, answer.json()["pk"]) == (201, job.pk)
    assert Terms.of(job).objective == ("auroc", "madds")
    assert job.parameters["most"] == {"madds": 3e8}


@pytest.mark.parametrize("sent", [[1], {"objective": ["beauty"]}, {}])
def test_a_script_is_refused_in_sentences(steward, sent):
    answer = steward.post("/api/searches/", sent, content_type="application/json")
    assert answer.status_code == 422
    assert all(isinstance(words, str) for words in answer.json()["detail"])
