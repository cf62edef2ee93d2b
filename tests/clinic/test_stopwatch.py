"""How long a search worked: told by hearts, whoever dies, pauses or sleeps."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from clinic import jobs, search, stopwatch, trials
from clinic.models import Job
from clinic.trials import Outcome
from tests.clinic.factories import make_search

pytestmark = pytest.mark.django_db
NOON = datetime(2040, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    """A clock that stands until somebody moves it on."""
    settings.LEASE_SECONDS = 120

    class Clock:
        now = NOON

        def wait(self, seconds):
            self.now += timedelta(seconds=seconds)

    found = Clock()
    monkeypatch.setattr(timezone, "now", lambda: found.now)
    return found


@pytest.fixture
def job(clock, administrator):
    return make_search(administrator, budget=8, workers=2)


def begin(job):
    return trials.claim(pk=job.trials.filter(state="queued").first().pk)


def end(held):
    trials.finish(trial=held, outcome=Outcome([0.5]))


def worked(job):
    job.refresh_from_db()
    return job.seconds


def test_what_two_workers_do_at_once_counts_once(job, clock):
    first = begin(job)
    clock.wait(30)
    second = begin(job)
    clock.wait(30)
    end(first)
    clock.wait(15)
    trials._keep(second)
    trials._keep(second)
    clock.wait(5)
    end(second)
    assert worked(job) == 80


def test_time_in_which_nobody_works_is_not_counted(job, clock, administrator):
    end(begin(job))
    clock.wait(50)
    held = begin(job)
    clock.wait(10)
    search.pause(job=job, by=administrator)
    clock.wait(20)
    end(held)  # what ran came to its end
    clock.wait(1000)
    jobs.resume(job=job, by=administrator)
    held = begin(job)
    clock.wait(3)
    end(held)
    assert worked(job) == 33


def test_freezing_its_verdicts_and_making_its_model_take_no_hours(clock, administrator):
    job = make_search(administrator, budget=1, workers=1, finals=0, pack="")
    held = jobs.claim(pk=job.pk)
    jobs.beat(job=held, line="freezing the verdicts", worked=300)
    search.provide(job=held, pack="0" * 64)
    trial = begin(job)
    clock.wait(40)
    end(trial)
    held = jobs.claim(pk=job.pk)
    jobs.beat(job=held, line="making the model", worked=200)
    assert worked(job) == 40


def test_a_worker_that_dies_or_sleeps_is_counted_to_its_last_beat(job, clock):
    held = begin(job)
    clock.wait(20)
    trials._keep(held)
    clock.wait(500)
    again = trials.claim(pk=held.pk)  # its lease has run out
    assert again.attempts == 2
    clock.wait(10)
    trials._keep(again)
    assert worked(job) == 30
    clock.wait(121)  # a machine that was asleep
    trials._keep(again)
    clock.wait(1)
    trials._keep(again)
    assert worked(job) == 31


def test_of_two_who_count_the_same_time_one_wins(job, clock, monkeypatch):
    begin(job)
    clock.wait(10)
    true, calls = timezone.now, []

    def between():
        """Another heart beats after this one has looked."""
        if not calls:
            calls.append(1)
            stopwatch.tick(job_id=job.pk)
        return true()

    monkeypatch.setattr(timezone, "now", between)
    row = Job.objects.filter(pk=job.pk)
    assert stopwatch.tick(job_id=job.pk) == 10
    assert row.get().seconds == 10
