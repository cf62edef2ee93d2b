"""Models in the sense of networks: what may serve, what serves, what served."""

from django.db import models
from django.db.models import Q


class ModelVersion(models.Model):
    """One artifact. Promotion moves `stage`; nothing else ever changes."""

    class Stage(models.TextChoices):
        CANDIDATE = "candidate"
        ACTIVE = "active"
        RETIRED = "retired"

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256")
    name = models.CharField(max_length=64)
    folder = models.CharField(max_length=255, help_text="Relative to MODEL_ROOT")
    stage = models.CharField(max_length=9, choices=Stage, default=Stage.CANDIDATE)
    card = models.JSONField(default=dict)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["stage"], condition=Q(stage="active"), name="one_active_model"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=["candidate", "active", "retired"]),
                name="model_stage",
            ),
        ]
