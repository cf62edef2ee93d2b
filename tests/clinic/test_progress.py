"""What the rows of a search tell: scores, front, time left, log."""

import pytest

from clinic import jobs, progress, search, trials
from clinic.models import AuditEvent, Trial
from clinic.trials import Outcome
from search.hardware import every_piece
from search.spaces import SPACES
from tests.clinic.factories import make_model, make_search

pytestmark = pytest.mark.django_db


def end(job, *scores, seconds=10.0):
    """The trials that wait, one a score, in their order."""
    for score in scores:
        held = trials.claim(pk=job.trials.filter(state="queued").first().pk)
        trials.beat(trial=held, done=0.9, worked=seconds)
        trials.finish(trial=held, outcome=Outcome([score]))


@pytest.fixture
def job(administrator):
    return make_search(administrator, workers=1, seed=3)


def lines(chart):
    return chart.lines


def test_scores_stand_over_their_trials_beside_the_best_so_far(job):
    end(job, 0.6, 0.5, 0.8)
    chart = progress.charts(job, progress.rows(job))[0]
    assert chart.x == [0, 1, 2]
    assert chart.lines["candidate"] == [0.6, 0.5, 0.8]
    assert chart.lines["best so far"] == [0.6, 0.6, 0.8]
    assert chart.through == ("best so far",)


def card(by_study, **more):
    """As `search.card` writes it: by image 0.71 everywhere, by study something else."""
    image = {"auroc": {"value": 0.71}}
    told = {"auroc": {"value": by_study, "low": 0.5, "high": 0.95}}
    return {"validation": image, "test": image, "test_by_study": told} | more


def over_trials(job):
    return progress.charts(job, progress.rows(job))[0]


def serve(card):
    model = make_model()
    model.card = card
    model.save()
    return model


def test_the_line_of_the_incumbent_measures_what_the_dots_do(job):
    served = serve(card(0.83))
    end(job, 0.6, 0.5)
    chart = over_trials(job)
    label = "in service: tester, by study on the test side"
    assert chart.lines[label] == [0.83, 0.83]
    assert label in chart.through
    assert [0.71, 0.71] not in chart.lines.values()
    assert f"{served.brief}, in service now, judged on its own test side" in chart.note
    assert "validation studies" in chart.note


def test_the_line_is_of_who_serves_and_not_of_who_was_parent(administrator):
    parent = make_model("parent", stage="candidate")
    parent.card = card(0.99)
    parent.save()
    served = serve(card(0.83))
    job = make_search(administrator, parent=parent, workers=1)
    found = progress.incumbent(job)
    assert found.auroc == 0.83 and served.brief in found.note


def test_once_it_has_ended_the_line_is_what_the_winner_was_compared_with(job):
    served = serve(card(0.83))
    end(job, 0.6, 0.5, 0.8, 0.7, 0.75, 0.72)
    told = {"incumbent": {"by_study": {"auroc": {"value": 0.79}}}}
    told |= {"incumbent_digest": served.digest}
    job.refresh_from_db()
    search.conclude(job=job, candidate=make_model("won", "candidate"), compared=told)
    type(served).objects.filter(pk=served.pk).update(stage="retired")
    make_model("later").card = card(0.99)
    job.refresh_from_db()
    chart = over_trials(job)
    label = "in service: tester, by study on the test side"
    assert chart.lines[label] == [0.79] * 6
    assert "when the search ended, judged on the same test side" in chart.note


@pytest.mark.parametrize(
    "told",
    [{}, {"test_by_study": 3}, {"test_by_study": {"auroc": 1}}, card(None)],
)
def test_a_card_that_does_not_say_draws_no_line_and_that_is_said(job, told):
    served = serve(told)
    end(job, 0.6)
    chart = over_trials(job)
    assert [*chart.lines] == ["candidate", "best so far"]
    words = f"Of the model in service, tester {served.brief}, no AUROC by study"
    assert chart.note.startswith(words)


def test_of_patches_there_is_no_line_and_that_is_said(job):
    serve(card(0.83))
    job.parameters["evaluation"] = {"patches": "finder", "objective": ["aufroc"]}
    end(job, 0.6)
    chart = over_trials(job)
    assert [*chart.lines] == ["candidate", "best so far"]
    assert "of patches" in chart.note and "no line" in chart.note


@pytest.mark.parametrize(("objective", "line"), [("aufroc", 0.21), ("auroc", None)])
def test_once_judged_by_the_same_patches_there_is_a_line_of_it(job, objective, line):
    job.parameters["evaluation"] = {"patches": "finder", "objective": [objective]}
    job.compared = {"patches": {"incumbent": {"area": {"value": 0.21}}}}
    assert progress.incumbent(job).auroc == line
    job.compared = {"patches": {"gone": "they were not kept"}}
    assert progress.incumbent(job).auroc is None


def test_an_empty_house_has_no_line_and_that_is_said(job):
    type(job.parent).objects.update(stage="retired")
    assert progress.incumbent(job).auroc is None
    assert progress.incumbent(job).note.startswith("No model was in service")


def test_those_trained_at_length_are_told_apart(job):
    end(job, 0.6, 0.5, 0.8, 0.7, 0.75, 0.72)
    rows = progress.rows(job)
    chart = progress.charts(job, rows)[0]
    assert chart.lines["trained at length"] == [None] * 4 + [0.75, 0.72]
    assert chart.lines["best so far"] == [0.6, 0.6, 0.8, 0.8, None, None]


def test_the_front_is_what_no_other_beats_in_score_and_size(administrator):
    job = make_search(administrator, workers=4, budget=4, strategy="random")
    rows = progress.rows(job)
    by_size = sorted(rows, key=lambda row: row.costs["parameters"])
    score = dict(zip([r.trial.pk for r in by_size], [0.5, 0.7, 0.6, 0.9]))
    end(job, *(score[row.trial.pk] for row in rows))
    chart = progress.charts(job, progress.rows(job))[1]
    assert chart.key == "parameters"
    assert chart.x == sorted(r.costs["parameters"] / 1e6 for r in rows)
    assert chart.lines["candidate"] == [0.5, 0.7, 0.6, 0.9]
    assert chart.lines["Pareto front"] == [0.5, 0.7, None, 0.9]
    assert chart.beside["trial"] == [row.trial.number for row in by_size]


def test_costs_are_those_of_the_space(job):
    space, row = SPACES["ofa-1.2"], progress.rows(job)[0]
    assert row.costs == {
        "parameters": space.parameters(space.start),
        "madds": space.madds(space.start, 224, 224),
    }


def test_latency_is_told_where_a_table_is_known(administrator):
    times = {piece.key: 1.0 for piece in every_piece("ofa-1.2", 96, 64)}
    table = {"space": "ofa-1.2", "height": 96, "width": 64, "times": times}
    table |= {"slope": 1.0, "intercept": 0.0, "error": 0.05, "ranking": 1.0}
    table["machine"] = {}
    job = make_search(administrator, latency=table, size=(96, 64), workers=1)
    end(job, 0.6)
    rows = progress.rows(job)
    assert rows[0].costs["latency"] == sum(SPACES["ofa-1.2"].start.depths) + 3
    keys = [chart.key for chart in progress.charts(job, rows)]
    assert keys == ["trials", "parameters", "madds", "latency"]


def test_the_time_left_follows_from_the_trials_so_far(job):
    assert progress.seconds_left(job, progress.rows(job)) is None
    terms = job.parameters["evaluation"]
    terms |= {"epochs": 5, "final_epochs": 20}
    end(job, 0.6, seconds=10)
    end(job, 0.5, seconds=30)
    end(job, 0.5, seconds=11)
    # One candidate of the median's length, and two of four times that.
    assert progress.seconds_left(job, progress.rows(job)) == 11 + 2 * 44
    Trial.objects.filter(number=3).update(done=0.5)
    assert progress.seconds_left(job, progress.rows(job)) == 5.5 + 2 * 44
    job.parameters["workers"] = 2
    assert progress.seconds_left(job, progress.rows(job)) == (5.5 + 2 * 44) / 2


def test_a_search_of_hours_has_what_is_left_of_them(administrator):
    job = make_search(administrator, budget=None, hours=1.0, fits=9, workers=1)
    end(job, 0.6, seconds=10)
    job.refresh_from_db()
    job.seconds, job.parameters["evaluation"] = 3000, {"epochs": 1, "final_epochs": 2}
    assert progress.seconds_left(job, progress.rows(job)) == 600 + 2 * 20
    job.parameters["budget"] = 4
    assert progress.seconds_left(job, progress.rows(job)) == 3 * 10 + 2 * 20


@pytest.mark.parametrize("asked", [{"budget": 100}, {"budget": None, "hours": 50.0}])
def test_once_the_best_were_chosen_no_candidate_is_waited_for(job, asked):
    """As where a space held fewer than were asked for."""
    end(job, 0.6, 0.5, 0.5, 0.5, seconds=10)
    job.refresh_from_db()
    job.parameters |= {"hours": None, "finals": 3} | asked
    job.parameters["evaluation"] = {"epochs": 1, "final_epochs": 2}
    assert job.trials.filter(stage="final").count() == 2
    assert progress.seconds_left(job, progress.rows(job)) == 2 * 20
    end(job, 0.6, seconds=25)
    assert progress.seconds_left(job, progress.rows(job)) == 25
    assert not progress.is_over(progress.rows(job))
    end(job, 0.6, seconds=25)
    assert progress.is_over(progress.rows(job))
    assert progress.seconds_left(job, progress.rows(job)) is None


def test_two_at_length_are_measured_as_soon_as_one_is_done(job):
    end(job, 0.6, 0.5, 0.5, 0.5, seconds=10)
    end(job, 0.6, seconds=25)
    assert progress.seconds_left(job, progress.rows(job)) == 25


def test_the_state_changes_with_every_answer_and_with_who_serves(job):
    def state():
        return progress.state_of(progress.charts(job, progress.rows(job)))

    states = [state()]
    end(job, 0.6)
    states += [state(), state()]
    serve(card(0.83))
    states.append(state())
    assert states[1] == states[2] and len(set(states)) == 3


def test_the_log_tells_what_befell_it_in_order(job, administrator):
    end(job, 0.6)
    held = trials.claim(pk=job.trials.get(state="queued").pk)
    trials.fail(trial=held, reason="No luck.")
    search.pause(job=job, by=administrator)
    jobs.resume(job=job, by=administrator)
    Trial.objects.filter(pk=held.pk).update(attempts=1, due_at=held.created)
    trials.fail(trial=trials.claim(pk=held.pk), reason="None at all.")
    told = [line.split(" ", 2)[2] for line in progress.log(job).splitlines()]
    assert told[0] == "started: evolution on ofa-1.2, 4 trials"
    assert told[1].startswith("trial 0 begun, attempt 1, on ")
    assert told[2] == "trial 0 done: [0.6]"
    assert told[-1] == "trial 1 set aside: None at all."
    assert told.index("paused") < told.index("resumed")


def test_the_log_tells_the_freezing_of_verdicts_from_the_making_of_a_model(
    administrator,
):
    job = make_search(administrator, budget=1, workers=1, finals=0, pack="")
    search.provide(job=jobs.claim(pk=job.pk), pack="1" * 64)
    end(job, 0.6)
    jobs.claim(pk=job.pk)
    told = [line.split(" ", 2)[2] for line in progress.log(job).splitlines()]
    assert told[1].startswith("freezing of the verdicts begun, attempt 1, on ")
    assert told[-1].startswith("making of the model begun, attempt 1, on ")
    event = AuditEvent(action="job.claimed", at=job.created, detail={"attempt": 2})
    assert progress._line(event).endswith("work begun, attempt 2, on –")
