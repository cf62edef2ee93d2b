"""What a model in the shadow said of studies that another one reads."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from clinic.models.predictions import Prediction
from clinic.models.registry import ModelVersion


class ShadowReading(models.Model):
    """The shadow's answer beside one prediction. No radiologist ever sees it."""

    class State(models.TextChoices):
        WAITING = "waiting", "being read"
        READ = "read"
        ABSTAINED = "abstained"
        NOT_OURS = "not_ours", "not ours"
        UNREADABLE = "unreadable"
        FAILED = "failed", "could not be read"

    prediction = models.ForeignKey(Prediction, models.PROTECT, related_name="shadows")
    model = models.ForeignKey(ModelVersion, models.PROTECT, related_name="shadows")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=500, blank=True)
    probability = models.FloatField(null=True)
    flagged = models.BooleanField(default=False)
    milliseconds = models.FloatField(null=True, help_text="Wall time of the reading")
    attempts = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prediction", "model"], name="one_shadow_reading"
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=[
                        "waiting",
                        "read",
                        "abstained",
                        "not_ours",
                        "unreadable",
                        "failed",
                    ]
                ),
                name="shadow_state",
            ),
            models.CheckConstraint(
                condition=~Q(state="read") | Q(probability__isnull=False),
                name="shadow_read_means_a_probability",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "read"]) | ~Q(reason=""),
                name="shadow_not_read_has_a_reason",
            ),
        ]
