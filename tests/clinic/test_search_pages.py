"""The administrator's pages about searches."""

import pytest

from clinic import jobs, search, trials
from clinic.models import Job
from clinic.trials import Outcome
from search.spaces import SPACES
from tests.clinic.factories import make_job, make_model, make_search

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def steward(client, administrator):
    client.force_login(administrator)
    return client


@pytest.fixture
def job(administrator):
    return make_search(administrator)


def text(answer):
    return answer.content.decode()


def end(job, *scores):
    for score in scores:
        held = trials.claim(pk=job.trials.filter(state="queued").first().pk)
        trials.finish(trial=held, outcome=Outcome([score]))


def test_the_list_names_every_search_and_no_training(steward, job, administrator):
    training = make_job(by=administrator)
    page = text(steward.get("/searches/", headers=HTMX))
    assert f'href="/searches/{job.pk}/"' in page
    assert "<html" not in page
    assert f"/searches/{training.pk}/" not in page
    assert "0 of 4 + 2" in page


def test_the_list_of_jobs_leads_to_a_search(steward, job):
    page = text(steward.get("/jobs/", headers=HTMX))
    assert f'href="/searches/{job.pk}/">Search {job.pk}' in page
    assert steward.get(f"/jobs/{job.pk}/").status_code == 404


@pytest.mark.parametrize("what", ["", "figures/"])
def test_a_training_is_no_search(steward, administrator, what):
    training = make_job(by=administrator)
    assert steward.get(f"/searches/{training.pk}/{what}").status_code == 404
    assert steward.post(f"/searches/{training.pk}/pause/").status_code == 404


def test_a_search_shows_its_trials_with_what_they_cost(steward, job):
    end(job, 0.61)
    held = trials.claim(pk=job.trials.filter(state="queued").first().pk)
    trials.beat(trial=held, done=0.4)
    trials.fail(trial=held, reason="It <b>broke</b>.")
    part = text(steward.get(f"/searches/{job.pk}/", headers=HTMX))
    assert "<html" not in part
    assert '<td class="number">0.61</td>' in part
    assert "It &lt;b&gt;broke&lt;/b&gt;." in part
    assert "1 ended; asked for are 4 trials and 2 at length" in part
    assert "trial 0 done" in part


def test_it_says_whether_candidates_look_at_views_or_patches(steward, job):
    place = f"/searches/{job.pk}/"
    assert "whole views" in text(steward.get(place))
    job.parameters["evaluation"]["patches"] = "/var/models/finder"
    job.save(update_fields=["parameters"])
    told = text(steward.get(place))
    assert ">finder</abbr> proposes" in told and "whole views" not in told


def test_the_time_left_is_unknown_until_a_trial_has_ended(steward, job):
    address = f"/searches/{job.pk}/"
    assert "unknown until the first trial" in text(steward.get(address, headers=HTMX))
    end(job, 0.6)
    assert "Time left: about 0 s" in text(steward.get(address, headers=HTMX))


def test_a_search_that_waits_for_another_says_for_which(steward, job, administrator):
    later = make_search(administrator)

    def told():
        part = text(steward.get(f"/searches/{later.pk}/", headers=HTMX))
        rows = text(steward.get("/searches/", headers=HTMX))
        return part, rows.split(f'id="search-{later.pk}"')[1].split("</tr>")[0]

    part, row = told()
    assert "Waiting for a worker" in part and "waiting for a worker" in row
    end(job, 0.6)
    part, row = told()
    assert f"Waiting for search {job.pk}<" in part
    assert f"waiting for search {job.pk}<" in row


def test_while_the_model_is_made_no_time_is_left_and_that_is_said(steward, job):
    end(job, 0.6, 0.5, 0.7, 0.65, 0.8, 0.75)
    part = text(steward.get(f"/searches/{job.pk}/", headers=HTMX))
    assert "Every trial has ended: the model is being made." in part
    assert "Time left" not in part
    assert steward.get(f"/api/searches/{job.pk}/").json()["seconds_left"] is None


def test_charts_come_again_only_when_there_is_more_to_see(steward, job):
    seen = steward.get(f"/searches/{job.pk}/").context["seen"]
    address = f"/searches/{job.pk}/figures/?seen={seen}"
    assert steward.get(address).status_code == 204
    end(job, 0.6)
    answer = steward.get(address)
    assert answer.status_code == 200
    assert text(answer).count("data-chart") == 3


def test_it_is_paused_resumed_and_cancelled_by_buttons(steward, job):
    for verb, state, button in (
        ("pause", "paused", "Resume"),
        ("resume", "queued", "Pause"),
        ("cancel", "cancelled", "Resume"),
    ):
        answer = steward.post(f"/searches/{job.pk}/{verb}/")
        assert answer.url == f"/searches/{job.pk}/"
        job.refresh_from_db()
        assert job.state == state
        page = text(steward.get(f"/searches/{job.pk}/"))
        assert f"<button>{button}</button>" in page


def test_its_files_are_removed_once_it_is_over(steward, job, settings, tmp_path):
    settings.DATA_ROOT = tmp_path
    kept = tmp_path / "jobs" / str(job.pk) / "trials" / "0" / "state.pt"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"12345")
    refused = steward.post(f"/searches/{job.pk}/clear/", follow=True)
    assert "it is not over" in text(refused) and kept.exists()
    steward.post(f"/searches/{job.pk}/cancel/")
    page = text(steward.get(f"/searches/{job.pk}/"))
    assert "5\xa0bytes on disk" in page
    steward.post(f"/searches/{job.pk}/clear/")
    job.refresh_from_db()
    assert job.cleared
    assert "Resume" not in text(steward.get(f"/searches/{job.pk}/"))


def test_a_refusal_is_told_and_changes_nothing(steward, job, administrator):
    jobs.cancel(job=job, by=administrator)
    answer = steward.post(f"/searches/{job.pk}/pause/", follow=True)
    assert "Only what waits or runs can pause; this is cancelled." in text(answer)
    assert Job.objects.get().state == "cancelled"


def test_a_search_that_is_done_draws_the_best_and_leads_to_its_model(steward, job):
    end(job, 0.6, 0.5, 0.7, 0.65, 0.8, 0.75)
    model = make_model("won", stage="candidate")
    told = {"candidate": {"parameters": 4e6}, "incumbent": {"parameters": 2_500_000}}
    search.conclude(job=job, candidate=model, compared=told)
    page = text(steward.get(f"/searches/{job.pk}/"))
    assert "The best: trial 4, score 0.8" in page
    assert "<svg viewBox" in page and "stage 5: 192 channels" in page
    assert f'href="/models/{model.pk}/">won' in page
    assert "hx-get" not in page.split('id="search"')[1].split(">")[0]
    row = '<th scope="row">Parameters</th><td>4.00 million</td><td>2.50 million</td>'
    assert row in page


def test_of_patches_it_shows_how_both_find_fractures(steward, job):
    end(job, 0.6, 0.5, 0.7, 0.65, 0.8, 0.75)
    area = {"value": 0.3, "low": 0.2, "high": 0.4}
    found = {"images": 217, "fractures": 65, "area": area}
    told = {"patches": {"candidate": found, "incumbent": found, "difference": None}}
    search.conclude(job=job, candidate=make_model("won", "candidate"), compared=told)
    page = text(steward.get(f"/searches/{job.pk}/"))
    assert "217 images with 65 marked fractures" in page
    for name in ("winner", "in service"):
        assert f'<th scope="row">{name}</th><td>0.300 [0.200, 0.400]</td>' in page


def test_the_winner_is_downloaded_as_once_for_all_publishes(steward, job):
    address = f"/searches/{job.pk}/net.config"
    assert steward.get(address).status_code == 404
    end(job, 0.6, 0.5, 0.7, 0.65, 0.75, 0.8)
    assert address not in text(steward.get(f"/searches/{job.pk}/"))
    search.conclude(job=job, candidate=make_model("won", "candidate"), compared={})
    assert f'href="{address}" download' in text(steward.get(f"/searches/{job.pk}/"))
    answer = steward.get(address)
    name = f'attachment; filename="search-{job.pk}-net.config"'
    assert answer["Content-Disposition"] == name
    space, best = SPACES["ofa-1.2"], job.trials.get(number=5)
    assert space.to_json(space.from_json(answer.json())) == best.architecture


def test_a_poll_costs_the_same_few_queries_however_many_trials(
    steward, administrator, django_assert_max_num_queries
):
    job = make_search(administrator, budget=40, workers=30, strategy="random")
    with django_assert_max_num_queries(9):
        steward.get(f"/searches/{job.pk}/", headers=HTMX)
