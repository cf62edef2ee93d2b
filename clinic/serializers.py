"""Shapes at the edge: a study as the study page sees it, a verdict as it is sent."""

from django.db.models import F
from django.urls import reverse
from rest_framework import serializers

from clinic.models import (
    ImageReading,
    Instance,
    ModelVersion,
    Overlay,
    Prediction,
    Review,
    Study,
)
from clinic.models.predictions import NOT_AN_IMAGE
from clinic.review import standing
from clinic.templatetags.osteon import percent

AGGREGATIONS = {
    "alo": "at least one image: the highest decides",
    "majority": "majority of the images",
}
NO_PICTURE = "no_picture"
MOMENT = "%Y-%m-%d %H:%M"


class OverlaySerializer(serializers.ModelSerializer):
    url = serializers.SerializerMethodField()

    class Meta:
        model = Overlay
        fields = ("url", "rows", "columns", "peak")

    def get_url(self, overlay: Overlay) -> str:
        return reverse("overlay", args=[overlay.pk])


class PredictionSerializer(serializers.ModelSerializer):
    model = serializers.CharField(source="model.name")
    digest = serializers.CharField(source="model.digest")
    aggregation = serializers.SerializerMethodField()
    explanation_words = serializers.CharField(source="get_explanation_display")
    pointing = serializers.SerializerMethodField()
    created = serializers.DateTimeField(format=MOMENT)
    superseded_at = serializers.DateTimeField(format=MOMENT, allow_null=True)

    class Meta:
        model = Prediction
        fields = ("pk", "revision", "state", "reason", "probability", "threshold")
        fields += ("flagged", "confident_from", "confident", "code")
        fields += ("aggregation", "model", "digest", "created")
        fields += ("superseded_at", "explanation", "explanation_words")
        fields += ("explanation_reason", "pointing")

    def get_pointing(self, prediction: Prediction) -> str:
        """How far the model's explanations point at fractures, as its card says."""
        pointing = prediction.model.card.get("pointing")
        return str(pointing.get("reading", "")) if isinstance(pointing, dict) else ""

    def get_aggregation(self, prediction: Prediction) -> str:
        return AGGREGATIONS.get(prediction.aggregation, prediction.aggregation)


class ReviewSerializer(serializers.ModelSerializer):
    by = serializers.SerializerMethodField()
    words = serializers.CharField(source="get_verdict_display")
    created = serializers.DateTimeField(format=MOMENT)
    stands = serializers.SerializerMethodField()

    class Meta:
        model = Review
        fields = ("pk", "verdict", "words", "by", "created", "comment", "boxes")
        fields += ("revision", "overlay_shown", "adjudicates", "stands")

    def get_stands(self, review: Review) -> bool:
        """Whether no later verdict takes its place."""
        return review in self.context["standing"]

    def get_by(self, review: Review) -> str:
        return review.radiologist.get_full_name() or review.radiologist.username


class ImageSerializer(serializers.ModelSerializer):
    """One instance with what the current prediction says of it.

    context["readings"]: instance pk -> ImageReading. `shown`: whether a viewport
    can draw it; where not, `reason` says why.
    """

    url = serializers.SerializerMethodField()
    label = serializers.CharField()
    shown = serializers.SerializerMethodField()

    class Meta:
        model = Instance
        fields = ("pk", "uid", "revision", "url", "label", "shown")

    def get_url(self, instance: Instance) -> str:
        return reverse("dicom", args=[instance.pk])

    def get_shown(self, instance: Instance) -> bool:
        reading = self.context["readings"].get(instance.pk)
        unreadable = reading and reading.state == Prediction.State.UNREADABLE
        return instance.role == Instance.Role.IMAGE and not unreadable

    def to_representation(self, instance: Instance) -> dict:
        shape = super().to_representation(instance)
        reading = self.context["readings"].get(instance.pk)
        return shape | (_said(reading) if reading else _not_said(instance))


def marking(reading: ImageReading) -> str:
    """How an image is marked: confident (solid), suspicious (dotted) or not at all."""
    chance, said = reading.probability, reading.prediction
    if chance is None or said.threshold is None or chance < said.threshold:
        return ""
    surer = said.confident_from is not None and chance >= said.confident_from
    return "confident" if surer else "suspicious"


def _said(reading: ImageReading) -> dict:
    overlays = {o.method: OverlaySerializer(o).data for o in reading.overlays.all()}
    return {
        "state": NO_PICTURE if reading.code == NOT_AN_IMAGE else reading.state,
        "code": reading.code,
        "marking": marking(reading),
        "reason": reading.reason,
        "probability": reading.probability,
        "score": "" if reading.probability is None else percent(reading.probability),
        "voted": reading.voted,
        "overlays": overlays,
    }


def _not_said(instance: Instance) -> dict:
    is_image = instance.role == Instance.Role.IMAGE
    return {
        "state": "waiting" if is_image else NO_PICTURE,
        "code": "",
        "marking": "",
        "reason": "" if is_image else instance.kind,
        "probability": None,
        "score": "",
        "voted": False,
        "overlays": {},
    }


class StudySerializer(serializers.ModelSerializer):
    """Everything on the study page that may change while it is open."""

    state_words = serializers.CharField(source="get_state_display")

    class Meta:
        model = Study
        fields = ("pk", "revision", "state", "state_words", "reason", "notices")
        fields += ("disputed",)

    def to_representation(self, study: Study) -> dict:
        predictions = list(study.predictions.select_related("model").order_by("-pk"))
        current = next((p for p in predictions if p.superseded_at is None), None)
        earlier = [p for p in predictions if p.superseded_at is not None]
        reviews = Review.objects.filter(prediction__study=study).order_by("-pk")
        reviews = list(reviews.select_related("radiologist", "prediction"))
        context = {"standing": standing(reversed(reviews))}
        return super().to_representation(study) | {
            "prediction": current and PredictionSerializer(current).data,
            "earlier": PredictionSerializer(earlier, many=True).data,
            "images": _images(study, current),
            "reviews": ReviewSerializer(reviews, many=True, context=context).data,
        }


def _images(study: Study, prediction: Prediction | None) -> list[dict]:
    readings = ImageReading.objects.filter(prediction=prediction)
    related = readings.select_related("prediction").prefetch_related("overlays")
    readings = related if prediction else []
    instances = Instance.objects.filter(series__study=study).select_related("series")
    instances = instances.exclude(role=Instance.Role.OWN)
    instances = instances.order_by(
        F("series__number").asc(nulls_last=True),
        F("number").asc(nulls_last=True),
        "uid",
        "pk",
    )
    known = {reading.instance_id: reading for reading in readings}
    return ImageSerializer(instances, many=True, context={"readings": known}).data


class ModelVersionSerializer(serializers.ModelSerializer):
    class Meta:
        model = ModelVersion
        fields = ("pk", "name", "digest", "stage", "staged_at", "served", "created")


class RefusalSerializer(serializers.Serializer):
    """detail: sentences."""

    detail = serializers.ListField(child=serializers.CharField())


class TrainingSerializer(serializers.Serializer):
    """A training as the form asks for it; what it means is `jobs.start`'s to judge."""

    parent = serializers.PrimaryKeyRelatedField(
        queryset=ModelVersion.objects.all(),
        error_messages={"does_not_exist": "Choose a model to go on from."},
    )
    epochs = serializers.IntegerField()
    rate = serializers.FloatField()
    seed = serializers.IntegerField()

    def sentences(self) -> list[str]:
        """What is wrong with what was sent, each with the name of its field."""
        return [
            f"{name}: {error}"
            for name, errors in self.errors.items()
            for error in errors
        ]


class BoxesField(serializers.JSONField):
    """JSON in a form; what is nested without end is no JSON either."""

    def to_internal_value(self, data: object) -> object:
        try:
            return super().to_internal_value(data)
        except RecursionError:
            self.fail("invalid")


class VerdictSerializer(serializers.Serializer):
    """A verdict as the form sends it; what it means is `review.submit`'s to judge."""

    prediction = serializers.IntegerField()
    seen_revision = serializers.IntegerField(min_value=1)
    verdict = serializers.ChoiceField(
        Review.Verdict,
        error_messages={
            "required": "Choose a verdict first.",
            "invalid_choice": "Choose fracture, no fracture or unsure.",
        },
    )
    boxes = BoxesField(binary=True, default="[]")
    comment = serializers.CharField(allow_blank=True, max_length=4000, default="")
    overlay_shown = serializers.BooleanField(default=False)
    adjudicates = serializers.BooleanField(default=False)
