"""What `api` answers, as the OpenAPI schema tells it, where that is more than rows."""

from rest_framework import serializers

from clinic.serializers import (
    ImageSerializer,
    ModelVersionSerializer,
    OverlaySerializer,
    PredictionSerializer,
    ReviewSerializer,
    StudySerializer,
)


class ImageAnswer(ImageSerializer):
    """marking: confident, suspicious or none. score: in words, or none.

    overlays: by method.
    """

    state = serializers.CharField()
    code = serializers.CharField(allow_blank=True)
    marking = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    probability = serializers.FloatField(allow_null=True)
    score = serializers.CharField(allow_blank=True)
    voted = serializers.BooleanField()
    overlays = serializers.DictField(child=OverlaySerializer())

    class Meta(ImageSerializer.Meta):
        fields = (*ImageSerializer.Meta.fields, "state", "code", "marking", "reason")
        fields += ("probability", "score", "voted", "overlays")


class StudyAnswer(StudySerializer):
    """prediction: the one that counts; earlier: those it superseded."""

    prediction = PredictionSerializer(allow_null=True)
    earlier = PredictionSerializer(many=True)
    images = ImageAnswer(many=True)
    reviews = ReviewSerializer(many=True)

    class Meta(StudySerializer.Meta):
        fields = (*StudySerializer.Meta.fields, "prediction", "earlier", "images")
        fields += ("reviews",)


class ModelList(serializers.Serializer):
    models = ModelVersionSerializer(many=True)


class ModelAnswer(ModelVersionSerializer):
    """blockers: sentences that keep it from being promoted."""

    card = serializers.DictField()
    blockers = serializers.ListField(child=serializers.CharField())

    class Meta(ModelVersionSerializer.Meta):
        fields = (*ModelVersionSerializer.Meta.fields, "card", "blockers")


class Measurement(serializers.Serializer):
    job = serializers.IntegerField()


class Decision(serializers.Serializer):
    reason = serializers.CharField(help_text="For whoever asks later")


class Return(serializers.Serializer):
    """Into service again: who sees a model fail must not have to argue."""

    reason = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, default=""
    )
