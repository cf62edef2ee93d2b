"""A search as lines and tables: what they say is what the rows say."""

import pytest

from clinic import jobs, search, standings, trials
from clinic.models import Job, Trial
from clinic.trials import Outcome
from tests.clinic.factories import make_model, make_search

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(administrator):
    return make_search(administrator, budget=2, workers=1, finals=0)


def end(trial, **measured):
    held = trials.claim(pk=trial.pk)
    trials.finish(trial=held, outcome=Outcome([0.8125], measured))


def cells(table):
    lines = [line[1:-1].split("|") for line in table.splitlines()]
    return [[cell.strip() for cell in line] for line in lines]


def test_every_trial_is_told_with_its_score_cost_and_reason(job):
    end(job.trials.get(), parameters=5_100_000, madds=210_000_000)
    held = trials.claim(pk=job.trials.get(number=1).pk)
    trials.beat(trial=held, done=0.4, worked=90)
    head, _, first, second = cells(standings.trials(job))
    score = "AUROC by study"
    named = [words.format(score) for words in standings.TRIALS]
    assert head == [*named, "note"] and score in head
    assert first[:6] == ["0", "briefly", "done", "0.812", "5.10 M", "210.00 M"]
    assert second[2:4] == ["running", ""]
    assert second[6] == "2 min"
    assert second[8].startswith("40% on ")
    for _ in range(2):
        trials.fail(trial=held, reason="The candidate could not be trained.")
        Trial.objects.update(due_at="2001-01-01T00:00:00Z")
        held = trials.claim(pk=held.pk)
    assert cells(standings.trials(job))[3][8] == "The candidate could not be trained."


def test_a_headline_says_how_far_how_good_and_why_not(job, administrator):
    assert "queued" not in standings.headline(job)
    end(job.trials.get())
    job.refresh_from_db()
    line = standings.headline(job)
    assert (
        "running, 1 of 2 trials ended, best AUROC by study on validation 0.812" in line
    )
    search.fail(job=job, reason="No radiographs.")
    job.refresh_from_db()
    assert standings.headline(job).endswith(". No radiographs.")
    assert jobs.resume(job=job, by=administrator).state == Job.State.QUEUED


def test_a_headline_says_that_the_model_is_being_made(job, administrator):
    while (row := job.trials.filter(state="queued").first()) is not None:
        end(row)
    job.refresh_from_db()
    assert standings.headline(job).endswith("0.812, the model is being made")
    search.pause(job=job, by=administrator)
    job.refresh_from_db()
    assert standings.headline(job).endswith("0.812, the model is to be made")


def test_a_headline_counts_hours_where_they_are_the_budget(administrator):
    job = make_search(administrator, budget=None, hours=8.0, fits=9)
    job.seconds = 5400
    assert "0 trials ended in 90 min of 8 h" in standings.headline(job)


def told(value, parameters, madds):
    auroc = {"value": value, "low": value - 0.1, "high": value + 0.05}
    return {
        "by_study": {"auroc": auroc},
        "parameters": parameters,
        "madds": madds,
    }


def test_the_winner_stands_beside_what_was_in_service(job):
    with pytest.raises(ValueError, match="no model yet"):
        standings.report(job)
    while (row := job.trials.filter(state="queued").first()) is not None:
        end(row)
    winner, incumbent = make_model("won", stage="candidate"), make_model()
    compared = {
        "candidate": told(0.9, 2_500_000, 80_000_000),
        "incumbent": told(0.85, 700_000, 1_234_560_000),
        "incumbent_digest": incumbent.digest,
    }
    search.conclude(job=job, candidate=winner, compared=compared)
    job.refresh_from_db()
    head, _, first, second = cells(standings.report(job))
    assert tuple(head) == standings.MODELS
    assert first == [
        f"winner `{winner.digest[:12]}`",
        "0.900 [0.800, 0.950]",
        "2.50 M",
        "80.00 M",
    ]
    assert second[0] == f"in service `{incumbent.digest[:12]}`"
    assert second[1:] == ["0.850 [0.750, 0.900]", "0.70 M", "1234.56 M"]
    Job.objects.update(compared={"candidate": {"by_study": {"auroc": None}}})
    job.refresh_from_db()
    assert cells(standings.report(job))[2][1:] == ["not measurable", "", ""]


def found(value):
    interval = {"value": value, "low": value - 0.1, "high": value + 0.05}
    return {"images": 217, "fractures": 65, "area": interval}


def test_of_patches_winner_and_model_in_service_stand_side_by_side(job):
    assert standings.on_patches(job) is None
    patches = {"candidate": found(0.3), "incumbent": found(0.2)}
    patches["candidate"] |= {"parameters": 5_100_000, "madds": 31_000_000}
    patches["difference"] = {"value": 0.1, "low": -0.05, "high": 0.2}
    winner = make_model("won", stage="candidate")
    compared = {
        "candidate": told(0.9, 2_500_000, 80_000_000),
        "incumbent": told(0.85, 700_000, 1_234_560_000),
        "patches": patches,
    }
    job.candidate, job.compared = winner, compared
    whole, words, table = standings.report(job).split("\n\n")
    assert "0.900 [0.800, 0.950]" in whole
    assert "217 images with 65 marked fractures" in words
    assert words.endswith("less the model in service: +0.100 [-0.050, +0.200].")
    head, _, *rows = cells(table)
    assert tuple(head) == standings.PATCHES
    assert rows == [
        ["winner", "0.300 [0.200, 0.350]", "5.10 M", "31.00 M a patch"],
        ["in service", "0.200 [0.100, 0.250]", "0.70 M", "1234.56 M a view"],
    ]


def test_weights_that_are_gone_and_nobody_in_service_are_said(job):
    job.compared = {"patches": {"gone": "they were not kept"}}
    said = standings.on_patches(job)
    assert said.words.endswith("its weights are gone: they were not kept.")
    assert not said.rows
    job.compared = {"patches": {"candidate": found(0.3) | {"area": None}}}
    said = standings.on_patches(job)
    assert [row[:2] for row in said.rows] == [("winner", "not measurable")]
    assert "less the model" not in said.words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "3 s"), (90, "2 min"), (7000, "117 min"), (9000, "2.5 h")],
)
def test_a_span_is_as_exact_as_an_estimate(seconds, words):
    assert standings.span(seconds) == words
