"""Models in the sense of networks: what may serve, what serves, what served."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class ModelVersion(models.Model):
    """One artifact. `clinic.registry` moves `stage`; the artifact never changes."""

    class Stage(models.TextChoices):
        CANDIDATE = "candidate"
        SHADOW = "shadow", "in the shadow"
        ACTIVE = "active", "in service"
        RETIRED = "retired"

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256")
    name = models.CharField(max_length=64)
    folder = models.CharField(max_length=255, help_text="Relative to MODEL_ROOT")
    stage = models.CharField(max_length=9, choices=Stage, default=Stage.CANDIDATE)
    staged_at = models.DateTimeField(default=timezone.now, help_text="In this stage")
    served = models.BooleanField(default=False, help_text="Is or was in service")
    card = models.JSONField(default=dict)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["stage"], condition=Q(stage="active"), name="one_active_model"
            ),
            models.UniqueConstraint(
                fields=["stage"], condition=Q(stage="shadow"), name="one_shadow_model"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=["candidate", "shadow", "active", "retired"]),
                name="model_stage",
            ),
            models.CheckConstraint(
                condition=~Q(stage="active") | Q(served=True),
                name="active_means_served",
            ),
            models.CheckConstraint(
                condition=~Q(stage="candidate") | Q(served=False),
                name="candidate_never_served",
            ),
        ]

    @property
    def brief(self) -> str:
        """The digest as people compare it."""
        return self.digest[:12]
