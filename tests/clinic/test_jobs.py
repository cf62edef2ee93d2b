"""A job's life, told by its row: one holder at a time, no state without an exit."""

from datetime import timedelta

import pytest
from celery import signals
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from clinic import heartbeat, jobs
from clinic.models import AuditEvent, Job
from tests.clinic.factories import (
    make_job,
    make_model,
    make_prediction,
    make_review,
    make_search,
    make_study,
)
from tests.clinic.waiting import until

pytestmark = pytest.mark.django_db


@pytest.fixture
def verdicts(radiologist):
    """Three judged studies of each kind."""
    for number in range(6):
        verdict = "fracture" if number % 2 else "no_fracture"
        make_review(make_prediction(make_study()), radiologist, verdict)


@pytest.fixture
def job(db, administrator):
    return make_job(by=administrator)


def actions():
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def expire(job):
    Job.objects.filter(pk=job.pk).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )


def test_a_job_is_started_with_the_verdicts_as_they_stand(verdicts, administrator):
    parent = make_model()
    job = jobs.start(parent=parent, by=administrator, epochs=3, seed=7)
    assert (job.state, job.seed, job.epochs, job.parent) == ("queued", 7, 3, parent)
    assert len(job.verdicts["chosen"]) == 6
    assert actions() == ["job.started"]


def test_a_second_click_starts_no_second_training(verdicts, administrator, radiologist):
    asked = {"parent": make_model(), "by": administrator, "epochs": 3}
    first = jobs.start(**asked)
    with pytest.raises(ValidationError, match=f"Training {first.pk} of just this"):
        jobs.start(**asked)
    jobs.start(**asked, seed=1)
    make_review(make_prediction(make_study()), radiologist)
    jobs.cancel(job=jobs.start(**asked), by=administrator)  # has learnt of one more
    jobs.start(**asked)
    assert Job.objects.count() == 4


def test_whom_its_parent_has_met_must_be_known_by_name(verdicts, administrator):
    old = make_model("old", stage="retired")
    old.card = {"salts": ["another"]}
    old.save()
    with pytest.raises(ValidationError, match="do not go on from it"):
        jobs.start(parent=old, by=administrator, epochs=1)
    jobs.start(parent=make_model(), by=administrator, epochs=1)


def test_too_few_verdicts_are_refused_in_a_sentence(administrator):
    with pytest.raises(ValidationError, match="0 studies with and 0 without"):
        jobs.start(parent=make_model(), by=administrator, epochs=1)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 10_000},
        {"rate": 0.0},
        {"rate": 5.0},
        {"rate": float("nan")},
        {"seed": -1},
        {"seed": 2**31},
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_field(verdicts, administrator, wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        jobs.start(parent=make_model(), by=administrator, **{"epochs": 1} | wrong)


def test_who_claims_holds_it_until_the_lease_ends(job):
    held = jobs.claim(pk=job.pk)
    assert held.state == "running"
    assert jobs.claim(pk=job.pk) is None
    expire(job)
    second = jobs.claim(pk=job.pk)
    assert second.holder != held.holder
    assert second.attempts == 2
    for verb in (
        lambda: jobs.beat(job=held, done=1.0),
        lambda: jobs.note(job=held, commit="x"),
        lambda: jobs.fail(job=held, reason="late"),
        lambda: jobs.finish(job=held, candidate=make_model(), compared={}),
    ):
        with pytest.raises(jobs.ClaimLost):
            verb()
    jobs.beat(job=second, done=0.5)
    job.refresh_from_db()
    assert (job.done, job.commit, job.state) == (0.5, "", "running")


def test_one_job_runs_at_a_time(job, administrator):
    waiting = make_job(by=administrator)
    assert jobs.claim(pk=job.pk)
    assert jobs.claim(pk=waiting.pk) is None
    assert list(Job.objects.due()) == []
    expire(job)
    assert list(Job.objects.due()) == [job]


def test_a_training_that_always_breaks_off_is_set_aside_in_words(job, settings):
    settings.MAX_ATTEMPTS = 2
    for _ in range(2):
        assert jobs.claim(pk=job.pk)
        expire(job)
    assert jobs.claim(pk=job.pk) is None
    job.refresh_from_db()
    assert (job.state, job.holder) == ("failed", "")
    assert job.reason == "The training broke off 2 times without an answer."
    assert actions()[-1] == "job.failed"


@pytest.mark.parametrize(
    ("pack", "what"),
    [("", "freezing of the verdicts"), ("1" * 64, "making of the model")],
)
def test_what_breaks_off_in_a_search_is_called_by_its_name(
    administrator, settings, pack, what
):
    settings.MAX_ATTEMPTS = 1
    job = make_search(administrator, pack=pack)
    job.trials.update(state="done", values=[0.5])
    with pytest.raises(KeyError), jobs.outcome(jobs.claim(pk=job.pk)):
        raise KeyError
    job.refresh_from_db()
    assert job.reason == f"The {what} ended with an error: KeyError."
    jobs.resume(job=job, by=administrator)
    assert jobs.claim(pk=job.pk)
    expire(job)
    assert jobs.claim(pk=job.pk) is None
    job.refresh_from_db()
    assert job.reason == f"The {what} broke off 1 times without an answer."


def test_a_training_that_learnt_an_epoch_counts_its_attempts_anew(job, settings):
    settings.MAX_ATTEMPTS = 2
    for epoch in range(1, 5):
        held = jobs.claim(pk=job.pk)
        jobs.beat(job=held, history=[{"epoch": n + 1} for n in range(epoch)])
        expire(job)
    held = jobs.claim(pk=job.pk)
    assert held.attempts == 2
    jobs.beat(job=held, history=held.history)  # nothing new
    expire(job)
    assert jobs.claim(pk=job.pk) is None


def test_a_worker_that_is_to_stop_claims_no_job(job, monkeypatch):
    monkeypatch.setattr(heartbeat, "_stopping", False)
    signals.worker_shutting_down.send(sender="training", sig="SIGTERM", how="Warm")
    assert jobs.claim(pk=job.pk) is None
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 0)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_to_stop_gives_its_job_back(monkeypatch):
    monkeypatch.setattr(heartbeat, "_stopping", False)
    held = jobs.claim(pk=make_job().pk)
    with jobs.outcome(held), jobs.alive(held):
        heartbeat.stop_soon()
        until(lambda: Job.objects.get().state != "running")
        jobs.beat(job=held)
        raise AssertionError("went on after the claim was given back")
    row = Job.objects.get()
    assert (row.state, row.attempts, row.step) == ("queued", 0, jobs.STOPPED)


def test_a_beat_writes_down_progress_and_the_last_lines(job, monkeypatch):
    monkeypatch.setattr(jobs, "KEPT", 2)
    held = jobs.claim(pk=job.pk)
    for number in range(3):
        jobs.beat(job=held, line=f"line {number}\n\x1b[31m", worked=1.5)
    job.refresh_from_db()
    lines = job.log.splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["line 1 [31m", "line 2 [31m"]
    assert job.seconds == 4.5
    assert job.lease_until > timezone.now()


def test_cancelling_takes_the_job_from_its_worker_at_the_next_beat(job, administrator):
    held = jobs.claim(pk=job.pk)
    jobs.cancel(job=job, by=administrator)
    with pytest.raises(jobs.ClaimLost):
        jobs.beat(job=held)
    job.refresh_from_db()
    assert (job.state, job.holder, job.lease_until) == ("cancelled", "", None)
    assert job.ended
    with pytest.raises(ValidationError, match="cancelled already"):
        jobs.cancel(job=job, by=administrator)
    assert actions() == ["job.claimed", "job.cancelled"]


def test_what_was_cancelled_or_failed_can_go_on(job, administrator):
    with pytest.raises(ValidationError, match="Only a paused, cancelled or failed"):
        jobs.resume(job=job, by=administrator)
    jobs.cancel(job=job, by=administrator)
    jobs.resume(job=job, by=administrator)
    held = jobs.claim(pk=job.pk)
    jobs.fail(job=held, reason="No luck.")
    job.refresh_from_db()
    assert (job.state, job.reason) == ("failed", "No luck.")
    resumed = jobs.resume(job=job, by=administrator)
    assert (resumed.state, resumed.reason, resumed.attempts) == ("queued", "", 0)
    assert resumed.ended is None
    assert jobs.claim(pk=job.pk)


def test_what_waits_for_the_pacs_costs_no_attempt(job):
    held = jobs.claim(pk=job.pk)
    jobs.give_back(job=held, pause=timedelta(seconds=60), step="the PACS is away")
    job.refresh_from_db()
    assert (job.state, job.attempts, job.step) == ("queued", 0, "the PACS is away")
    assert not Job.objects.due()


def test_a_finished_job_names_its_candidate_and_is_over(job, administrator):
    held = jobs.claim(pk=job.pk)
    candidate = make_model("new", stage="candidate")
    jobs.finish(job=held, candidate=candidate, compared={"candidate": {}})
    job.refresh_from_db()
    assert (job.state, job.candidate, job.done) == ("done", candidate, job.epochs)
    for verb in jobs.cancel, jobs.resume:
        with pytest.raises(ValidationError, match="done"):
            verb(job=job, by=administrator)
    assert jobs.claim(pk=job.pk) is None


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("job_state", {"state": "lost"}),
        ("job_kind", {"kind": "dance"}),
        ("running_means_one_holder", {"state": "running"}),
        ("running_means_one_holder", {"holder": "somebody"}),
        ("failed_job_has_a_reason", {"state": "failed"}),
        ("done_means_a_candidate", {"state": "done"}),
        ("running_means_one_holder", {"kind": "measure", "state": "running"}),
        ("job_state", {"kind": "measure", "state": "paused"}),
    ],
)
def test_the_database_refuses_what_makes_no_sense(job, name, changes):
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**changes)


def test_the_database_lets_one_run_at_a_time(job, administrator):
    running = {"state": "running", "holder": "x", "lease_until": timezone.now()}
    other = make_job(by=administrator)
    Job.objects.filter(pk=job.pk).update(**running)
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=other.pk).update(**running)


@pytest.mark.django_db(transaction=True)
def test_a_heart_beats_while_the_work_says_nothing(administrator, settings):
    settings.LEASE_SECONDS = 1.2
    job = make_job(by=administrator)
    held = jobs.claim(pk=job.pk)
    first = held.lease_until
    with jobs.alive(held):
        deadline = timezone.now() + timedelta(seconds=10)
        while job.lease_until in (None, first) and timezone.now() < deadline:
            job.refresh_from_db()
    assert job.lease_until > first
