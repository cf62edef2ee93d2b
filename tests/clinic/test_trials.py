"""A trial's life, told by its row; workers that die, hang, fail and come late."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from clinic import heartbeat, jobs, progress, trials
from clinic.models import AuditEvent, Job, Trial
from clinic.trials import Outcome
from search.spaces import SPACES
from tests.clinic.factories import make_search
from tests.clinic.waiting import until

pytestmark = pytest.mark.django_db
SPACE = SPACES["ofa-1.2"]


@pytest.fixture
def job(administrator):
    return make_search(administrator, finals=0)


@pytest.fixture
def trial(job):
    return job.trials.get(number=0)


def now_due():
    Trial.objects.update(due_at=timezone.now() - timedelta(seconds=1))


def expire():
    past = timezone.now() - timedelta(seconds=1)
    Trial.objects.filter(state="running").update(lease_until=past)


def told(job):
    job.refresh_from_db()
    return [entry[1:] for entry in job.asked if entry[0] == "tell"]


def train(trial, tell):
    """Real but tiny: a polynomial, as long as the network is deep, fitted to points
    of a sine and judged on others."""
    degree = sum(SPACE.from_json(trial.architecture).depths) - 7
    rng = np.random.default_rng(0)
    x, unseen = rng.uniform(-2, 2, 60), np.linspace(-2, 2, 50)
    fitted = np.polynomial.Polynomial.fit(x, np.sin(2 * x), degree)
    tell(0.5, 0.0)
    error = float(np.abs(fitted(unseen) - np.sin(2 * unseen)).mean())
    return Outcome([-error], {"degree": degree})


def test_a_worker_sees_a_search_through(job):
    while pks := trials.sweep():
        trials.work(trial_id=pks[0], evaluate=train)
    rows = list(job.trials.order_by("number"))
    assert [row.state for row in rows] == ["done"] * 4
    assert all(row.values == list(train(row, lambda *_: None).values) for row in rows)
    assert all(row.done == 1 and row.ended and not row.reason for row in rows)
    assert rows[0].measured.keys() == {"degree"}
    assert len(told(job)) == 4


def test_who_claims_holds_it_until_the_lease_ends(trial):
    held = trials.claim(pk=trial.pk)
    assert (held.state, held.attempts) == ("running", 1)
    assert trials.claim(pk=trial.pk) is None
    expire()
    second = trials.claim(pk=trial.pk)
    assert (second.attempts, second.holder == held.holder) == (2, False)
    for verb in (
        lambda: trials.beat(trial=held, done=0.1),
        lambda: trials.finish(trial=held, outcome=Outcome([9.0])),
        lambda: trials.fail(trial=held, reason="late"),
    ):
        with pytest.raises(jobs.ClaimLost):
            verb()
    trials.give_back(trial=held)
    trials.beat(trial=second, done=0.5, worked=3.0)
    trial.refresh_from_db()
    assert (trial.state, trial.done, trial.seconds) == ("running", 0.5, 3.0)
    assert trial.holder == second.holder


def test_what_broke_off_runs_again_and_after_two_tries_is_set_aside(job, trial):
    """No worker lives to say so: the sweep does, and the search goes on without."""
    for attempt in (1, 2):
        assert trial.pk in trials.sweep()
        assert trials.claim(pk=trial.pk).attempts == attempt
        assert trial.pk not in trials.sweep()
        expire()
    due = trials.sweep()
    trial.refresh_from_db()
    assert (trial.state, trial.holder) == ("failed", "")
    assert "broke off 2 times" in trial.reason
    assert told(job) == [[0, None]]
    assert sorted(
        Trial.objects.filter(pk__in=due).values_list("number", flat=True)
    ) == [
        1,
        2,
    ]
    assert AuditEvent.objects.filter(action="trial.set_aside").count() == 1


def test_who_came_further_may_be_killed_as_often_as_that(job, trial):
    for epoch in range(1, 6):
        held = trials.claim(pk=trial.pk)
        trials.beat(trial=held, done=epoch / 10 + 0.05, kept=epoch / 10)
        expire()
        assert trial.pk in trials.sweep()
    trial.refresh_from_db()
    assert (trial.state, trial.attempts, trial.tries) == ("running", 5, 0)
    assert (trial.kept, told(job)) == (0.5, [])


@pytest.mark.parametrize("kept", [0.25, 0.5], ids=["from the start", "here"])
def test_who_dies_twice_and_comes_no_further_is_set_aside(job, trial, kept):
    """Also on a machine that had to begin from the start."""
    trials.beat(trial=trials.claim(pk=trial.pk), done=0.6, kept=0.5)
    expire()
    for _ in range(2):
        trials.beat(trial=trials.claim(pk=trial.pk), done=0.6, kept=kept)
        expire()
    assert trial.pk not in trials.sweep()
    trial.refresh_from_db()
    assert (trial.state, trial.attempts) == ("failed", 3)
    assert trial.reason == "The training broke off 2 times and came no further."
    assert told(job) == [[0, None]]


def test_deaths_at_two_points_are_none_at_the_same(trial):
    for kept in (0.0, 0.5, 0.5):
        trials.beat(trial=trials.claim(pk=trial.pk), done=kept, kept=kept)
        expire()
        assert trial.pk in trials.sweep()


def test_a_candidate_that_fails_where_it_is_counts_though_it_came_there(job, trial):
    def poisoned(trial, tell):
        tell(0.6, 0.5)
        raise ValueError("The loss is not a number.")

    for state in ("queued", "failed"):
        trials.work(trial_id=trial.pk, evaluate=poisoned)
        trial.refresh_from_db()
        assert trial.state == state
        now_due()
    assert (trial.attempts, trial.tries, told(job)) == (2, 2, [[0, None]])


def test_a_poisoned_candidate_is_tried_twice_and_set_aside_in_words(job, trial):
    def poisoned(trial, tell):
        raise ValueError("The loss is not a number.")

    trials.work(trial_id=trial.pk, evaluate=poisoned)
    trial.refresh_from_db()
    assert (trial.state, trial.attempts) == ("queued", 1)
    assert trial.due_at > timezone.now()
    assert told(job) == []
    now_due()
    trials.work(trial_id=trial.pk, evaluate=poisoned)
    trial.refresh_from_db()
    assert (trial.state, trial.reason) == ("failed", "The loss is not a number.")
    assert told(job) == [[0, None]]
    now_due()
    trials.work(trial_id=trial.pk, evaluate=poisoned)  # a late bell
    assert Trial.objects.get(pk=trial.pk).attempts == 2


def happened(job):
    """What its log tells, each line without its time."""
    return [line.split(" ", 2)[2] for line in progress.log(job).splitlines()]


def test_what_fails_once_and_then_does_not_leaves_no_reason_but_a_trace(
    job, trial, caplog
):
    def hiccup(trial, tell):
        raise ValueError("A hiccup.")

    trials.work(trial_id=trial.pk, evaluate=hiccup)
    now_due()
    trials.work(trial_id=trial.pk, evaluate=train)
    trial.refresh_from_db()
    assert (trial.state, trial.attempts, trial.reason) == ("done", 2, "")
    assert happened(job)[2] == "trial 0 failed and is tried once more: A hiccup."
    assert f"trial {trial.pk} failed: A hiccup." in caplog.messages


def test_who_gives_a_trial_back_says_why(job, trial, administrator):
    held = trials.claim(pk=trial.pk)
    trials.give_back(trial=held)
    trials.give_back(trial=held)  # it is another's by now
    trials.give_back(trial=trials.claim(pk=trial.pk), reason="The store is away.")
    now_due()
    held = trials.claim(pk=trial.pk)
    jobs.cancel(job=job, by=administrator)
    trials.give_back(trial=held)
    told = [line for line in happened(job) if "given back" in line]
    assert told == [
        f"trial 0 given back: {why}"
        for why in ("its worker was stopped", "The store is away.", trials.ENDED)
    ]


def test_an_error_of_ours_is_written_down_and_raised(trial):
    def broken(trial, tell):
        raise KeyError("P1 DOE^JANE")

    with pytest.raises(KeyError):
        trials.work(trial_id=trial.pk, evaluate=broken)
    trial.refresh_from_db()
    assert trial.reason == "The training ended with an error: KeyError."


@pytest.mark.parametrize(
    ("outcome", "where"),
    [
        (Outcome([float("nan")]), "its answer"),
        (Outcome([0.5], {"history": [{"loss": float("inf")}]}), "what was measured"),
    ],
)
def test_an_answer_that_is_no_number_fails_the_candidate(trial, outcome, where):
    trials.work(trial_id=trial.pk, evaluate=lambda *_: outcome)
    trial.refresh_from_db()
    assert (trial.state, trial.values, trial.measured) == ("queued", None, {})
    assert trial.reason == f"Not everything in {where} is a finite number."


def test_a_bell_that_rings_twice_trains_once(job, trial):
    calls = []

    def counted(trial, tell):
        calls.append(trial.pk)
        trials.work(trial_id=trial.pk, evaluate=counted)  # together
        return train(trial, tell)

    for _ in range(3):
        trials.work(trial_id=trial.pk, evaluate=counted)
    trials.work(trial_id=12345, evaluate=counted)
    assert calls == [trial.pk]
    assert len(told(job)) == 1


def test_a_search_that_is_cancelled_takes_its_trials_back_uncounted(
    job, trial, administrator
):
    def stopped(trial, tell):
        jobs.cancel(job=Job.objects.get(), by=administrator)
        tell(0.3, 0.0)
        raise AssertionError("went on after the claim was lost")

    trials.work(trial_id=trial.pk, evaluate=stopped)
    trial.refresh_from_db()
    assert (trial.state, trial.attempts, trial.reason) == ("queued", 0, "")
    assert trials.sweep() == []


@pytest.mark.django_db(transaction=True)
def test_a_heart_beats_while_a_trial_says_nothing(administrator, settings):
    settings.LEASE_SECONDS = 2
    trial = make_search(administrator, finals=0).trials.get(number=0)
    seen = []

    def slow(held, tell):
        first = held.lease_until
        until(lambda: Trial.objects.get(pk=held.pk).lease_until > first)
        seen.append(held.pk)
        return Outcome([1.0])

    trials.work(trial_id=trial.pk, evaluate=slow)
    assert seen == [trial.pk]


@pytest.fixture
def asked_to_stop(monkeypatch):
    """Asks this process to; it is well again after the test."""
    monkeypatch.setattr(heartbeat, "_stopping", False)
    return heartbeat.stop_soon


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_to_stop_gives_its_trial_back_though_its_body_is_deaf(
    administrator, asked_to_stop
):
    """As often as it likes: a restart is no fault of the candidate."""
    trial = make_search(administrator, finals=0).trials.get(number=0)
    left = []

    def deaf(held, tell):
        asked_to_stop()
        asked = timezone.now()
        until(lambda: Trial.objects.get(pk=held.pk).state != "running")
        left.append(Trial.objects.get(pk=held.pk))
        assert left[-1].due_at >= asked + trials.AGAIN  # then this one is killed
        tell(0.9, 0.0)  # what it does now concerns nobody
        raise AssertionError("went on after the claim was given back")

    for _ in range(trials.TRIES + 1):
        heartbeat._stopping = False
        now_due()
        trials.work(trial_id=trial.pk, evaluate=deaf)
    assert [(row.state, row.attempts, row.tries, row.holder) for row in left] == [
        ("queued", 0, 0, "")
    ] * 3
    trial.refresh_from_db()
    assert (trial.state, trial.reason) == ("queued", "")


def test_a_worker_that_is_to_stop_claims_nothing_more(trial, asked_to_stop):
    asked_to_stop()
    assert trials.claim(pk=trial.pk) is None
    trial.refresh_from_db()
    assert (trial.state, trial.attempts) == ("queued", 0)
