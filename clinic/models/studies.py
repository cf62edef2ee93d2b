"""Studies, series, instances as they came from the PACS, and the cursor over it."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Case, F, Q, When
from django.utils import timezone
from pydicom.uid import UID

if TYPE_CHECKING:
    from clinic.models.predictions import Prediction

NOTICES_KEPT = 50
RECURRING = {"late_images", "replaced_images"}
PART = 48  # characters of a series' name in the name of its images
UNPAIRED = "U"


class PacsCursor(models.Model):
    """How far the changes feed was taken in, and how the PACS is. One row."""

    sequence = models.BigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True, help_text="Last answer of the PACS")
    trouble = models.CharField(max_length=500, blank=True, help_text="Empty: none")
    shut = models.CharField(
        max_length=500, blank=True, help_text="Why nobody can send; empty: they can"
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_cursor")]


class StudyQuerySet(models.QuerySet):
    def due(self) -> "StudyQuerySet":
        """Whose images have stopped coming, or whose reader's lease ran out."""
        now = timezone.now()
        state = Study.State
        return self.filter(
            Q(state__in=[state.RECEIVING, state.WAITING], due_at__lte=now)
            | Q(state=state.READING, lease_until__lt=now)
        ).order_by("due_at", "pk")

    def rung(self) -> "StudyQuerySet":
        """Those a worker has been told of and has not begun."""
        return self.filter(state=Study.State.WAITING, due_at__gt=timezone.now())

    def pending(self) -> "StudyQuerySet":
        """Not read yet, or being read again."""
        state = Study.State
        return self.filter(state__in=[state.RECEIVING, state.WAITING, state.READING])

    def for_worklist(self) -> "StudyQuerySet":
        """Flagged first, then what the model left to people, then who has waited
        longest; judged ones last."""
        return self.order_by(
            F("verdict").asc(), F("urgency").desc(), F("arrived").asc(), "pk"
        )


class Study(models.Model):
    """One appointment of one patient, and the state of reading it."""

    class State(models.TextChoices):
        RECEIVING = "receiving", "images are arriving"
        WAITING = "waiting", "waiting to be read"
        READING = "reading", "being read"
        READ = "read", "read"
        ABSTAINED = "abstained", "left to people: the model says nothing"
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
    confident = models.BooleanField(default=False)
    urgency = models.GeneratedField(
        expression=Case(
            When(flagged=True, then=2), When(state="abstained", then=1), default=0
        ),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )
    verdict = models.CharField(max_length=16, blank=True)
    disputed = models.BooleanField(default=False, help_text="Verdicts disagree")

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
                        "abstained",
                        "not_ours",
                        "unreadable",
                        "failed",
                    ]
                ),
                name="study_state",
            ),
            models.CheckConstraint(
                condition=~Q(
                    state__in=["abstained", "not_ours", "unreadable", "failed"]
                )
                | ~Q(reason=""),
                name="study_set_aside_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(confident=False) | Q(flagged=True),
                name="confident_study_is_flagged",
            ),
        ]
        indexes = [
            models.Index(
                "verdict", F("urgency").desc(), "arrived", "id", name="worklist_order"
            ),
            models.Index("state", "due_at", name="study_due"),
        ]

    @property
    def prediction(self) -> "Prediction | None":
        """The one that counts now."""
        return self.predictions.filter(superseded_at=None).first()

    def notice(self, code: str, text: str) -> None:
        """Add, unsaved, something a reader must know.

        Of what comes again and again the newest are kept; a warning, which comes
        once, stays: nothing is learnt from a study that may be another patient's.
        """
        now = timezone.now().isoformat()
        told = [*self.notices, {"at": now, "code": code, "text": text}]
        newest = [one for one in told if one["code"] in RECURRING][-NOTICES_KEPT:]
        self.notices = [
            one for one in told if one["code"] not in RECURRING or one in newest
        ]


class Series(models.Model):
    study = models.ForeignKey(Study, models.CASCADE, related_name="series")
    pacs_id = models.CharField(max_length=44, unique=True)
    uid = models.CharField(max_length=64)
    modality = models.CharField(max_length=16, blank=True)
    body_part = models.CharField(max_length=64, blank=True)
    description = models.CharField(max_length=255, blank=True)
    number = models.IntegerField(null=True)


class InstanceQuerySet(models.QuerySet):
    def images(self) -> "InstanceQuerySet":
        """What a reader reads, in the order a person looks at it."""
        return self.filter(role=Instance.Role.IMAGE).order_by(
            F("series__number").asc(nulls_last=True),
            F("number").asc(nulls_last=True),
            "uid",
            "pk",
        )


class Instance(models.Model):
    """One DICOM object. `digest` is the PACS's over the stored file.

    role: only images are read. A row is `own` from before its object is sent to
    the PACS, so that a result of ours is known when the changes feed brings it.
    """

    class Role(models.TextChoices):
        IMAGE = "image"
        OTHER = "other", "report, annotation or other object without pixels"
        OWN = "own", "a result of this system"

    series = models.ForeignKey(Series, models.CASCADE, related_name="instances")
    role = models.CharField(max_length=5, choices=Role, default=Role.IMAGE)
    pacs_id = models.CharField(max_length=44, unique=True)
    uid = models.CharField(max_length=64, db_index=True)
    sop_class = models.CharField(max_length=64, blank=True)
    number = models.IntegerField(null=True)
    view = models.CharField(max_length=64, blank=True, help_text="PA, lateral, …")
    laterality = models.CharField(max_length=16, blank=True, help_text="R, L, B, U")
    rows = models.PositiveIntegerField(null=True, help_text="Where the PACS tells")
    columns = models.PositiveIntegerField(null=True)
    digest = models.CharField(max_length=64)
    revision = models.PositiveIntegerField(help_text="Of the study, when it came")
    arrived = models.DateTimeField(default=timezone.now)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=["image", "other", "own"]), name="instance_role"
            )
        ]

    @property
    def kind(self) -> str:
        """What it is instead of an image, in words."""
        return f"Not an image: {UID(self.sop_class).name or 'this object'}."

    @property
    def label(self) -> str:
        """What a person calls it: "WRIST PA · L". View and side are never cut off."""
        series = self.series
        part = series.description or series.body_part or series.modality or "Image"
        part = part if len(part) <= PART else f"{part[: PART - 1].rstrip()}…"
        known = part.casefold().split()
        if not set(self.view.casefold().split()) <= set(known):
            part = f"{part} {self.view}"
        side = "" if self.laterality in ("", UNPAIRED) else f" · {self.laterality}"
        return part + side
