"""Searches for scripts, and the schema of everything that scripts may call."""

import json

import pytest
from django.core.management import call_command
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from clinic import trials
from clinic.models import Job
from clinic.trials import Outcome
from tests.clinic.factories import make_job, make_review, make_search

pytestmark = pytest.mark.django_db


@pytest.fixture
def steward(client, administrator):
    client.force_login(administrator)
    return client


@pytest.fixture
def job(administrator):
    return make_search(administrator)


def test_searches_are_listed_the_newest_first_without_trainings(
    steward, job, administrator
):
    make_job(by=administrator)
    other = make_search(administrator)
    told = steward.get("/api/searches/").json()["searches"]
    assert [search["pk"] for search in told] == [other.pk, job.pk]
    assert told[0]["parameters"]["space"] == "ofa-1.2"


def test_a_search_tells_its_trials(steward, job):
    held = trials.claim(pk=job.trials.first().pk)
    trials.finish(trial=held, outcome=Outcome([0.75], {"auroc": 0.75}))
    told = steward.get(f"/api/searches/{job.pk}/").json()
    assert (told["state"], told["done"]) == ("running", 1)
    assert told["trials"][0]["values"] == [0.75]
    assert told["trials"][1]["state"] == "queued"
    beating = trials.claim(pk=job.trials.get(number=1).pk)
    trials.claim(pk=job.trials.get(number=2).pk)
    trials.beat(trial=beating, done=0.5, kept=0.4)
    _, second, third = steward.get(f"/api/searches/{job.pk}/").json()["trials"]
    assert [(t["attempts"], t["tries"], t["kept"]) for t in (second, third)] == [
        (1, 0, 0.4),
        (1, 1, 0.0),
    ]
    assert told["seconds_left"] == 0


def test_json_without_end_is_told_as_such(steward, job):
    """Of whatever takes JSON: the parser is everybody's."""
    sent = {"data": "[" * 100_000, "content_type": "application/json"}
    answer = steward.post("/api/searches/", **sent)
    assert answer.status_code == 400
    assert answer.json() == {"detail": "JSON parse error - nested too deeply"}


def test_it_is_paused_resumed_and_cancelled(steward, job):
    for verb, state in (
        ("pause", "paused"),
        ("resume", "queued"),
        ("cancel", "cancelled"),
    ):
        answer = steward.post(f"/api/searches/{job.pk}/{verb}/")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        assert Job.objects.get().state == state


def test_its_log_is_told_line_by_line(steward, job):
    held = trials.claim(pk=job.trials.first().pk)
    trials.finish(trial=held, outcome=Outcome([0.75]))
    lines = steward.get(f"/api/searches/{job.pk}/log/").json()["lines"]
    assert "started: evolution on ofa-1.2, 4 trials" in lines[0]
    assert any(line.endswith("trial 0 done: [0.75]") for line in lines)


def test_its_report_tells_the_best_candidate_as_it_is_published_too(steward, job):
    address = f"/api/searches/{job.pk}/report/"
    refused = steward.get(address)
    assert refused.status_code == 422
    assert refused.json()["detail"] == [f"Search {job.pk} has judged no candidate yet."]
    for number, score in ((0, 0.7), (1, 0.8)):
        held = trials.claim(pk=job.trials.get(number=number).pk)
        trials.finish(trial=held, outcome=Outcome([score]))
    told = steward.get(address).json()
    assert told["best"]["number"] == 1
    assert told["config"]["name"] == "MobileNetV3"
    assert told["words"] == ""


def test_its_report_holds_its_model_against_the_one_in_service(
    steward, job, monkeypatch
):
    held = trials.claim(pk=job.trials.first().pk)
    trials.finish(trial=held, outcome=Outcome([0.7]))
    Job.objects.update(candidate=job.parent, state="done", ended=timezone.now())
    monkeypatch.setattr("clinic.standings.report", lambda job: f"table {job.pk}")
    told = steward.get(f"/api/searches/{job.pk}/report/").json()
    assert told["words"] == f"table {job.pk}"


def test_a_refusal_is_a_sentence(steward, job):
    Job.objects.update(state="cancelled")
    answer = steward.post(f"/api/searches/{job.pk}/pause/")
    assert answer.status_code == 422
    assert "this is cancelled" in answer.json()["detail"][0]


def test_a_training_is_no_search(steward, administrator):
    training = make_job(by=administrator)
    assert steward.get(f"/api/searches/{training.pk}/").status_code == 404
    assert steward.get(f"/api/searches/{training.pk}/log/").status_code == 404
    assert steward.post(f"/api/searches/{training.pk}/cancel/").status_code == 404
    assert Job.objects.get().state == "queued"


def test_a_form_of_another_site_cannot_post(client, job, administrator):
    """A session alone is not enough: DRF asks for the CSRF token."""
    client.handler.enforce_csrf_checks = True
    client.force_login(administrator)
    answer = client.post(f"/api/searches/{job.pk}/cancel/")
    assert answer.status_code == 403
    assert Job.objects.get().state == "queued"


# --- The schema -------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(request=None, public=True)


def test_the_schema_is_valid_and_nothing_was_guessed(tmp_path):
    """drf-spectacular warns where it cannot tell what a view takes or answers."""
    file = tmp_path / "schema.json"
    said = {"validate": True, "fail_on_warn": True, "format": "openapi-json"}
    call_command("spectacular", file=str(file), **said)
    validate(json.loads(file.read_text()))


def test_the_schema_is_for_administrators(steward, client, radiologist):
    answer = steward.get("/api/schema/?format=json")
    assert answer.json()["info"]["title"] == "Osteon"
    client.force_login(radiologist)
    assert client.get("/api/schema/").status_code == 403


def test_the_schema_knows_every_address_below_api(schema):
    assert set(schema["paths"]) == {
        "/api/models/",
        "/api/models/{id}/",
        "/api/models/{id}/measure/",
        "/api/models/{id}/promote/",
        "/api/models/{id}/retire/",
        "/api/models/{id}/rollback/",
        "/api/models/{id}/shadow/",
        "/api/searches/",
        "/api/searches/estimate/",
        "/api/searches/{id}/",
        "/api/searches/{id}/cancel/",
        "/api/searches/{id}/log/",
        "/api/searches/{id}/pause/",
        "/api/searches/{id}/report/",
        "/api/searches/{id}/resume/",
        "/api/studies/{id}/",
    }


PATHS = ["searches/", "searches/{}/", "models/", "models/{}/"]
PATHS += ["searches/{}/log/", "searches/{}/report/"]


@pytest.mark.parametrize("path", PATHS)
def test_what_is_answered_is_what_the_schema_says(steward, schema, job, path):
    held = trials.claim(pk=job.trials.first().pk)
    trials.finish(trial=held, outcome=Outcome([0.75]))
    of = job.pk if "searches" in path else job.parent_id
    holds(schema, path, steward.get(f"/api/{path.format(of)}").json())


def test_a_study_is_answered_as_the_schema_says(
    client, schema, prediction, radiologist
):
    make_review(prediction, radiologist)
    client.force_login(radiologist)
    told = client.get(f"/api/studies/{prediction.study_id}/").json()
    assert told["prediction"] and told["reviews"] and told["images"]
    holds(schema, "studies/{}/", told)


def holds(schema, path, told):
    operation = schema["paths"][f"/api/{path.replace('{}', '{id}')}"]["get"]
    (content,) = operation["responses"]["200"]["content"].values()
    written = json.loads(json.dumps(content["schema"]))
    shape = written | {"components": nullable(schema["components"])}
    Draft202012Validator(shape).validate(told)


def nullable(part):
    """OpenAPI 3.0 says `nullable` where JSON Schema names a second type."""
    if isinstance(part, list):
        return [nullable(one) for one in part]
    if not isinstance(part, dict):
        return part
    plain = {key: nullable(value) for key, value in part.items() if key != "nullable"}
    return (
        {"anyOf": [plain, {"type": "null"}]} if part.get("nullable") is True else plain
    )
