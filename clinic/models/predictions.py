"""What a model said of a study, image by image, and why."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from clinic.models.registry import ModelVersion
from clinic.models.studies import Instance, Study

NOT_AN_IMAGE = "not_an_image"


class PredictionQuerySet(models.QuerySet):
    def unexplained(self) -> "PredictionQuerySet":
        """Current ones that wait for their overlays and that nobody works on."""
        now = timezone.now()
        return self.filter(
            Q(explanation_lease=None) | Q(explanation_lease__lt=now),
            explanation=Prediction.Explanation.WAITING,
            superseded_at=None,
        ).order_by("pk")


class Prediction(models.Model):
    """What one model said of one revision of a study."""

    class State(models.TextChoices):
        READ = "read"
        ABSTAINED = "abstained"
        NOT_OURS = "not_ours"
        UNREADABLE = "unreadable"

    class Explanation(models.TextChoices):
        WAITING = "waiting", "being computed"
        DONE = "done", "ready"
        FAILED = "failed", "could not be computed"
        NONE = "none", "nothing to explain"

    study = models.ForeignKey(Study, models.PROTECT, related_name="predictions")
    revision = models.PositiveIntegerField()
    model = models.ForeignKey(ModelVersion, models.PROTECT, related_name="predictions")
    state = models.CharField(max_length=10, choices=State)
    code = models.CharField(max_length=32, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    probability = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    flagged = models.BooleanField(default=False)
    confident_from = models.FloatField(null=True)
    confident = models.BooleanField(default=False)
    aggregation = models.CharField(max_length=32, blank=True)
    milliseconds = models.JSONField(default=dict, help_text="Stage -> wall time")
    created = models.DateTimeField(default=timezone.now)
    superseded_at = models.DateTimeField(null=True)
    explanation = models.CharField(
        max_length=7, choices=Explanation, default=Explanation.NONE
    )
    explanation_reason = models.CharField(max_length=500, blank=True)
    explanation_attempts = models.PositiveIntegerField(default=0)
    explanation_lease = models.DateTimeField(null=True)

    objects = PredictionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "revision", "model"],
                name="one_prediction_per_revision_and_model",
            ),
            models.UniqueConstraint(
                fields=["study"],
                condition=Q(superseded_at=None),
                name="one_current_prediction",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["read", "abstained", "not_ours", "unreadable"]),
                name="prediction_state",
            ),
            models.CheckConstraint(
                condition=~Q(state="read") | Q(probability__isnull=False),
                name="read_means_a_probability",
            ),
            models.CheckConstraint(
                condition=~Q(state="abstained") | Q(probability=None, flagged=False),
                name="abstained_means_no_probability",
            ),
            models.CheckConstraint(
                condition=Q(confident=False) | Q(flagged=True),
                name="confident_means_flagged",
            ),
            models.CheckConstraint(
                condition=Q(state="read") | ~Q(reason=""),
                name="not_read_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(explanation__in=["waiting", "done", "failed", "none"]),
                name="prediction_explanation",
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(explanation="waiting"),
                name="prediction_unexplained",
            )
        ]


class ImageReadingQuerySet(models.QuerySet):
    def complete(self, prediction: Prediction) -> None:
        """Set aside, in words, what has no pixels and no reading in `prediction`.

        A report or annotation that comes late gets the row it would have had in
        time; nothing is read again for it.
        """
        others = Instance.objects.filter(
            series__study=prediction.study_id, role=Instance.Role.OTHER
        )
        self.bulk_create(
            ImageReading(
                prediction=prediction,
                instance=instance,
                state=Prediction.State.NOT_OURS,
                code=NOT_AN_IMAGE,
                reason=instance.kind,
            )
            for instance in others.exclude(readings__prediction=prediction)
        )


class ImageReading(models.Model):
    """What became of one image within a prediction.

    views: [{"affine": 2×3 frame pixel -> view pixel, "probability": [0, 1]}].
    """

    prediction = models.ForeignKey(Prediction, models.CASCADE, related_name="images")
    instance = models.ForeignKey(Instance, models.PROTECT, related_name="readings")
    state = models.CharField(max_length=10, choices=Prediction.State)
    code = models.CharField(max_length=32, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    probability = models.FloatField(null=True)
    voted = models.BooleanField(default=False, help_text="Decided the study's score")
    views = models.JSONField(default=list)
    digest = models.CharField(
        max_length=64, blank=True, help_text="Of the file that was read"
    )

    objects = ImageReadingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prediction", "instance"], name="one_reading_per_image"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["read", "abstained", "not_ours", "unreadable"]),
                name="image_reading_state",
            ),
            models.CheckConstraint(
                condition=Q(state="read") | ~Q(reason=""),
                name="image_not_read_has_a_reason",
            ),
            models.CheckConstraint(
                condition=~Q(state="abstained") | Q(probability=None),
                name="abstained_image_has_no_probability",
            ),
        ]


class Overlay(models.Model):
    """Relevance over one image, in the grid of the original frame.

    peak: (x, y) in frame pixels, where the method speaks most for a fracture.
    """

    image = models.ForeignKey(ImageReading, models.CASCADE, related_name="overlays")
    method = models.CharField(max_length=16)
    png = models.FileField(upload_to="overlays/%Y/%m/%d")
    rows = models.PositiveIntegerField(help_text="Of the frame, not of the PNG")
    columns = models.PositiveIntegerField()
    peak = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["image", "method"], name="one_overlay_per_method"
            )
        ]
