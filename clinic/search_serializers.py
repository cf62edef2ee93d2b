"""Shapes at the edge: a search as it is asked for, as it stands, and its trials."""

from collections.abc import Iterator, Mapping

from django.http import QueryDict
from rest_framework import serializers

from clinic.models import Job, ModelVersion, Trial
from clinic.terms import OBJECTIVES, SCORES
from search.spaces import SIDE, SPACES
from search.strategies import DEFAULT, STRATEGIES

PARENT = "Choose a model to start from."


class SearchRequestSerializer(serializers.Serializer):
    """A search as the form or a script asks for it; what it means is `search.start`'s
    and `terms.settle`'s to judge. Data sets, supernets and latency tables are named as
    they lie in the data folder; without a data set the verdicts are learnt from."""

    parent = serializers.PrimaryKeyRelatedField(
        queryset=ModelVersion.objects.all(),
        error_messages=dict.fromkeys(("does_not_exist", "required"), PARENT),
    )
    space = serializers.ChoiceField(sorted(SPACES))
    strategy = serializers.ChoiceField([*STRATEGIES], default=DEFAULT)
    objective = serializers.ListField(
        child=serializers.ChoiceField(OBJECTIVES), default=("auroc",)
    )
    most_parameters = serializers.FloatField(required=False, allow_null=True)
    most_madds = serializers.FloatField(required=False, allow_null=True)
    most_latency = serializers.FloatField(
        required=False, allow_null=True, help_text="Milliseconds"
    )
    table = serializers.CharField(
        default="", allow_blank=True, help_text="A stored latency table"
    )
    images = serializers.CharField(
        default="", allow_blank=True, help_text="A data set; empty: the verdicts"
    )
    supernet = serializers.CharField(default="", allow_blank=True)
    patches = serializers.CharField(
        default="",
        allow_blank=True,
        help_text='Who proposes them: stored results, "parent"; empty: whole views',
    )
    height = serializers.IntegerField(min_value=SIDE[0], max_value=SIDE[1], default=224)
    width = serializers.IntegerField(min_value=SIDE[0], max_value=SIDE[1], default=224)
    budget = serializers.IntegerField(
        default=None, allow_null=True, help_text="Trials; or hours, or what is first"
    )
    hours = serializers.FloatField(
        default=None, allow_null=True, help_text="Of work; then none is begun"
    )
    workers = serializers.IntegerField(default=1)
    finals = serializers.IntegerField(default=3)
    epochs = serializers.IntegerField(default=5)
    final_epochs = serializers.IntegerField(default=20)
    batch = serializers.IntegerField(default=128)
    seed = serializers.IntegerField(default=0)

    def to_internal_value(self, data: object) -> dict[str, object]:
        """A form sends fields that were left empty as empty text."""
        if isinstance(data, QueryDict):
            first = data.get("score") or next(iter(SCORES))
            chosen = {"objective": [first, *data.getlist("besides")]}
            data = {k: v for k, v in data.items() if v != ""} | chosen
        return super().to_internal_value(data)

    def by_field(self) -> dict[str, list[str]]:
        """What is wrong with what was sent, in sentences."""
        found = self.errors.items()
        return {name: [*map(str, _flat(errors))] for name, errors in found}

    def sentences(self) -> list[str]:
        """The same, each with the name of its field."""
        found = self.by_field().items()
        return [f"{name}: {error}" for name, errors in found for error in errors]


def _flat(errors: object) -> Iterator[object]:
    """Those of a list's elements come as a mapping of lists."""
    for error in errors.values() if isinstance(errors, Mapping) else errors:
        yield from _flat(error) if isinstance(error, list) else (error,)


class TrialSerializer(serializers.ModelSerializer):
    """values: one an objective, higher is better. tries: attempts since it last came
    further; kept: how far that was, [0, 1]."""

    class Meta:
        model = Trial
        fields = ("number", "stage", "state", "reason", "architecture", "values")
        fields += ("measured", "attempts", "tries", "machine", "done", "kept")
        fields += ("seconds", "ended")


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
    """seconds_left: of its trials, with all workers at work; null while that is
    unknown, and once all have ended."""

    seconds_left = serializers.FloatField(allow_null=True)
    trials = TrialSerializer(many=True)

    class Meta(SearchSerializer.Meta):
        fields = (*SearchSerializer.Meta.fields, "seconds_left", "trials")


class EstimateSerializer(serializers.Serializer):
    """seconds: of one worker. basis: where that comes from. fits: candidates that are
    expected to be tried."""

    seconds = serializers.FloatField()
    basis = serializers.CharField()
    fits = serializers.IntegerField()


class ReportSerializer(serializers.Serializer):
    """best: the best candidate so far; config: its architecture as Once-For-All
    publishes them, null for one of another space. words: its model against the one in
    service, in Markdown; "" while there is none."""

    best = TrialSerializer()
    config = serializers.JSONField(allow_null=True)
    words = serializers.CharField(allow_blank=True)


class LogSerializer(serializers.Serializer):
    lines = serializers.ListField(child=serializers.CharField())
