"""The administrator's pages: jobs, and how the service does."""

import json

import pytest

from clinic import jobs, leavings
from clinic.models import Job
from search import demographics_page
from search.demographics import summary
from tests.clinic.factories import (
    make_job,
    make_model,
    make_prediction,
    make_review,
    make_study,
    make_user,
)

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def steward(client, administrator):
    client.force_login(administrator)
    return client


@pytest.fixture
def verdicts(radiologist):
    for number in range(6):
        verdict = "fracture" if number % 2 else "no_fracture"
        make_review(make_prediction(make_study()), radiologist, verdict)


def text(answer):
    return answer.content.decode()


def asked(**more):
    return {
        "parent": make_model().pk,
        "epochs": "3",
        "rate": "0.0001",
        "seed": "7",
    } | more


def test_the_form_says_what_is_usable_and_what_is_left_out_and_why(
    steward, verdicts, radiologist
):
    make_review(make_prediction(make_study()), radiologist, "unsure")
    disputed = make_prediction(make_study())
    make_review(disputed, radiologist, "fracture")
    make_review(disputed, make_user("radiologist"), "no_fracture")
    page = text(steward.get("/jobs/"))
    assert '<th scope="row">usable studies</th><td>6</td>' in page
    assert "left out: radiologists disagree; waits for adjudication</th><td>1<" in page
    assert "left out: the latest verdict is “unsure”</th><td>1<" in page
    assert "disabled" not in page.split('class="job-form"')[1].split("</form>")[0]


def test_a_holdout_that_can_promote_nothing_is_said_before_the_start(steward, verdicts):
    page = text(steward.get("/jobs/"))
    assert "but the gate promotes none that fewer than 20 of each judge." in page


def test_who_is_in_the_verdicts_is_handed_out_once_it_is_known(
    steward, administrator, radiologist, settings, tmp_path, client
):
    settings.DATA_ROOT = tmp_path
    job = make_job(by=administrator)
    at = f"/jobs/{job.pk}/people.html"
    assert at not in text(steward.get(f"/jobs/{job.pk}/"))
    assert steward.get(at).status_code == 404
    demographics_page.write(leavings.people(job), summary([]), "Who")
    assert at in text(steward.get(f"/jobs/{job.pk}/"))
    answer = steward.get(at)
    assert b"<h1>Who</h1>" in b"".join(answer.streaming_content)
    assert answer["Content-Disposition"].startswith("attachment; ")
    numbers = b"".join(steward.get(at.replace("html", "json")).streaming_content)
    assert json.loads(numbers)["images"] == 0
    client.force_login(radiologist)
    assert client.get(at).status_code == 403


def test_nothing_can_be_started_from_too_few(steward, db):
    page = text(steward.get("/jobs/"))
    assert "at least 3 of each are needed" in page
    answer = steward.post("/jobs/start/", asked())
    assert answer.status_code == 422
    assert not Job.objects.exists()


def test_a_training_is_started(steward, verdicts, administrator):
    answer = steward.post("/jobs/start/", asked())
    job = Job.objects.get()
    assert answer.url == f"/jobs/{job.pk}/"
    assert (job.by, job.seed, job.epochs) == (administrator, 7, 3)
    page = text(steward.get(f"/jobs/{job.pk}/"))
    assert "Waiting for a worker" in page
    assert f"Training {job.pk}" in text(steward.get("/jobs/", headers=HTMX))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"epochs": "many"}, "epochs: A valid integer is required."),
        ({"epochs": "0"}, "epochs: from 1 to 200."),
        ({"rate": "9"}, "rate: from 1e-06 to 0.1."),
        ({"rate": "nan"}, "rate: "),
        ({"parent": "999999"}, "parent: Choose a model to go on from."),
        ({"seed": ""}, "seed: A valid integer is required."),
    ],
)
def test_a_refusal_names_the_field_and_keeps_what_was_typed(
    steward, verdicts, wrong, sentence
):
    answer = steward.post("/jobs/start/", asked(seed="4711") | wrong)
    assert answer.status_code == 422
    assert sentence in text(answer)
    assert 'value="4711"' in text(answer) or "seed" in wrong
    assert not Job.objects.exists()


def test_a_running_job_shows_how_far_it_is(steward, administrator):
    job = make_job(by=administrator)
    held = jobs.claim(pk=job.pk)
    entry = {"epoch": 1, "loss": 0.61, "auroc": 0.7654}
    jobs.beat(job=held, step="training", done=1.4, history=[entry], line="<b>one</b>")
    page = text(steward.get(f"/jobs/{job.pk}/"))
    assert "1.4 of 2" in page
    assert "0.765" in page
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    part = text(steward.get(f"/jobs/{job.pk}/", headers=HTMX))
    assert "<html" not in part
    assert "every 2s" in part


def test_the_curve_is_sent_once_an_epoch(steward, administrator):
    entry = {"epoch": 1, "loss": 0.61, "auroc": 0.7, "study_auroc": 0.8}
    job = make_job(by=administrator, history=[entry])
    assert steward.get(f"/jobs/{job.pk}/curve/?seen=1").status_code == 204
    part = text(steward.get(f"/jobs/{job.pk}/curve/?seen=0"))
    assert '"data": [[1], [0.61], [0.7], [0.8]]' in part
    assert "AUROC on validation, by study" in part
    assert "seen=1" in part
    jobs.cancel(job=job, by=administrator)
    part = text(steward.get(f"/jobs/{job.pk}/curve/?seen=1"))
    assert "hx-trigger" not in part


def test_a_job_is_cancelled_and_resumed(steward, administrator):
    job = make_job(by=administrator)
    for verb, state in (("cancel", "cancelled"), ("resume", "queued")):
        assert f"/jobs/{job.pk}/{verb}/" in text(steward.get(f"/jobs/{job.pk}/"))
        answer = steward.post(f"/jobs/{job.pk}/{verb}/")
        assert answer.url == f"/jobs/{job.pk}/"
        job.refresh_from_db()
        assert job.state == state
    refused = steward.post(f"/jobs/{job.pk}/resume/", follow=True)
    assert "Only a paused, cancelled or failed job can go on" in text(refused)


def test_a_job_that_ended_asks_for_nothing_more(steward, administrator):
    job = make_job(by=administrator, state="failed", reason="Too few.")
    page = text(steward.get(f"/jobs/{job.pk}/"))
    assert "Too few." in page
    assert "every 2s" not in page


def test_what_a_job_left_on_disk_is_told_and_removed(
    steward, administrator, settings, tmp_path, django_capture_on_commit_callbacks
):
    settings.DATA_ROOT = tmp_path
    job = make_job(by=administrator, state="failed", reason="Too few.")
    folder = tmp_path / "jobs" / str(job.pk)
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(bytes(2048))
    page = text(steward.get(f"/jobs/{job.pk}/"))
    assert "2.0\xa0KB on disk" in page
    assert f"/jobs/{job.pk}/clear/" in page
    with django_capture_on_commit_callbacks(execute=True):
        steward.post(f"/jobs/{job.pk}/clear/")
    assert not folder.exists()
    page = text(steward.get(f"/jobs/{job.pk}/"))
    assert "were removed" in page
    assert f"/jobs/{job.pk}/clear/" not in page
    assert f"/jobs/{job.pk}/resume/" not in page


def test_what_came_of_it_stands_beside_what_serves(steward, administrator):
    job = make_job(by=administrator)
    report = {"cases": 8, "auroc": {"value": 0.75, "low": 0.5, "high": 0.9}}
    jobs.finish(
        job=jobs.claim(pk=job.pk),
        candidate=make_model("new", stage="candidate"),
        compared={
            "candidate": {"by_study": report},
            "incumbent": {"by_study": report | {"cases": 9}},
        },
    )
    page = text(steward.get(f"/jobs/{job.pk}/"))
    assert "<td>0.750 (0.500 – 0.900)</td>" in page
    assert "<td>8</td><td>9</td>" in page


def test_as_many_jobs_as_there_are_cost_the_same_queries(
    steward, administrator, django_assert_max_num_queries
):
    for _ in range(12):
        make_job(by=administrator)
    with django_assert_max_num_queries(8):
        steward.get("/jobs/")
