"""A search goes on by itself: asked, told, the best at length, concluded."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from clinic import audit, jobs, progress, search, trials
from clinic.claims import lease
from clinic.models import AuditEvent, Job, Trial
from clinic.trials import Outcome
from search.hardware import every_piece
from search.spaces import SPACES
from search.strategies import STRATEGIES
from tests.clinic.factories import make_job, make_model, make_search
from tests.search.strategies.letters import Letters, cost, fitness

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def letters(monkeypatch):
    """A space that is quick to count, beside the real ones."""
    monkeypatch.setitem(SPACES, "letters", Letters())
    return SPACES["letters"]


def make(by, **wanted):
    return make_search(by, **{"space": "letters"} | wanted)


def end(trial, space):
    """Claimed and finished by one worker, as good as its letters are right."""
    held = trials.claim(pk=trial.pk)
    architecture = space.from_json(held.architecture)
    trials.finish(trial=held, outcome=Outcome([fitness(architecture)]))


def waiting(job):
    return list(job.trials.filter(state="queued").order_by("number"))


def numbers(rows):
    return [trial.number for trial in rows]


def test_a_search_begins_with_a_candidate_a_worker(administrator):
    job = make(administrator)
    assert (job.kind, job.state) == ("search", "queued")
    assert numbers(waiting(job)) == [0, 1]
    assert [entry[0] for entry in job.asked] == ["ask", "ask"]
    said = AuditEvent.objects.get()
    assert (said.action, said.detail["strategy"]) == ("search.started", "evolution")


def test_whoever_ends_a_trial_asks_for_the_next(administrator, letters):
    """Nobody waits for a generation, and no candidate comes twice."""
    job = make(administrator, budget=6)
    first, second = waiting(job)
    end(second, letters)
    assert numbers(waiting(job)) == [0, 2]
    end(first, letters)
    assert numbers(waiting(job)) == [2, 3]
    job.refresh_from_db()
    assert (job.state, job.done) == ("running", 2)
    assert [entry[:2] for entry in job.asked if entry[0] == "tell"] == [
        ["tell", 1],
        ["tell", 0],
    ]


def test_after_the_budget_the_best_are_trained_at_length_and_then_it_is_over(
    administrator, letters
):
    job = make(administrator, budget=5)
    while rows := waiting(job):
        if rows[0].stage == "final":
            break
        end(rows[0], letters)
    candidates = job.trials.filter(stage="candidate", state="done")
    candidates = candidates.order_by("number")
    assert candidates.count() == 5
    best = sorted(candidates, key=lambda trial: trial.values, reverse=True)[:2]
    finals = waiting(job)
    assert [t.architecture for t in finals] == [t.architecture for t in best]
    assert not search.is_over(job)
    asked = Job.objects.get().asked
    for trial in finals:
        end(trial, letters)
    assert search.is_over(job)
    assert Job.objects.get().asked == asked  # the strategy has nothing to learn there
    model = make_model("won", stage="candidate")
    search.conclude(job=job, candidate=model, compared={"candidate": {}})
    job.refresh_from_db()
    assert (job.state, job.candidate, job.done) == ("done", model, 7)
    assert job.ended
    with pytest.raises(ValidationError, match="has ended already"):
        search.conclude(job=job, candidate=model, compared={})
    assert audit.verify() == []


def test_a_search_that_goes_on_is_not_concluded(administrator, letters):
    job = make(administrator)
    end(waiting(job)[0], letters)
    with pytest.raises(ValidationError, match="goes on"):
        search.conclude(job=job, candidate=make_model("x"), compared={})


def spend(job, hours):
    Job.objects.filter(pk=job.pk).update(seconds=hours * 3600)


def test_after_its_hours_no_candidate_is_asked_for_or_begun(administrator, letters):
    """What runs comes to its end, then the best at length, however long they take."""
    job = make(administrator, budget=None, hours=2.0, fits=5, workers=3, finals=2)
    assert (job.parameters["planned"], search.until(job)) == (5, "2 h")
    for _ in range(7):  # more than were thought to fit
        end(waiting(job)[0], letters)
    held = trials.claim(pk=waiting(job)[0].pk)
    spend(job, 1.999)
    end(waiting(job)[0], letters)
    assert len(waiting(job)) == 2
    spend(job, 2)
    late = waiting(job)
    for trial in late:
        assert trials.claim(pk=trial.pk) is None
        trial.refresh_from_db()
        assert (trial.state, trial.reason) == ("failed", search.LATE)
    assert not waiting(job)
    architecture = letters.from_json(held.architecture)
    trials.finish(trial=held, outcome=Outcome([fitness(architecture)]))
    finals = waiting(job)
    assert [trial.stage for trial in finals] == ["final"] * 2
    assert numbers(finals) == [11, 12]
    for trial in finals:
        end(trial, letters)
    assert search.is_over(job)


def test_a_candidate_that_broke_off_is_gone_on_with_after_the_hours(
    administrator, letters
):
    job = make(administrator, hours=2.0, workers=1)
    held = trials.claim(pk=waiting(job)[0].pk)
    spend(job, 3)
    Trial.objects.update(lease_until="2001-01-01T00:00:00Z")
    again = trials.claim(pk=held.pk)
    assert again.attempts == 2


@pytest.mark.parametrize("end_of_worker", [trials.give_back, trials.fail])
def test_a_candidate_that_was_begun_is_not_late_though_it_waits_again(
    administrator, letters, end_of_worker
):
    job = make(administrator, hours=2.0, workers=1)
    held = trials.claim(pk=waiting(job)[0].pk)
    trials.beat(trial=held, done=0.6, kept=0.5, worked=60.0)
    spend(job, 3)
    end_of_worker(trial=held, reason="A hiccup.")
    Trial.objects.update(due_at="2001-01-01T00:00:00Z")
    assert trials.claim(pk=held.pk)
    assert not AuditEvent.objects.filter(action="trial.set_aside").exists()


def test_of_trials_and_hours_what_comes_first_ends_it(administrator, letters):
    job = make(administrator, budget=2, hours=8.0, fits=40, workers=1, finals=0)
    assert (job.parameters["planned"], search.until(job)) == (2, "2 trials or 8 h")
    for _ in range(2):
        end(waiting(job)[0], letters)
    assert search.is_over(job)


def test_what_decays_runs_over_what_is_expected_to_fit(administrator):
    job = make(administrator, budget=None, hours=8.0, fits=40)
    assert search.strategy_of(job).budget == 40


def test_a_search_whose_space_is_exhausted_ends_before_its_budget(administrator):
    small = SPACES["letters"] = Letters(2)
    job = make(administrator, budget=100, finals=0)
    while rows := waiting(job):
        end(rows[0], small)
    assert job.trials.count() == len(small.everything())
    assert search.is_over(job)


def test_costly_candidates_are_rejected_before_training(administrator, letters):
    job = make(administrator, budget=12, finals=0, most={"parameters": 3})
    while rows := waiting(job):
        end(rows[0], letters)
    asked = [letters.from_json(row.architecture) for row in job.trials.all()]
    assert len(asked) == 12
    assert max(map(cost, asked)) <= 3
    with pytest.raises(ValidationError, match="No candidate keeps within"):
        make(administrator, most={"madds": -1})
    assert Job.objects.count() == 1


@pytest.fixture
def table():
    """Every piece takes a millisecond, whatever it is."""
    times = {piece.key: 1.0 for piece in every_piece("ofa-1.2", 96, 64)}
    fitted = {"slope": 1.0, "intercept": 0.0, "error": 0.05, "ranking": 1.0}
    return (
        {"space": "ofa-1.2", "height": 96, "width": 64}
        | fitted
        | {
            "times": times,
            "machine": {},
        }
    )


def test_predicted_latency_rejects_before_training_too(administrator, table):
    """As many milliseconds as blocks, and three more."""
    space = SPACES["ofa-1.2"]
    job = make_search(
        administrator, workers=4, latency=table, size=(96, 64), most={"latency": 17}
    )
    asked = [space.from_json(trial.architecture) for trial in job.trials.all()]
    assert len(asked) == 4
    assert max(sum(a.depths) for a in asked) <= 14 < sum(space.start.depths)


def test_a_latency_table_that_does_not_fit_is_refused(administrator, table):
    with pytest.raises(ValidationError, match="off by 30%"):
        make_search(administrator, latency=table | {"error": 0.3})
    with pytest.raises(ValidationError, match=r"is of ofa-1\.2"):
        make_search(administrator, latency=table, size=(96, 64), space="ofa-1.0")
    for other in ((64, 96), (96, 96), (224, 224)):
        measure = rf"at 96×64.*at {other[0]}×{other[1]}.*--size {other[0]} {other[1]}$"
        with pytest.raises(ValidationError, match=measure.replace("$", "'")):
            make_search(administrator, latency=table, size=other)
    with pytest.raises(ValidationError, match="name latency"):
        make_search(administrator, most={"latency": 17})


def test_a_search_in_which_everything_fails_says_so(administrator, monkeypatch):
    monkeypatch.setattr(trials, "TRIES", 1)
    job = make(administrator, budget=2)
    for trial in waiting(job):
        trials.fail(trial=trials.claim(pk=trial.pk), reason="No luck.")
    job.refresh_from_db()
    assert (job.state, job.trials.filter(stage="final").count()) == ("failed", 0)
    assert "No candidate could be trained" in job.reason


def test_one_search_runs_at_a_time_and_the_next_takes_its_turn(administrator, letters):
    first, second = make(administrator, budget=1, finals=0), make(administrator)
    assert trials.claim(pk=waiting(second)[0].pk) is None
    end(waiting(first)[0], letters)
    assert trials.claim(pk=waiting(second)[0].pk) is None
    search.conclude(job=first, candidate=make_model("x"), compared={})
    assert trials.claim(pk=waiting(second)[0].pk)


def test_a_search_that_waits_for_the_pacs_holds_up_no_later_one(administrator, letters):
    """Nor one whose model waits for the store; each takes its turn once it can."""
    first, second = make(administrator, pack=""), make(administrator, workers=1)
    third = make(administrator)
    held = jobs.claim(pk=first.pk)
    assert not Trial.objects.due().exists()  # its verdicts are being frozen
    jobs.give_back(job=held, pause=jobs.AGAIN, step="waiting for the PACS")
    assert list(Trial.objects.due()) == waiting(second)
    Job.objects.filter(pk=second.pk).update(due_at="2999-01-01T00:00:00Z")
    assert list(Trial.objects.due()) == waiting(third)
    Job.objects.update(due_at="2001-01-01T00:00:00Z")
    end(waiting(second)[0], letters)
    assert jobs.claim(pk=first.pk) is None  # one at a time
    jobs.cancel(job=second, by=administrator)
    search.provide(job=jobs.claim(pk=first.pk), pack="1" * 64)
    assert list(Trial.objects.due()) == waiting(first)


def test_a_search_that_waits_does_not_hold_up_the_one_that_runs(administrator, letters):
    """Not even one that came first, and was paused."""
    first, second = make(administrator), make(administrator)
    search.pause(job=first, by=administrator)
    end(waiting(second)[0], letters)
    jobs.resume(job=first, by=administrator)
    third = make(administrator)
    assert list(Trial.objects.due()) == waiting(second)
    assert numbers(waiting(first)) == numbers(waiting(third)) == [0, 1]
    assert trials.sweep() == [trial.pk for trial in waiting(second)]


def test_a_training_runs_beside_a_search(administrator):
    job = make(administrator)
    assert trials.claim(pk=waiting(job)[0].pk)
    assert jobs.claim(pk=job.pk) is None
    assert not Job.objects.due().exists()


def test_cancelled_and_resumed_it_goes_on_where_it_was(administrator, letters):
    job = make(administrator)
    first, second = waiting(job)
    end(first, letters)
    held = trials.claim(pk=second.pk)
    jobs.cancel(job=job, by=administrator)
    for verb in (
        lambda: trials.beat(trial=held, done=0.5),
        lambda: trials.finish(trial=held, outcome=Outcome([1.0])),
    ):
        with pytest.raises(jobs.ClaimLost):
            verb()
    trials.give_back(trial=held)
    assert not Trial.objects.due().exists()
    before = Job.objects.get().asked
    jobs.resume(job=job, by=administrator)
    assert numbers(Trial.objects.due()) == [1, 2]
    again = trials.claim(pk=second.pk)
    assert again.attempts == 1
    job.refresh_from_db()
    assert (job.state, job.asked) == ("running", before)


def die(pk):
    """Killed as often as it is tried, by whatever asks nobody."""
    for _ in range(trials.TRIES):
        assert trials.claim(pk=pk)
        Trial.objects.filter(pk=pk).update(lease_until="2001-01-01T00:00:00Z")
    trials.sweep()


@pytest.mark.parametrize("name", STRATEGIES)
def test_resumed_who_was_killed_gets_another_chance_and_who_failed_does_not(
    administrator, letters, name
):
    job = make(administrator, strategy=name)
    killed, poisoned = waiting(job)
    die(killed.pk)
    for _ in range(trials.TRIES):
        Trial.objects.update(due_at="2001-01-01T00:00:00Z")
        trials.fail(trial=trials.claim(pk=poisoned.pk), reason="Not a number.")
    job.refresh_from_db()
    assert [e[1:] for e in job.asked if e[0] == "tell"] == [[0, None], [1, None]]
    search.pause(job=job, by=administrator)
    jobs.resume(job=job, by=administrator)
    killed.refresh_from_db()
    poisoned.refresh_from_db()
    assert (killed.state, killed.reason, killed.tries) == ("queued", "", 0)
    assert (killed.ended, killed.attempts) == (None, 2)
    assert (poisoned.state, poisoned.reason) == ("failed", "Not a number.")
    job.refresh_from_db()
    assert (job.done, job.state) == (1, "queued")
    assert [e[1:] for e in job.asked if e[0] == "tell"] == [[1, None]]
    end(killed, letters)
    while waiting(job):
        end(waiting(job)[0], letters)
    job.refresh_from_db()
    told = [e[1] for e in job.asked if e[0] == "tell"]
    assert sorted(told) == list(range(job.parameters["budget"]))
    lines = progress.log(job).splitlines()
    assert sum("trial 0, which had broken off, gets another" in li for li in lines) == 1
    assert not any("trial 1, which" in line for line in lines)


def test_what_is_killed_again_is_set_aside_again(administrator):
    job = make(administrator)
    killed = waiting(job)[0]
    for _ in range(2):
        die(killed.pk)
        killed.refresh_from_db()
        assert killed.state == "failed"
        search.pause(job=job, by=administrator)
        jobs.resume(job=job, by=administrator)
    assert Trial.objects.get(pk=killed.pk).attempts == 2 * trials.TRIES


def test_a_search_of_which_all_were_killed_can_be_resumed(administrator, letters):
    job = make(administrator, budget=1, workers=1, finals=0)
    die(job.trials.get().pk)
    job.refresh_from_db()
    assert job.state == "failed"
    jobs.resume(job=job, by=administrator)
    end(job.trials.get(), letters)
    assert search.is_over(job)


def test_once_the_best_were_chosen_only_one_of_them_gets_another_chance(
    administrator, letters
):
    job = make(administrator, budget=3, workers=1, finals=1)
    die(waiting(job)[0].pk)
    for _ in range(2):
        end(waiting(job)[0], letters)
    (final,) = waiting(job)
    assert final.stage == "final"
    die(final.pk)
    Job.objects.update(state="failed", reason="No room on the disk.")
    before = Job.objects.get().asked
    jobs.resume(job=Job.objects.get(), by=administrator)
    assert numbers(waiting(job)) == [final.number]
    assert Job.objects.get().asked == before
    assert job.trials.get(number=0).state == "failed"


def test_paused_it_begins_nothing_and_what_runs_comes_to_its_end(
    administrator, letters
):
    job = make(administrator)
    first, second = waiting(job)
    held = trials.claim(pk=first.pk)
    search.pause(job=job, by=administrator)
    assert trials.claim(pk=second.pk) is None
    trials.beat(trial=held, done=0.5)
    trials.finish(trial=held, outcome=Outcome([1.0]))
    assert not Trial.objects.due().exists()
    assert numbers(waiting(job)) == [1, 2]
    other = make(administrator)
    end(waiting(other)[0], letters)  # its turn meanwhile
    jobs.cancel(job=other, by=administrator)
    jobs.resume(job=job, by=administrator)
    assert numbers(Trial.objects.due()) == [1, 2]
    said = AuditEvent.objects.filter(target=f"job/{job.pk}")
    assert {"search.paused", "job.resumed"} <= {event.action for event in said}


def test_a_trial_that_runs_on_while_its_search_is_resumed_is_not_lost(administrator):
    job = make(administrator)
    held = trials.claim(pk=waiting(job)[0].pk)
    search.pause(job=job, by=administrator)
    jobs.resume(job=job, by=administrator)
    trials.finish(trial=held, outcome=Outcome([1.0]))
    assert job.trials.get(pk=held.pk).state == "done"


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_only_what_waits_or_runs_can_pause(administrator, state):
    job = make(administrator)
    Job.objects.update(state=state)
    with pytest.raises(ValidationError, match=f"this is {state}"):
        search.pause(job=job, by=administrator)


def test_a_training_cannot_pause(administrator):
    with pytest.raises(IntegrityError, match="job_state"), transaction.atomic():
        make_job(by=administrator, state="paused")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("space", {"space": "mars"}),
        ("strategy", {"strategy": "luck"}),
        ("budget", {"budget": 0}),
        ("budget", {"budget": None}),
        ("hours", {"hours": 0.0}),
        ("hours", {"hours": float("nan")}),
        ("workers", {"workers": 0}),
        ("finals", {"finals": -1}),
        ("seed", {"seed": -1}),
        ("objectives", {"objectives": 2}),
        ("most", {"most": {"beauty": 1}}),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_field(administrator, field, wrong):
    with pytest.raises(ValidationError) as refused:
        make(administrator, **wrong)
    assert list(refused.value.message_dict) == [field]
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", [n for n in STRATEGIES if not STRATEGIES[n].stateful])
def test_rows_keep_a_strategy_as_well_as_memory_does(administrator, letters, name):
    """The same answers in the same order, with a process a step."""
    job = make(administrator, strategy=name, budget=12, workers=1, finals=0, seed=5)
    while rows := waiting(job):
        end(rows[0], letters)
    memory = STRATEGIES[name](letters, seed=5, budget=12)
    for _ in range(12):
        architecture = memory.ask()
        memory.tell(architecture, [fitness(architecture)])
    job.refresh_from_db()
    assert job.asked == memory.log


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("trial_state", {"state": "lost"}),
        ("trial_stage", {"stage": "dance"}),
        ("running_trial_has_one_holder", {"state": "running"}),
        ("running_trial_has_one_holder", {"holder": "somebody"}),
        ("failed_trial_has_a_reason", {"state": "failed"}),
        ("trial_tries_are_attempts", {"tries": 1}),
        ("trial_kept_is_a_share", {"kept": 1.5}),
        ("trial_kept_is_a_share", {"kept": -0.5}),
        ("done_trial_has_values", {"state": "done"}),
        ("done_trial_has_values", {"values": [1.0]}),
    ],
)
def test_the_database_refuses_what_makes_no_sense(administrator, name, changes):
    job = make(administrator, workers=1)
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        job.trials.update(**changes)


def test_the_database_refuses_to_train_a_candidate_twice(administrator):
    first, second = waiting(make(administrator))
    with pytest.raises(IntegrityError), transaction.atomic():
        Trial.objects.filter(pk=second.pk).update(key=first.key)
    with pytest.raises(IntegrityError), transaction.atomic():
        Trial.objects.filter(pk=second.pk).update(number=first.number)


def test_a_search_has_a_holder_and_a_lease_or_neither(administrator):
    job = make(administrator)
    Job.objects.filter(pk=job.pk).update(state="running")
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(holder="somebody")
    Job.objects.filter(pk=job.pk).update(holder="somebody", lease_until=lease())
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(state="queued")


def test_a_search_is_to_be_had_once_its_trials_have_ended(administrator, letters):
    job = make(administrator, budget=1, workers=1, finals=1)
    for stage in ("candidate", "final"):
        assert jobs.claim(pk=job.pk) is None
        assert not Job.objects.over().exists()
        end(job.trials.get(stage=stage), letters)
    assert Job.objects.over().get() == job
    assert not Job.objects.due().exists()  # for the training worker
    held = jobs.claim(pk=job.pk)
    assert (held.state, held.attempts) == ("running", 1)
    assert jobs.claim(pk=job.pk) is None
    assert search.best(held.trials.all()).stage == "final"
    jobs.fail(job=held, reason="No room on the disk.")
    jobs.resume(job=held, by=administrator)
    assert jobs.claim(pk=job.pk).state == "running"


def test_a_search_without_any_answer_cannot_be_resumed(administrator):
    job = make(administrator, budget=1, workers=1)
    for _ in range(trials.TRIES):
        held = trials.claim(pk=job.trials.get().pk)
        trials.fail(trial=held, reason="Nothing was learnt.")
        Trial.objects.update(due_at="2001-01-01T00:00:00Z")
    job.refresh_from_db()
    assert job.state == "failed"
    with pytest.raises(ValidationError, match="None of its candidates"):
        jobs.resume(job=job, by=administrator)


def test_the_best_is_of_those_trained_at_length_once_there_are_any():
    def trial(number, value, stage="candidate", state="done"):
        return Trial(number=number, values=[value], stage=stage, state=state)

    brief = [trial(0, 0.6), trial(1, 0.8), trial(2, 0.8), trial(3, 0.9, state="failed")]
    long = [trial(4, 0.7, "final"), trial(5, 0.95, "final", "running")]
    assert search.best([]) is None
    assert search.best(brief).number == 1
    assert search.best([*brief, *long]).number == 4
