"""Bells that ring twice, late, or for nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as configured

from clinic import candidates, intake, registry, tasks, trials
from clinic.celery import app
from clinic.models import ImageReading, Overlay, Prediction, Study, Trial
from clinic.pacs import PacsUnavailable, open_pacs
from clinic.pacs.embedded import EmbeddedPacs
from clinic.trials import Outcome
from tests.clinic.factories import make_search
from tests.inference import tiny

pytestmark = pytest.mark.django_db
ROOT = Path(configured.BASE_DIR)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny.save(folder)
    return folder


@pytest.fixture
def model(artifact, administrator, settings):
    settings.MODEL_ROOT = artifact.parent  # the same for all: it stays warm
    version = registry.register(folder=artifact, by=administrator)
    return registry.promote(version=version, by=administrator, reason="A test.")


@pytest.fixture
def received(settings):
    """A study of two radiographs, taken in from the embedded PACS and due."""
    settings.QUIET_SECONDS = 0
    pacs = EmbeddedPacs(settings.EMBEDDED_ROOT)
    for file in tiny.images():
        pacs.store(file)
    (study,) = intake.sync(pacs)
    return study


def everything():
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in (Study, Prediction, ImageReading, Overlay)
    }


def test_a_bell_has_a_study_read_and_explained(rings, received, model):
    rings(tasks.read_study, received.pk)
    prediction = Prediction.objects.get()
    assert (prediction.study, prediction.state) == (received, "read")
    assert prediction.explanation == "done"
    assert Overlay.objects.count() == 4
    received.refresh_from_db()
    assert received.state == "read"


@pytest.mark.parametrize("task", ["read_study", "explain_prediction"])
def test_a_bell_delivered_again_changes_nothing(rings, received, model, task):
    rings(tasks.read_study, received.pk)
    before = everything()
    key = received.pk if task == "read_study" else Prediction.objects.get().pk
    for _ in range(2):
        rings(getattr(tasks, task), key)
    assert everything() == before


@pytest.mark.parametrize(
    "task",
    [
        tasks.read_study,
        tasks.explain_prediction,
        tasks.shadow_prediction,
        tasks.run_job,
    ],
)
def test_a_bell_for_what_is_gone_is_ignored(rings, task):
    rings(task, 12345)


def test_a_late_bell_leaves_a_study_alone_that_somebody_reads(rings, received, model):
    Study.objects.update(state="reading")
    Study.objects.update(lease_until=received.due_at.replace(year=2999))
    before = everything()
    rings(tasks.read_study, received.pk)
    assert everything() == before


def test_what_is_not_read_is_not_explained(rings, settings, model):
    settings.QUIET_SECONDS = 0
    pacs = EmbeddedPacs(settings.EMBEDDED_ROOT)
    pacs.store(tiny.images(BodyPartExamined="KNEE", StudyDescription="Knee")[0])
    (study,) = intake.sync(pacs)
    rings(tasks.read_study, study.pk)
    assert Prediction.objects.get().explanation == "none"
    assert not Overlay.objects.exists()


def test_a_pacs_that_is_away_leaves_the_study_waiting(rings, received, model, settings):
    settings.PACS = "orthanc"
    settings.ORTHANC_URL = "http://127.0.0.1:9"  # nobody is there
    with pytest.raises(PacsUnavailable):
        open_pacs().health()
    rings(tasks.read_study, received.pk)
    received.refresh_from_db()
    assert (received.state, received.attempts) == ("waiting", 0)
    settings.PACS = "embedded"
    rings(tasks.read_study, received.pk)
    received.refresh_from_db()
    assert received.state == "read"


TRAINED = []


def train(trial, tell):
    TRAINED.append(trial.number)
    tell(0.5, 0.0)
    return Outcome([float(trial.number % 3)])


@pytest.fixture
def evaluation(monkeypatch):
    TRAINED.clear()
    monkeypatch.setattr(candidates, "evaluate", train)
    concluded = []
    monkeypatch.setattr(
        candidates, "conclude", lambda *, job_id: concluded.append(job_id)
    )
    return concluded


def test_a_bell_for_one_trial_sees_a_search_through(rings, administrator, evaluation):
    """Each trial rings for the next; bells that come again or late train nothing."""
    job = make_search(administrator)
    first = job.trials.get(number=0)
    rings(tasks.run_trial, first.pk)
    for _ in range(2):
        rings(tasks.run_trial, first.pk)
    rings(tasks.run_trial, 12345)
    assert sorted(TRAINED) == [0, 1, 2, 3, 4, 5]
    assert set(job.trials.values_list("state", flat=True)) == {"done"}
    assert evaluation[0] == job.pk  # and the model is made once all have ended


def test_a_bell_for_a_trial_that_is_not_to_be_had_rings_for_nothing(
    rings, administrator, evaluation, monkeypatch
):
    """Else each that waits without a worker would leave one more to come."""
    job = make_search(administrator, workers=1)
    rung, send = [], tasks.run_trial.apply_async
    held = trials.claim(pk=job.trials.get().pk)
    other = make_search(administrator).trials.first()
    Trial.objects.filter(pk=held.pk).update(lease_until="2001-01-01T00:00:00Z")
    assert trials.sweep() == [held.pk]  # there is something to ring for

    def counted(args, *more, **options):
        rung.append(args)
        return send(args, *more, **options)

    monkeypatch.setattr(tasks.run_trial, "apply_async", counted)
    for stale in (other.pk, 12345):
        rings(tasks.run_trial, stale)
    assert (TRAINED, rung) == ([], [(other.pk,), (12345,)])


def test_readings_queue_behind_nothing_else():
    queue = {
        task: app.amqp.router.route({}, task.name)["queue"].name
        for task in (
            tasks.read_study,
            tasks.explain_prediction,
            tasks.shadow_prediction,
            tasks.run_job,
            tasks.run_trial,
            tasks.provide_search,
            tasks.conclude_search,
        )
    }
    assert queue == {
        tasks.read_study: "reading",
        tasks.explain_prediction: "explaining",
        tasks.shadow_prediction: "shadow",
        tasks.run_job: "training",
        tasks.run_trial: "search",
        tasks.provide_search: "training",
        tasks.conclude_search: "training",
    }


HANG = """
import django; django.setup()
import time
from clinic import tasks
with tasks._within_the_lease():
    pass
time.sleep(0.5)
print("outlived a lease that was given back", flush=True)
with tasks._within_the_lease():
    time.sleep(60)
print("outlived its lease", flush=True)
"""


def test_work_that_outlasts_its_lease_ends_with_its_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HANG],
        env=os.environ
        | {
            "OSTEON_LEASE_SECONDS": "0.4",
            "OSTEON_DATA": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "clinic.settings",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 1
    assert done.stdout == "outlived a lease that was given back\n"
    assert "Timeout" in done.stderr
