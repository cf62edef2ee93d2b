"""What people said and did: reviews and audit events, append-only."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from clinic.models.predictions import Prediction


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
    revision = models.PositiveIntegerField(
        help_text="Of the study as it was judged; its reading may be an earlier one's"
    )
    radiologist = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    verdict = models.CharField(max_length=11, choices=Verdict)
    boxes = models.JSONField(default=list)
    comment = models.TextField(blank=True, max_length=4000)
    overlay_shown = models.BooleanField(help_text="Had the overlay been looked at")
    adjudicates = models.BooleanField(
        default=False, help_text="Settles what the verdicts before it disagree on"
    )
    created = models.DateTimeField(auto_now_add=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=["fracture", "no_fracture", "unsure"]),
                name="review_verdict",
            ),
            models.CheckConstraint(
                condition=Q(adjudicates=False) | ~Q(verdict="unsure"),
                name="an_adjudication_decides",
            ),
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
