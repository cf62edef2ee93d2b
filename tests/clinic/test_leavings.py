"""What a job leaves on disk is told, kept while it may matter, and removed on wish."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from clinic import jobs, leavings
from clinic.models import AuditEvent, Job
from tests.clinic.factories import make_job, make_model

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_root(settings, tmp_path):
    settings.DATA_ROOT = tmp_path


def make_files(job):
    folder = leavings.room(job) / f"verdicts-{job.pk}"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(bytes(1000))
    (folder / "examples.csv").write_bytes(bytes(24))
    return job


@pytest.fixture
def failed(administrator):
    return make_files(make_job(by=administrator, state="failed", reason="Too few."))


def done(administrator, stage):
    job = make_job(by=administrator, parent=make_model("before", "retired"))
    made = make_model("made", stage)
    jobs.finish(job=jobs.claim(pk=job.pk), candidate=made, compared={})
    return make_files(Job.objects.get(pk=job.pk))


def clear(job, by, capture):
    with capture(execute=True):
        return leavings.clear(job=job, by=by)


def test_its_size_is_that_of_its_files(failed, administrator):
    assert leavings.size(failed) == 1024
    assert leavings.size(make_job(by=administrator)) == 0


def test_removed_they_are_gone_and_the_record_says_how_much(
    failed, administrator, django_capture_on_commit_callbacks
):
    clear(failed, administrator, django_capture_on_commit_callbacks)
    assert not leavings.room(failed).exists()
    failed.refresh_from_db()
    assert failed.cleared
    event = AuditEvent.objects.get(action="job.cleared")
    assert (event.actor, event.detail["bytes"]) == (administrator, 1024)
    with pytest.raises(ValidationError, match="files were removed"):
        jobs.resume(job=failed, by=administrator)


def test_others_keep_theirs(failed, administrator, django_capture_on_commit_callbacks):
    other = make_files(make_job(by=administrator))
    clear(failed, administrator, django_capture_on_commit_callbacks)
    assert leavings.size(other) == 1024


def test_what_broke_off_before_the_commit_removed_nothing(failed, administrator):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        leavings.clear(job=failed, by=administrator)
        raise ZeroDivisionError
    assert leavings.size(failed) == 1024


def test_a_job_that_may_go_on_keeps_them(administrator):
    job = make_files(make_job(by=administrator))
    with pytest.raises(ValidationError, match="not over"):
        leavings.clear(job=job, by=administrator)


@pytest.mark.parametrize(
    ("stage", "words"),
    [("candidate", "candidate"), ("shadow", "in the shadow"), ("active", "in service")],
)
def test_what_a_model_learnt_from_is_kept_until_it_retires(
    administrator, stage, words, django_capture_on_commit_callbacks
):
    job = done(administrator, stage)
    with pytest.raises(ValidationError, match=f"is not retired; it is {words}"):
        leavings.clear(job=job, by=administrator)
    job.candidate.stage = "retired"
    job.candidate.save()
    clear(job, administrator, django_capture_on_commit_callbacks)
    assert leavings.size(job) == 0


@pytest.mark.parametrize("state", ["queued", "running"])
def test_the_database_lets_no_open_job_be_without_its_files(failed, state):
    changes = {"state": state, "cleared": timezone.now()}
    if state == "running":
        changes |= {"holder": "x", "lease_until": timezone.now()}
    with pytest.raises(IntegrityError, match="open_job_has_its_files"):
        Job.objects.filter(pk=failed.pk).update(**changes)


def test_what_its_worker_writes_after_they_were_removed_goes_too(
    administrator, django_capture_on_commit_callbacks
):
    job = jobs.claim(pk=make_job(by=administrator).pk)
    with jobs.outcome(job):
        make_files(job)
        cancelled = jobs.cancel(job=job, by=administrator)
        clear(cancelled, administrator, django_capture_on_commit_callbacks)
        make_files(job)
        raise jobs.ClaimLost
    assert not leavings.room(job).exists()


def test_what_was_not_removed_stays_for_whoever_resumes(administrator):
    job = jobs.claim(pk=make_job(by=administrator).pk)
    with jobs.outcome(job):
        make_files(job)
        jobs.cancel(job=job, by=administrator)
        raise jobs.ClaimLost
    assert leavings.size(job) == 1024
