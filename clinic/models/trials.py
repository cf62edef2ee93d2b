"""The candidates of a search: who trains one, and how good it was."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from clinic.models.jobs import Job


class TrialQuerySet(models.QuerySet):
    def due(self) -> "TrialQuerySet":
        """To be had now, of the search that runs or, where none does, the oldest that
        is ready: the artifact store has what it learns from, and nobody waits for a
        PACS or a store that is away."""
        now, state = timezone.now(), Trial.State
        searches = Job.objects.filter(kind=Job.Kind.SEARCH)
        running = searches.filter(state=Job.State.RUNNING)
        waiting = searches.filter(state=Job.State.QUEUED, due_at__lte=now)
        ready = waiting.exclude(pack="").order_by("pk")
        turn = running.first() or ready.first()
        return (
            self.filter(
                Q(state=state.QUEUED, due_at__lte=now)
                | Q(state=state.RUNNING, lease_until__lt=now),
                job=turn,
            )
            .exclude(job__pack="")
            .order_by("job", "number")
        )


class Trial(models.Model):
    """One training of a search: of a candidate, or of one of the best at length.

    number: in the order of asking. key: digest of the canonical architecture.
    values: one an objective, higher is better; measured: whatever else is known.
    """

    class Stage(models.TextChoices):
        CANDIDATE = "candidate", "candidate"
        FINAL = "final", "trained at length"

    class State(models.TextChoices):
        QUEUED = "queued", "waiting for a worker"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    job = models.ForeignKey(Job, models.PROTECT, related_name="trials")
    number = models.PositiveIntegerField()
    stage = models.CharField(max_length=9, choices=Stage, default=Stage.CANDIDATE)
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True, help_text="A sentence")
    architecture = models.JSONField(help_text="As the space writes it")
    key = models.CharField(max_length=64, help_text="SHA-256")
    values = models.JSONField(null=True, help_text="Higher is better, each")
    measured = models.JSONField(default=dict)
    created = models.DateTimeField(default=timezone.now)

    due_at = models.DateTimeField(default=timezone.now)
    holder = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(
        default=0, help_text="Attempts since it last came further"
    )
    machine = models.CharField(max_length=200, blank=True)
    done = models.FloatField(default=0, help_text="Share of the work, [0, 1]")
    kept = models.FloatField(
        default=0, help_text="The furthest that was kept should it break off, [0, 1]"
    )
    seconds = models.FloatField(default=0, help_text="Of work, over all attempts")
    ended = models.DateTimeField(null=True)

    objects = TrialQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "done", "failed"]),
                name="trial_state",
            ),
            models.CheckConstraint(
                condition=Q(stage__in=["candidate", "final"]), name="trial_stage"
            ),
            models.CheckConstraint(
                condition=Q(state="running", lease_until__isnull=False) & ~Q(holder="")
                | ~Q(state="running") & Q(holder="", lease_until__isnull=True),
                name="running_trial_has_one_holder",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(reason=""),
                name="failed_trial_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(state="done", values__isnull=False)
                | ~Q(state="done") & Q(values__isnull=True),
                name="done_trial_has_values",
            ),
            models.CheckConstraint(
                condition=Q(tries__lte=F("attempts")), name="trial_tries_are_attempts"
            ),
            models.CheckConstraint(
                condition=Q(kept__gte=0, kept__lte=1), name="trial_kept_is_a_share"
            ),
            models.UniqueConstraint(fields=["job", "number"], name="trial_number"),
            models.UniqueConstraint(
                fields=["job", "stage", "key"], name="no_candidate_is_trained_twice"
            ),
        ]

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)
