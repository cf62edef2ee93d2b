"""What the clinic remembers: studies, what was read in them, what people said.

Rows here are the truth; the broker only rings. Invariants stand as constraints.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class PacsCursor(models.Model):
    """How far the changes feed was taken in, and how the PACS is. One row."""

    sequence = models.BigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True, help_text="Last answer of the PACS")
    trouble = models.CharField(max_length=500, blank=True, help_text="Empty: none")


class StudyQuerySet(models.QuerySet):
    def due(self) -> "StudyQuerySet":
        """Whose images have stopped coming, or whose reader's lease ran out."""
        now = timezone.now()
        state = Study.State
        return self.filter(
            Q(state__in=[state.RECEIVING, state.WAITING], due_at__lte=now)
            | Q(state=state.READING, lease_until__lt=now)
        ).order_by("due_at")

    def for_worklist(self) -> "StudyQuerySet":
        """Flagged first, then who has waited longest; judged ones last."""
        return self.order_by(
            F("verdict").asc(), F("flagged").desc(), F("arrived").asc(), "pk"
        )


class Study(models.Model):
    """One appointment of one patient, and the state of reading it."""

    class State(models.TextChoices):
        RECEIVING = "receiving", "images are arriving"
        WAITING = "waiting", "waiting to be read"
        READING = "reading", "being read"
        READ = "read", "read"
        NOT_OURS = "not_ours", "not a radiograph this model reads"
        UNREADABLE = "unreadable", "no readable image"
        FAILED = "failed", "set aside after repeated failure"

    pacs_id = models.CharField(max_length=44, unique=True)
    uid = models.CharField(max_length=64, db_index=True)
    patient_id = models.CharField(max_length=64, blank=True, db_index=True)
    patient_name = models.CharField(max_length=324, blank=True, db_index=True)
    birth_date = models.CharField(max_length=10, blank=True, help_text="YYYY-MM-DD")
    sex = models.CharField(max_length=16, blank=True)
    accession = models.CharField(max_length=64, blank=True, db_index=True)
    description = models.CharField(max_length=255, blank=True)
    taken_on = models.DateField(null=True, db_index=True)

    revision = models.PositiveIntegerField(
        default=1, help_text="Grows whenever the set or content of images changes"
    )
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVING)
    code = models.CharField(max_length=32, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="A sentence")
    notices = models.JSONField(
        default=list, help_text='[{"at", "code", "text"}]: what a reader must know'
    )
    arrived = models.DateTimeField(default=timezone.now, db_index=True)
    last_arrival = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    changed = models.DateTimeField(auto_now=True, db_index=True)

    # Of the current prediction and the settled review: the worklist sorts by them.
    probability = models.FloatField(null=True)
    flagged = models.BooleanField(default=False)
    verdict = models.CharField(max_length=16, blank=True)

    objects = StudyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    state__in=[
                        "receiving",
                        "waiting",
                        "reading",
                        "read",
                        "not_ours",
                        "unreadable",
                        "failed",
                    ]
                ),
                name="study_state",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["not_ours", "unreadable", "failed"])
                | ~Q(reason=""),
                name="study_set_aside_has_a_reason",
            ),
        ]
        indexes = [
            models.Index(
                "verdict", F("flagged").desc(), "arrived", "id", name="worklist_order"
            ),
            models.Index("state", "due_at", name="study_due"),
        ]

    @property
    def prediction(self) -> "Prediction | None":
        """The one that counts now."""
        return self.predictions.filter(superseded_at=None).first()


class Series(models.Model):
    study = models.ForeignKey(Study, models.CASCADE, related_name="series")
    pacs_id = models.CharField(max_length=44, unique=True)
    uid = models.CharField(max_length=64)
    modality = models.CharField(max_length=16, blank=True)
    body_part = models.CharField(max_length=64, blank=True)
    description = models.CharField(max_length=255, blank=True)
    number = models.IntegerField(null=True)


class Instance(models.Model):
    """One DICOM object. `digest` is the PACS's over the stored file."""

    series = models.ForeignKey(Series, models.CASCADE, related_name="instances")
    pacs_id = models.CharField(max_length=44, unique=True)
    uid = models.CharField(max_length=64, db_index=True)
    sop_class = models.CharField(max_length=64, blank=True)
    number = models.IntegerField(null=True)
    digest = models.CharField(max_length=64)
    revision = models.PositiveIntegerField(help_text="Of the study, when it came")
    arrived = models.DateTimeField(default=timezone.now)


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


class Prediction(models.Model):
    """What one model said of one revision of a study."""

    class State(models.TextChoices):
        READ = "read"
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
                condition=Q(state__in=["read", "not_ours", "unreadable"]),
                name="prediction_state",
            ),
            models.CheckConstraint(
                condition=~Q(state="read") | Q(probability__isnull=False),
                name="read_means_a_probability",
            ),
            models.CheckConstraint(
                condition=Q(state="read") | ~Q(reason=""),
                name="not_read_has_a_reason",
            ),
        ]


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

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prediction", "instance"], name="one_reading_per_image"
            ),
            models.CheckConstraint(
                condition=Q(state="read") | ~Q(reason=""),
                name="image_not_read_has_a_reason",
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


class AppendOnly(models.QuerySet):
    """Rows that no code path may change or remove."""

    def update(self, **kwargs):
        raise TypeError("append-only: write a new row instead")

    def delete(self):
        raise TypeError("append-only: rows are never deleted")


class ReviewQuerySet(AppendOnly):
    def settled(self) -> "ReviewQuerySet":
        """The latest review of each study."""
        newest = (
            Review.objects.filter(
                prediction__study=models.OuterRef("prediction__study")
            )
            .order_by("-pk")
            .values("pk")[:1]
        )
        return self.filter(pk=models.Subquery(newest))


class Review(models.Model):
    """A radiologist's verdict. A later one supersedes; none is ever edited.

    boxes: [{"instance": pk, "x", "y", "width", "height"}] in frame pixels.
    """

    class Verdict(models.TextChoices):
        FRACTURE = "fracture"
        NO_FRACTURE = "no_fracture", "no fracture"
        UNSURE = "unsure"

    prediction = models.ForeignKey(Prediction, models.PROTECT, related_name="reviews")
    radiologist = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    verdict = models.CharField(max_length=11, choices=Verdict)
    boxes = models.JSONField(default=list)
    comment = models.TextField(blank=True, max_length=4000)
    overlay_shown = models.BooleanField(help_text="Had the overlay been looked at")
    created = models.DateTimeField(auto_now_add=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=["fracture", "no_fracture", "unsure"]),
                name="review_verdict",
            )
        ]

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise TypeError("append-only: write a new review instead")
        super().save(*args, **kwargs)

    def delete(self, *args, **kwargs):
        raise TypeError("append-only: reviews are never deleted")


class AuditEvent(models.Model):
    """Who did what to which record, when. Append-only, hash-chained by audit.py."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    action = models.CharField(max_length=64)  # "study.received", "review.submitted", …
    target = models.CharField(max_length=64, db_index=True)  # "study/12"
    detail = models.JSONField(default=dict)
    previous = models.CharField(max_length=64, unique=True)
    digest = models.CharField(max_length=64, unique=True)

    objects = AppendOnly.as_manager()

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise TypeError("append-only: audit events are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args, **kwargs):
        raise TypeError("append-only: audit events are never deleted")
