"""Shapes at the edge: a search as it stands, and its trials."""

from rest_framework import serializers

from clinic.models import Job, Trial


class TrialSerializer(serializers.ModelSerializer):
    """values: one an objective, higher is better."""

    class Meta:
        model = Trial
        fields = ("number", "stage", "state", "reason", "architecture", "values")
        fields += ("measured", "attempts", "machine", "done", "seconds", "ended")


class SearchSerializer(serializers.ModelSerializer):
    """parameters: as it was asked for. done: trials that have ended."""

    by = serializers.CharField(source="by.username", default=None, allow_null=True)

    class Meta:
        model = Job
        fields = ("pk", "state", "reason", "step", "by", "parent", "parameters")
        fields += ("seed", "created", "ended", "done", "candidate", "compared")


class SearchListSerializer(serializers.Serializer):
    searches = SearchSerializer(many=True)


class SearchDetailSerializer(SearchSerializer):
    """seconds_left: with all workers at work; null while that is unknown."""

    seconds_left = serializers.FloatField(allow_null=True)
    trials = TrialSerializer(many=True)

    class Meta(SearchSerializer.Meta):
        fields = (*SearchSerializer.Meta.fields, "seconds_left", "trials")


class RefusalSerializer(serializers.Serializer):
    detail = serializers.ListField(child=serializers.CharField())
