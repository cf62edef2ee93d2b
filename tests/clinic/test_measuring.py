"""Two models measured on one holdout, because somebody asked for it."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from clinic import jobs, learning, measuring
from clinic.models import AuditEvent, Job, ModelVersion
from tests.clinic.factories import (
    make_job,
    make_model,
    make_prediction,
    make_review,
    make_study,
)
from tests.clinic.judged import side_of

pytestmark = pytest.mark.django_db
HELD = 3  # studies of each kind that the tests ask for, in place of 20


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(learning, "FEWEST_HELD", HELD)


@pytest.fixture
def serving(db):
    return make_model()


@pytest.fixture
def fresh(serving):
    return make_model("fresh", stage="candidate")


def judge(radiologist, side, count):
    """`count` judged studies of each kind, of patients on `side`. -> reviews"""
    found, number = [], 0
    while len(found) < 2 * count:
        number += 1
        if (side_of(f"{side}{number}") == "test") != (side == "held"):
            continue
        study = make_study(patient_id=f"{side}{number}")
        verdict = "no_fracture" if len(found) % 2 else "fracture"
        found.append(make_review(make_prediction(study), radiologist, verdict))
    return found


@pytest.fixture
def verdicts(radiologist, serving):
    judge(radiologist, "others", HELD)
    return judge(radiologist, "held", HELD)


def start(version, by):
    return measuring.start(version=version, by=by)


def actions():
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def test_it_freezes_the_verdicts_on_held_out_patients_alone(
    verdicts, fresh, administrator
):
    job = start(fresh, administrator)
    assert (job.kind, job.state, job.parent) == ("measure", "queued", fresh)
    assert [pk for pk, _ in job.verdicts["chosen"]] == [r.pk for r in verdicts]
    told = {name: job.verdicts[name] for name in ("fractured", "patients")}
    assert told == {"fractured": HELD, "patients": 2 * HELD}
    event = AuditEvent.objects.get(action="job.started")
    assert (event.actor, event.detail["kind"]) == (administrator, "measure")
    assert event.detail["parent"] == fresh.digest


def test_too_few_to_judge_by_are_told_and_nothing_begins(
    verdicts, fresh, administrator, monkeypatch
):
    monkeypatch.setattr(learning, "FEWEST_HELD", HELD + 1)
    words = f"are {HELD} studies with and {HELD} without .* fewer than {HELD + 1} of"
    with pytest.raises(ValidationError, match=words):
        start(fresh, administrator)
    assert not Job.objects.exists()


def test_a_salt_that_was_damaged_is_told(
    verdicts, fresh, administrator, settings, tmp_path
):
    settings.DATA_ROOT = tmp_path
    (settings.DATA_ROOT / "pseudonym_salt").write_bytes(b"short")
    with pytest.raises(ValidationError, match="bring its backup back"):
        start(fresh, administrator)


def test_a_salt_that_cannot_be_read_is_told(
    verdicts, fresh, administrator, settings, tmp_path
):
    settings.DATA_ROOT = tmp_path
    (settings.DATA_ROOT / "pseudonym_salt").mkdir()
    with pytest.raises(ValidationError, match="pseudonym_salt cannot be read"):
        start(fresh, administrator)


def test_there_must_be_another_one_in_service(verdicts, serving, fresh, administrator):
    with pytest.raises(ValidationError, match="No other model is in service"):
        start(serving, administrator)
    ModelVersion.objects.filter(pk=serving.pk).update(stage="retired")
    with pytest.raises(ValidationError, match="No other model is in service"):
        start(fresh, administrator)


def test_one_of_each_model_at_a_time(verdicts, fresh, administrator):
    first = start(fresh, administrator)
    assert Job.objects.measuring(fresh).get() == first
    with pytest.raises(ValidationError, match=f"Measurement {first.pk} of it has not"):
        start(fresh, administrator)
    start(make_model("other", stage="candidate"), administrator)
    jobs.cancel(job=first, by=administrator)
    assert not Job.objects.measuring(fresh).exists()
    assert start(fresh, administrator) != first


def test_one_of_each_is_resumed_too(verdicts, fresh, administrator):
    first = start(fresh, administrator)
    jobs.cancel(job=first, by=administrator)
    second = start(fresh, administrator)
    with pytest.raises(ValidationError, match=f"Measurement {second.pk} of it"):
        jobs.resume(job=first, by=administrator)
    jobs.cancel(job=second, by=administrator)
    assert jobs.resume(job=first, by=administrator).state == "queued"


def test_past_the_verbs_the_database_refuses_two_of_a_model(
    verdicts, fresh, administrator
):
    first = start(fresh, administrator)
    with (
        pytest.raises(IntegrityError, match=r"parent_id|one_measurement"),
        transaction.atomic(),
    ):
        make_job(by=administrator, kind="measure", parent=fresh)
    running = {"state": "running", "holder": "x", "lease_until": timezone.now()}
    make_job(by=administrator, **running)
    with pytest.raises(IntegrityError, match="one_job"), transaction.atomic():
        Job.objects.filter(pk=first.pk).update(**running)


def test_trainings_and_measurements_wait_for_each_other(verdicts, fresh, administrator):
    training = make_job(by=administrator, parent=fresh)
    asked = start(fresh, administrator)
    assert jobs.claim(pk=training.pk)
    assert not Job.objects.due().exists()
    assert jobs.claim(pk=asked.pk) is None
    jobs.cancel(job=training, by=administrator)
    assert list(Job.objects.due()) == [asked]
    assert jobs.claim(pk=asked.pk)


def test_at_its_end_the_life_of_the_model_says_so(
    verdicts, serving, fresh, administrator
):
    held = jobs.claim(pk=start(fresh, administrator).pk)
    measuring.finish(job=held, compared=compared(serving))
    held.refresh_from_db()
    assert (held.state, held.candidate, held.done) == ("done", None, 2)
    event = AuditEvent.objects.get(action="model.measured")
    assert event.target == f"modelversion/{fresh.pk}"
    assert event.detail["beside"] == serving.digest
    assert actions()[-2:] == ["job.done", "model.measured"]


def test_one_that_was_cancelled_meanwhile_measures_nothing(
    verdicts, serving, fresh, administrator
):
    job = start(fresh, administrator)
    held = jobs.claim(pk=job.pk)
    jobs.cancel(job=job, by=administrator)
    with pytest.raises(jobs.ClaimLost):
        measuring.finish(job=held, compared=compared(serving))
    assert "model.measured" not in actions()
    assert measuring.told(fresh, serving) == {}


# --- What is known of two ----------------------------------------------------------


def compared(serving, name="asked"):
    return {
        "candidate": {},
        "incumbent": {},
        "candidate_holdout": {"of": "candidate", "by": name},
        "holdout": {"of": "incumbent", "by": name},
        "incumbent_digest": serving.digest,
    }


@pytest.fixture
def over(administrator):
    """Jobs that are over, each an hour after the one before."""
    hours = iter(range(100))

    def make(**fields):
        ended = timezone.now() + timedelta(hours=next(hours))
        return make_job(by=administrator, state="done", ended=ended, **fields)

    return make


def test_nothing_is_known_of_two_that_no_job_measured(serving, fresh):
    assert measuring.together(fresh, serving) is None
    assert measuring.told(fresh, serving) == {}
    assert measuring.told(fresh, None) == {}


def test_what_was_asked_for_outranks_both_cards(serving, fresh, over):
    job = over(kind="measure", parent=fresh, compared=compared(serving))
    assert measuring.together(fresh, serving) == job
    assert measuring.together(serving, fresh) == job
    asked = {version: measuring.told(version, other) for version, other in pairs(fresh)}
    assert asked[fresh]["holdout"] == {"of": "candidate", "by": "asked"}
    assert asked[serving]["holdout"] == {"of": "incumbent", "by": "asked"}
    # The games of the cards were played on other images.
    assert asked[fresh]["pointing"] == asked[serving]["pointing"] == {}


def pairs(fresh):
    serving = make_model()
    return [(fresh, serving), (serving, fresh)]


def test_of_what_a_training_made_its_card_tells(serving, fresh, over):
    made = compared(serving, "made")
    del made["candidate_holdout"]
    over(candidate=fresh, compared=made)
    assert measuring.told(fresh, serving) == {}
    assert measuring.told(serving, fresh)["holdout"]["by"] == "made"


def test_the_latest_counts_whichever_of_the_two_was_asked_of(serving, fresh, over):
    over(kind="measure", parent=fresh, compared=compared(serving, "first"))
    over(kind="measure", parent=serving, compared=compared(fresh, "second"))
    assert measuring.told(fresh, serving)["holdout"] == {
        "of": "incumbent",
        "by": "second",
    }
    over(kind="measure", parent=fresh, compared=compared(serving, "third"))
    assert measuring.told(fresh, serving)["holdout"]["by"] == "third"


def test_one_that_was_resumed_has_the_verdicts_of_its_beginning(serving, fresh, over):
    """However late it ended, what was asked for after it knows more."""
    asked = {"kind": "measure", "parent": fresh}
    old = timezone.now() - timedelta(days=60)
    over(compared=compared(serving, "yesterday's"), **asked)
    over(compared=compared(serving, "old and resumed"), created=old, **asked)
    assert measuring.told(fresh, serving)["holdout"]["by"] == "yesterday's"


def test_a_third_model_changes_nothing(serving, fresh, over):
    other = make_model("other", stage="candidate")
    over(kind="measure", parent=other, compared=compared(serving))
    over(parent=fresh, candidate=other, compared=compared(serving))
    assert measuring.together(fresh, serving) is None
