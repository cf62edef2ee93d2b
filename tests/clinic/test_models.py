"""Invariants that hold even for code that goes around the verbs."""

from importlib import import_module

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import ProtectedError

from clinic.models import (
    AuditEvent,
    ImageReading,
    Instance,
    ModelVersion,
    PacsCursor,
    Prediction,
    Review,
    ShadowReading,
    Study,
)
from tests.clinic.factories import (
    add_instance,
    make_model,
    make_prediction,
    make_review,
    make_study,
)

pytestmark = pytest.mark.django_db


def refused(write, *args, **kwargs):
    with pytest.raises(IntegrityError), transaction.atomic():
        write(*args, **kwargs)


class TestConstraints:
    def test_only_one_model_serves(self):
        make_model()
        other = make_model(stage=ModelVersion.Stage.CANDIDATE)
        write = ModelVersion.objects.filter(pk=other.pk).update
        refused(write, stage="active", served=True)

    def test_only_one_model_stands_in_the_shadow(self):
        make_model(stage=ModelVersion.Stage.SHADOW)
        other = make_model(stage=ModelVersion.Stage.CANDIDATE)
        refused(ModelVersion.objects.filter(pk=other.pk).update, stage="shadow")

    def test_a_shadow_reads_beside_a_prediction_once(self, prediction):
        model = make_model(stage=ModelVersion.Stage.SHADOW)
        about = {"prediction": prediction, "model": model}
        ShadowReading.objects.create(**about)
        refused(ShadowReading.objects.create, **about)
        row = ShadowReading.objects.filter(model=model)
        refused(row.update, state="guessed")
        refused(row.update, state="read", probability=None)
        refused(row.update, state="failed", reason="")

    def test_there_is_one_cursor(self):
        PacsCursor.objects.create(pk=1)
        refused(PacsCursor.objects.create, pk=2)

    def test_one_prediction_is_current(self, prediction):
        refused(make_prediction, prediction.study, revision=2)

    def test_a_model_reads_a_revision_once(self, prediction):
        Prediction.objects.update(superseded_at=prediction.created)
        refused(make_prediction, prediction.study)

    @pytest.mark.parametrize(
        ("model", "change"),
        [
            (Study, {"state": "lost"}),
            (Study, {"state": "failed", "reason": ""}),
            (Prediction, {"state": "guessed"}),
            (Prediction, {"state": "read", "probability": None}),
            (Prediction, {"state": "not_ours", "reason": ""}),
            (Prediction, {"explanation": "soon"}),
            (Prediction, {"state": "abstained", "reason": "Because."}),
            (Prediction, {"flagged": False, "confident": True}),
            (ImageReading, {"state": "abstained", "reason": "Because."}),
            (Study, {"state": "abstained", "reason": ""}),
            (Study, {"flagged": False, "confident": True}),
            (ModelVersion, {"stage": "resting"}),
            (ModelVersion, {"served": False}),
            (ModelVersion, {"stage": "candidate"}),
            (Instance, {"role": "film"}),
        ],
    )
    def test_a_row_is_in_a_known_state_and_says_why(self, prediction, model, change):
        refused(model.objects.update, **change)

    def test_a_verdict_is_one_of_three(self, prediction, radiologist):
        refused(make_review, prediction, radiologist, verdict="perhaps")

    def test_an_object_has_one_row(self, study):
        taken = Instance.objects.first()
        refused(add_instance, study, pacs_id=taken.pacs_id)

    def test_two_events_cannot_follow_the_same_one(self):
        AuditEvent.objects.create(action="a", target="x", previous="0", digest="1")
        refused(
            AuditEvent.objects.create, action="b", target="x", previous="0", digest="2"
        )


class TestAppendOnly:
    def test_a_review_is_neither_edited_nor_deleted(self, prediction, radiologist):
        review = make_review(prediction, radiologist)
        for attempt in (
            review.save,
            review.delete,
            Review.objects.all().delete,
            lambda: Review.objects.update(verdict="unsure"),
        ):
            with pytest.raises(TypeError, match="append-only"):
                attempt()

    def test_an_event_is_neither_edited_nor_deleted(self):
        event = AuditEvent.objects.create(
            action="a", target="x", previous="0", digest="1"
        )
        for attempt in (
            event.save,
            event.delete,
            AuditEvent.objects.all().delete,
            lambda: AuditEvent.objects.update(action="b"),
        ):
            with pytest.raises(TypeError, match="append-only"):
                attempt()

    def test_a_study_with_a_prediction_cannot_be_deleted(self, prediction):
        with pytest.raises(ProtectedError):
            prediction.study.delete()

    def test_nor_a_person_who_judged(self, prediction, radiologist):
        make_review(prediction, radiologist)
        with pytest.raises(ProtectedError):
            radiologist.delete()


def test_the_latest_review_of_a_study_settles_it(radiologist):
    one, two = make_prediction(), make_prediction()
    make_review(one, radiologist, "fracture")
    kept = make_review(one, radiologist, "no_fracture")
    other = make_review(two, radiologist, "unsure")
    assert set(Review.objects.settled()) == {kept, other}


def test_images_come_in_the_order_people_look_at_them(study):
    Instance.objects.all().delete()
    last = add_instance(study, number=None)
    second = add_instance(study, number=2)
    first = add_instance(study, number=1)
    add_instance(study, number=0, role=Instance.Role.OTHER)
    assert list(Instance.objects.images()) == [first, second, last]


def test_the_worklist_shows_flagged_then_oldest_then_judged(radiologist):
    calm, flagged = make_prediction(probability=0.1), make_prediction(probability=0.9)
    judged = make_prediction(probability=0.9)
    make_review(judged, radiologist)
    waiting = make_study()
    order = [calm.study, waiting]
    shown = list(Study.objects.for_worklist())
    assert shown == [flagged.study, *order, judged.study]


def test_the_worklist_walks_its_index():
    make_study()
    explained = Study.objects.for_worklist()[:50].explain()
    if connection.vendor == "sqlite":
        assert "worklist_order" in explained
        assert "TEMP B-TREE" not in explained


def test_what_is_not_explained_is_found_until_somebody_works_on_it(prediction):
    waiting = Prediction.objects.filter(pk=prediction.pk)
    assert not Prediction.objects.unexplained().exists()
    waiting.update(explanation="waiting")
    assert Prediction.objects.unexplained().get() == prediction
    later = prediction.created.replace(year=prediction.created.year + 1)
    waiting.update(explanation_lease=later)
    assert not Prediction.objects.unexplained().exists()
    earlier = prediction.created.replace(year=prediction.created.year - 1)
    waiting.update(explanation_lease=earlier)
    assert Prediction.objects.unexplained().exists()
    waiting.update(superseded_at=prediction.created)
    assert not Prediction.objects.unexplained().exists()


@pytest.mark.parametrize(
    ("series", "image", "name"),
    [
        ({}, {}, "WRIST"),
        ({}, {"view": "PA", "laterality": "L"}, "WRIST PA · L"),
        ({}, {"laterality": "U"}, "WRIST"),
        ({"description": "Wrist pa left"}, {"view": "PA"}, "Wrist pa left"),
        ({"description": "Wrist pa"}, {"view": "PA oblique"}, "Wrist pa PA oblique"),
        ({"body_part": ""}, {"view": "LL"}, "DX LL"),
        ({"body_part": "", "modality": ""}, {}, "Image"),
        ({"description": "x " * 99}, {"view": "PA"}, "x " * 23 + "x… PA"),
    ],
)
def test_an_image_is_named_by_part_view_and_side(study, series, image, name):
    study.series.update(**series)
    assert add_instance(study, **image).label == name


def test_a_warning_is_not_pushed_off_by_what_comes_again_and_again(study):
    study.notice("shared_study_number", "Make sure.")
    for number in range(60):
        study.notice("late_images", f"{number}")
    codes = [notice["code"] for notice in study.notices]
    assert codes == ["shared_study_number", *["late_images"] * 50]
    assert study.notices[-1]["text"] == "59"


def test_an_older_verdict_is_taken_to_be_on_what_had_arrived(prediction, radiologist):
    migration = import_module("clinic.migrations.0014_judged_revision")
    old = make_review(prediction, radiologist, revision=9)
    add_instance(prediction.study, revision=2)
    new = make_review(prediction, radiologist, revision=9)
    add_instance(prediction.study, revision=3)
    add_instance(prediction.study, revision=4, role="other", arrived=old.created)
    apps = MigrationLoader(connection).project_state().apps
    migration.judged(apps, None)
    found = Review.objects.order_by("pk").values_list("pk", "revision")
    assert list(found) == [(old.pk, 1), (new.pk, 2)]
