import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings as configured
from django.utils import timezone
from PIL import Image

from clinic import intake, reading, registry
from clinic.models import (
    AuditEvent,
    ImageReading,
    Instance,
    ModelVersion,
    Overlay,
    Prediction,
    Study,
)
from clinic.pacs import GoneFromPacs, PacsUnavailable
from clinic.pacs.embedded import EmbeddedPacs
from inference import phantom
from inference.doubt import Limits
from inference.reader import Reader
from tests.inference import tiny

State, Explanation = Study.State, Prediction.Explanation


@pytest.fixture(scope="module")
def artifact_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts") / "tiny"
    tiny.save(folder)
    return folder


@pytest.fixture
def model(db, artifact_folder):
    version = registry.register(folder=artifact_folder, by=None)
    return registry.promote(version=version, by=None, reason="the only one")


@pytest.fixture
def pacs(settings):
    settings.QUIET_SECONDS = 0
    return EmbeddedPacs(settings.EMBEDDED_ROOT)


def arrive(pacs, *files):
    """Store files and take them in; the study they made, due for reading."""
    for data in files:
        pacs.store(data)
    intake.sync(pacs)
    return Study.objects.latest("changed")


def report_of(seed):
    """A structured report of a phantom's study."""
    return tiny.file_of(
        phantom.study(seed, **tiny.SIZE)[0],
        SOPInstanceUID="1.2.3.4.5",
        Modality="SR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
    )


@pytest.fixture
def study(model, pacs):
    return arrive(pacs, *tiny.images(1))


def events(action):
    return AuditEvent.objects.filter(action=action)


def test_the_next_study_is_read_by_whoever_was_promoted_or_came_back(
    model, pacs, tmp_path
):
    tiny.save(tmp_path / "other", replace(tiny.SPEC, name="other"))
    other = registry.register(folder=tmp_path / "other", by=None)
    ModelVersion.objects.filter(pk=other.pk).update(stage="retired", served=True)
    for seed, version in enumerate((model, other, model), 1):
        registry.rollback(version=version, by=None)
        study = arrive(pacs, *tiny.images(seed))
        assert reading.read(study=study, pacs=pacs).model == version


class Away(EmbeddedPacs):
    """Knows everything, and does not hand it out."""

    error = PacsUnavailable("no route to the PACS")

    def open(self, instance_id):
        raise self.error


class TestReading:
    def test_what_the_model_said_is_kept(self, study, model, pacs):
        prediction = reading.read(study=study, pacs=pacs)
        prediction.refresh_from_db()
        study.refresh_from_db()
        assert (prediction.study, prediction.model) == (study, model)
        assert prediction.revision == study.revision == 1
        assert prediction.state == study.state == State.READ
        assert prediction.probability == study.probability > 0
        assert prediction.flagged == study.flagged == (prediction.probability >= 0.5)
        assert (prediction.threshold, prediction.aggregation) == (0.5, "alo")
        assert prediction.explanation == Explanation.WAITING
        assert set(prediction.milliseconds) >= {"open", "decode", "network", "total"}
        assert study.lease_until is None and study.reason == ""
        (event,) = events("study.read")
        assert event.target == f"prediction/{prediction.pk}"

    def test_a_study_the_model_says_nothing_of_is_left_to_people(
        self, study, pacs, monkeypatch
    ):
        monkeypatch.setattr(Limits, "poor", lambda *_: "Too dark.")
        prediction = reading.read(study=study, pacs=pacs)
        study.refresh_from_db()
        assert prediction.state == study.state == State.ABSTAINED
        assert prediction.code == study.code == "poor_quality"
        assert prediction.reason == study.reason == "2 of 2 images: Too dark."
        assert prediction.probability is study.probability is None
        assert prediction.explanation == Explanation.NONE
        assert not prediction.flagged and study.urgency == 1
        kept = prediction.images.values_list("state", "code", "probability")
        assert set(kept) == {("abstained", "poor_quality", None)}

    @pytest.mark.parametrize(("confident", "urgency"), [(0.0, 2), (1.0, 0)])
    def test_the_second_operating_point_is_kept(
        self, study, pacs, monkeypatch, confident, urgency
    ):
        spec = replace(tiny.SPEC, threshold=confident, confident=confident)
        reader = Reader(spec, tiny.network())
        monkeypatch.setattr(reading, "open_reader", lambda *_: reader)
        prediction = reading.read(study=study, pacs=pacs)
        study.refresh_from_db()
        assert prediction.confident_from == confident
        assert prediction.confident == study.confident == (confident == 0)
        assert study.urgency == urgency

    def test_every_image_has_its_reading(self, study, pacs):
        prediction = reading.read(study=study, pacs=pacs)
        images = ImageReading.objects.filter(prediction=prediction).order_by("pk")
        wanted = Instance.objects.images().filter(series__study=study)
        assert [image.instance for image in images] == list(wanted)
        assert {image.state for image in images} == {"read"}
        assert max(image.probability for image in images) == prediction.probability
        view = images[0].views[0]
        assert len(view["affine"]) == 2 and 0 <= view["probability"] <= 1

    def test_a_bad_image_and_a_stranger_are_rows_too(self, model, pacs):
        good, other = tiny.images(2)
        study = arrive(pacs, good, other[:-9000], report_of(2))
        prediction = reading.read(study=study, pacs=pacs)
        images = prediction.images.order_by("pk")
        assert [i.state for i in images] == ["read", "unreadable", "not_ours"]
        assert [i.code for i in images] == ["", "truncated", "not_an_image"]
        assert prediction.state == "read"
        assert images[2].reason == "Not an image: Basic Text SR Storage."
        assert prediction.reason == f"1 of 3 images: {images[1].reason}"
        study.refresh_from_db()
        assert study.reason == prediction.reason

    @pytest.mark.parametrize("when", ["before", "while", "after"])
    def test_a_report_has_the_same_row_whenever_it_came(
        self, study, pacs, during, when
    ):
        """And the images are read once."""

        def report():
            pacs.store(report_of(1))
            intake.sync(pacs)

        if when == "before":
            report()
        if when == "while":
            during(report)
        prediction = reading.read(study=study, pacs=pacs)
        if when == "after":
            report()
        late = prediction.images.order_by("pk").last()
        assert (late.state, late.code) == ("not_ours", "not_an_image")
        assert late.reason == "Not an image: Basic Text SR Storage."
        assert prediction.images.count() == 3
        study.refresh_from_db()
        assert (study.revision, study.state, study.attempts) == (1, State.READ, 1)
        assert reading.read(study=study, pacs=pacs) is None

    @pytest.mark.parametrize(
        ("tags", "state", "code"),
        [
            (
                {"BodyPartExamined": "KNEE", "StudyDescription": ""},
                "not_ours",
                "other_anatomy",
            ),
            ({"ManufacturerModelName": "Osteon"}, "not_ours", "own_result"),
            ({"PhotometricInterpretation": "RGB"}, "unreadable", "colour"),
        ],
    )
    def test_a_study_that_is_not_read_says_why(self, model, pacs, tags, state, code):
        study = arrive(pacs, *tiny.images(3, **tags))
        prediction = reading.read(study=study, pacs=pacs)
        study.refresh_from_db()
        assert (study.state, study.code) == (state, code)
        assert prediction.state == state and prediction.reason == study.reason != ""
        assert study.probability is None and not study.flagged
        assert prediction.explanation == Explanation.NONE
        assert prediction.images.count() == 2

    def test_the_wrist_filter_follows_the_setting(self, model, pacs, settings):
        settings.ANATOMY_SCOPE = "wrist"
        words = {"BodyPartExamined": "ELBOW", "StudyDescription": "Elbow"}
        study = arrive(pacs, *tiny.images(3, **words))
        assert reading.read(study=study, pacs=pacs).state == "not_ours"


class TestDeliveredTwiceLateOrTogether:
    def test_a_second_delivery_does_nothing(self, study, pacs):
        assert reading.read(study=study, pacs=pacs)
        assert reading.read(study=study, pacs=pacs) is None
        assert Prediction.objects.count() == events("study.read").count() == 1

    def test_a_study_in_other_hands_is_left_alone(self, study, pacs):
        until = timezone.now() + timedelta(seconds=60)
        Study.objects.update(state=State.READING, lease_until=until, attempts=1)
        assert reading.read(study=study, pacs=pacs) is None
        study.refresh_from_db()
        assert (study.state, study.attempts) == (State.READING, 1)

    def test_a_study_whose_lease_ran_out_is_taken_over(self, study, pacs):
        past = timezone.now() - timedelta(seconds=1)
        Study.objects.update(state=State.READING, lease_until=past, attempts=1)
        assert reading.read(study=study, pacs=pacs).state == "read"
        study.refresh_from_db()
        assert study.attempts == 2

    def test_who_outlived_the_lease_while_another_answered_keeps_nothing(
        self, study, pacs, during
    ):
        def taken_over():
            past = timezone.now() - timedelta(seconds=1)
            Study.objects.update(lease_until=past)
            assert reading.read(study=study, pacs=pacs)

        during(taken_over)
        assert reading.read(study=study, pacs=pacs) is None
        assert Prediction.objects.count() == events("study.read").count() == 1

    def test_who_outlived_the_lease_while_nobody_answered_is_heard(
        self, study, pacs, during
    ):
        during(lambda: Study.objects.update(state=State.WAITING, lease_until=None))
        assert reading.read(study=study, pacs=pacs).state == "read"

    def test_a_study_that_is_still_arriving_waits(self, study, pacs):
        soon = timezone.now() + timedelta(seconds=60)
        Study.objects.update(state=State.RECEIVING, due_at=soon)
        assert reading.read(study=study, pacs=pacs) is None
        Study.objects.update(due_at=timezone.now())
        assert reading.read(study=study, pacs=pacs)

    def test_a_bell_for_a_deleted_study_is_nothing(self, db, pacs):
        assert reading.read(study=Study(pk=4711), pacs=pacs) is None

    def test_two_workers_at_once_read_it_once(self, tmp_path, artifact_folder):
        together(tmp_path, artifact_folder)


@pytest.fixture
def during(monkeypatch):
    """Have something happen between the reading of the images and its keeping."""
    happening = []
    real = reading._reader

    class Interrupted:
        def __init__(self, reader):
            self.reader = reader

        def read(self, sources, scope):
            found = self.reader.read(sources, scope)
            if happening:
                happening.pop()()
            return found

        def explain(self, source):
            found = self.reader.explain(source)
            if happening:
                happening.pop()()
            return found

    monkeypatch.setattr(reading, "_reader", lambda model: Interrupted(real(model)))
    return happening.append


class TestLateImages:
    def test_a_late_image_makes_a_new_prediction_of_the_new_revision(self, study, pacs):
        first = reading.read(study=study, pacs=pacs)
        late = tiny.images(1, SOPInstanceUID="1.2.3.99")[0]
        study = arrive(pacs, late)
        second = reading.read(study=study, pacs=pacs)
        first.refresh_from_db()
        assert (first.revision, second.revision) == (1, 2)
        assert first.superseded_at and second.superseded_at is None
        assert second.images.count() == 3 and study.prediction == second
        assert first.explanation == Explanation.NONE and first.explanation_reason

    def test_an_image_that_comes_during_reading_is_not_forgotten(
        self, study, pacs, during
    ):
        late = tiny.images(1, SOPInstanceUID="1.2.3.99")[0]
        during(lambda: arrive(pacs, late))
        assert reading.read(study=study, pacs=pacs) is None
        assert not Prediction.objects.exists()
        study.refresh_from_db()
        assert study.revision == 2 and study in Study.objects.pending()
        prediction = reading.read(study=study, pacs=pacs)
        assert prediction.revision == 2 and prediction.images.count() == 3


class TestWhatGoesWrong:
    def test_a_pacs_that_is_away_costs_no_attempt(self, study, pacs):
        away = Away(pacs.root)
        for _ in range(configured.MAX_ATTEMPTS + 2):
            with pytest.raises(PacsUnavailable):
                reading.read(study=study, pacs=away)
        study.refresh_from_db()
        assert (study.state, study.code) == (State.WAITING, "pacs_unavailable")
        assert study.attempts == 0 and study.due_at > timezone.now()
        assert reading.read(study=study, pacs=pacs).state == "read"
        study.refresh_from_db()
        assert (study.code, study.reason) == ("", "")

    def test_a_study_that_left_the_pacs_is_set_aside(self, study, pacs):
        gone = Away(pacs.root)
        gone.error = GoneFromPacs("x")
        assert reading.read(study=study, pacs=gone) is None
        study.refresh_from_db()
        assert (study.state, study.code) == (State.FAILED, "gone_from_pacs")
        assert "no longer in the PACS" in study.reason
        assert events("study.set_aside").get().target == f"study/{study.pk}"

    def test_one_image_that_left_the_pacs_does_not_stop_the_others(self, study, pacs):
        first = Instance.objects.images().first()
        pacs._path(first.pacs_id, first.digest).unlink()
        prediction = reading.read(study=study, pacs=pacs)
        codes = [image.code for image in prediction.images.order_by("pk")]
        assert prediction.state == "read" and codes == ["gone_from_pacs", ""]

    def test_without_a_model_studies_wait_and_say_so(self, db, pacs):
        study = arrive(pacs, *tiny.images(1))
        assert reading.read(study=study, pacs=pacs) is None
        study.refresh_from_db()
        assert (study.state, study.code) == (State.WAITING, "no_model")
        assert study.attempts == 0 and "administrator" in study.reason

    def test_a_damaged_model_is_not_the_studys_fault(
        self, study, model, pacs, settings
    ):
        card = settings.MODEL_ROOT / model.folder / "card.json"
        card.write_bytes(card.read_bytes() + b" ")
        assert reading.read(study=study, pacs=pacs) is None
        study.refresh_from_db()
        assert (study.state, study.attempts) == (State.WAITING, 0)
        assert "byte differs" in study.reason

    def test_what_nobody_expected_is_tried_again_then_set_aside(
        self, study, pacs, settings
    ):
        settings.MAX_ATTEMPTS = 2
        broken = Away(pacs.root)
        broken.error = ZeroDivisionError("DOE^JANE")
        with pytest.raises(ZeroDivisionError):
            reading.read(study=study, pacs=broken)
        study.refresh_from_db()
        assert (study.state, study.attempts) == (State.WAITING, 1)
        assert study.due_at > timezone.now() and "attempt 1 of 2" in study.reason
        with pytest.raises(ZeroDivisionError):
            reading.read(study=study, pacs=broken)
        study.refresh_from_db()
        assert study.state == State.FAILED and "ZeroDivisionError" in study.reason
        assert "DOE" not in study.reason
        assert reading.read(study=study, pacs=pacs) is None

    def test_a_study_that_kills_its_worker_is_set_aside(self, study, pacs, settings):
        past = timezone.now() - timedelta(seconds=1)
        attempts = settings.MAX_ATTEMPTS
        Study.objects.update(state=State.READING, lease_until=past, attempts=attempts)
        assert reading.read(study=study, pacs=pacs) is None
        study.refresh_from_db()
        assert (study.state, study.code) == (State.FAILED, "broken_off")

    def test_a_failure_does_not_touch_what_others_made_of_the_study(
        self, study, pacs, during
    ):
        def taken_over_and_broken():
            Study.objects.update(state=State.READ)
            raise ZeroDivisionError

        during(taken_over_and_broken)
        with pytest.raises(ZeroDivisionError):
            reading.read(study=study, pacs=pacs)
        study.refresh_from_db()
        assert (study.state, study.reason) == (State.READ, "")


class TestExplaining:
    @pytest.fixture
    def prediction(self, study, pacs):
        return reading.read(study=study, pacs=pacs)

    def test_every_image_gets_an_overlay_by_each_method(self, prediction, pacs):
        reading.explain(prediction=prediction, pacs=pacs)
        prediction.refresh_from_db()
        assert prediction.explanation == Explanation.DONE
        assert prediction.explanation_lease is None
        kept = Overlay.objects.order_by("image", "method")
        methods = [(o.image.instance.number, o.method) for o in kept]
        assert methods == [(n, m) for n in (1, 2) for m in ("gradcam", "lrp")]
        for overlay in kept:
            assert (overlay.rows, overlay.columns) == (320, 250)
            assert Image.open(overlay.png.open()).size == (250, 320)
        assert events("prediction.explained").count() == 1

    def test_no_patient_is_named_in_the_names_of_files(self, prediction, pacs):
        reading.explain(prediction=prediction, pacs=pacs)
        for overlay in Overlay.objects.all():
            assert overlay.png.name.endswith(
                f"/{overlay.image_id}-{overlay.method}.png"
            )

    def test_the_size_of_a_frame_the_pacs_did_not_tell_is_found(self, prediction, pacs):
        Instance.objects.update(rows=None)
        reading.explain(prediction=prediction, pacs=pacs)
        assert {(o.rows, o.columns) for o in Overlay.objects.all()} == {(320, 250)}

    def test_a_second_delivery_does_nothing(self, prediction, pacs):
        reading.explain(prediction=prediction, pacs=pacs)
        reading.explain(prediction=prediction, pacs=pacs)
        assert Overlay.objects.count() == 4

    def test_one_in_other_hands_is_left_alone(self, prediction, pacs):
        until = timezone.now() + timedelta(seconds=60)
        Prediction.objects.update(explanation_lease=until)
        reading.explain(prediction=prediction, pacs=pacs)
        assert not Overlay.objects.exists()

    def test_what_was_superseded_meanwhile_gets_no_overlays(
        self, prediction, pacs, during
    ):
        during(lambda: Prediction.objects.update(superseded_at=timezone.now()))
        reading.explain(prediction=prediction, pacs=pacs)
        assert not Overlay.objects.exists()

    def test_the_model_that_read_explains_though_another_serves(
        self, prediction, pacs, tmp_path
    ):
        tiny.save(tmp_path / "other", replace(tiny.SPEC, name="other"))
        other = registry.register(folder=tmp_path / "other", by=None)
        for stage, version in (("retired", prediction.model), ("active", other)):
            rows = ModelVersion.objects.filter(pk=version.pk)
            rows.update(stage=stage, served=True)
        folder = configured.MODEL_ROOT / other.folder
        (folder / "spec.json").unlink()
        reading.explain(prediction=prediction, pacs=pacs)
        assert Overlay.objects.count() == 4

    def test_a_pacs_that_is_away_costs_no_attempt(self, prediction, pacs):
        with pytest.raises(PacsUnavailable):
            reading.explain(prediction=prediction, pacs=Away(pacs.root))
        prediction.refresh_from_db()
        assert prediction.explanation == Explanation.WAITING
        assert prediction.explanation_attempts == 0
        assert prediction.explanation_lease > timezone.now()
        Prediction.objects.update(explanation_lease=None)
        reading.explain(prediction=prediction, pacs=pacs)
        assert Overlay.objects.count() == 4

    def test_an_image_that_is_gone_fails_the_explanation_only(self, prediction, pacs):
        gone = Away(pacs.root)
        gone.error = GoneFromPacs("x")
        reading.explain(prediction=prediction, pacs=gone)
        prediction.refresh_from_db()
        assert prediction.explanation == Explanation.FAILED
        assert "no longer in the PACS" in prediction.explanation_reason
        assert prediction.state == prediction.study.state == "read"
        assert events("prediction.unexplained").count() == 1

    def test_what_nobody_expected_fails_after_the_last_attempt(
        self, prediction, pacs, settings
    ):
        settings.MAX_ATTEMPTS = 2
        broken = Away(pacs.root)
        broken.error = ZeroDivisionError("DOE^JANE")
        for attempt in (1, 2):
            with pytest.raises(ZeroDivisionError):
                reading.explain(prediction=prediction, pacs=broken)
            prediction.refresh_from_db()
            assert prediction.explanation_attempts == attempt
            Prediction.objects.update(explanation_lease=None)
        assert prediction.explanation == Explanation.FAILED
        assert prediction.explanation_reason.endswith("ZeroDivisionError.")

    def test_one_that_kills_its_worker_is_given_up(self, prediction, pacs, settings):
        Prediction.objects.update(explanation_attempts=settings.MAX_ATTEMPTS)
        reading.explain(prediction=prediction, pacs=pacs)
        prediction.refresh_from_db()
        assert prediction.explanation == Explanation.FAILED
        assert not Overlay.objects.exists()


SET_UP = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from clinic import intake, registry
from clinic.models import Study
from clinic.pacs import open_pacs
from pathlib import Path
from inference import phantom
from tests.inference import tiny
version = registry.register(folder=Path(sys.argv[1]), by=None)
registry.promote(version=version, by=None, reason="x")
for data in tiny.images(1):
    open_pacs().store(data)
intake.sync(open_pacs())
print(Study.objects.get().pk)
"""
READ_AT = """
import time
from clinic import reading
from clinic.models import Study
from clinic.pacs import open_pacs
study, pacs = Study.objects.get(), open_pacs()
reading._reader(reading._in_service()).runtime
print("ready", flush=True)
sys.stdin.readline()
print(reading.read(study=study, pacs=pacs))
"""
COUNT = """
from clinic.models import *
print(json.dumps({
    "predictions": Prediction.objects.count(), "images": ImageReading.objects.count(),
    "state": Study.objects.get().state, "attempts": Study.objects.get().attempts,
    "events": AuditEvent.objects.filter(action="study.read").count(),
}))
"""


def together(folder, artifact_folder):
    """Two processes, one database on disk, one bell heard by both."""
    env = os.environ | {
        "OSTEON_DATA": str(folder),
        "OSTEON_QUIET_SECONDS": "0",
        "OSTEON_PACS": "embedded",
        "DJANGO_SETTINGS_MODULE": "clinic.settings",
        "OMP_NUM_THREADS": "1",
    }
    env.pop("DATABASE_URL", None)

    def python(code, *arguments, **options):
        start = f"import sys, json, django; django.setup()\n{code}"
        return subprocess.Popen(
            [sys.executable, "-c", start, *arguments],
            env=env,
            cwd=configured.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )

    assert python(SET_UP, str(artifact_folder)).wait() == 0
    workers = [python(READ_AT) for _ in range(2)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 2
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = sorted(worker.communicate()[0].strip() for worker in workers)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert answers[0] == "None" and answers[1].startswith("Prediction")
    found = json.loads(python(COUNT).communicate()[0])
    assert found == {
        "predictions": 1,
        "images": 2,
        "state": "read",
        "attempts": 1,
        "events": 1,
    }
