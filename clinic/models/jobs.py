"""Long work that somebody asked for: who has it, how far it is, how it ended."""

from django.conf import settings
from django.db import models
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from clinic.models.registry import ModelVersion

SIDES = 2  # of a measurement: the model that it is of, and the one in service


class JobQuerySet(models.QuerySet):
    def due(self) -> "JobQuerySet":
        """Trainings and measurements whose worker's lease ran out; else, while none
        runs, those that wait. Of a search the trials are due, not the job."""
        now, state = timezone.now(), Job.State
        found = self.exclude(kind=Job.Kind.SEARCH)
        running = Job.objects.exclude(kind=Job.Kind.SEARCH).filter(state=state.RUNNING)
        return found.filter(
            Q(state=state.QUEUED, due_at__lte=now) & ~models.Exists(running)
            | Q(state=state.RUNNING, lease_until__lt=now)
        ).order_by("pk")

    def training(self, **alike: object) -> "JobQuerySet":
        """Trainings that have not ended and were asked for with all of `alike`."""
        return self.filter(kind=Job.Kind.TRAIN, state__in=Job.OPEN, **alike)

    def measuring(self, model: ModelVersion) -> "JobQuerySet":
        """Measurements of `model` that have not ended: one at most."""
        return self.filter(kind=Job.Kind.MEASURE, parent=model, state__in=Job.OPEN)

    def unprovided(self) -> "JobQuerySet":
        """Searches whose verdicts are to be frozen and put into the artifact store."""
        searches = self.filter(kind=Job.Kind.SEARCH, pack="")
        return searches.filter(
            Q(lease_until=None) | Q(lease_until__lt=timezone.now()),
            state__in=[Job.State.QUEUED, Job.State.RUNNING],
            due_at__lte=timezone.now(),
        ).order_by("pk")

    def over(self) -> "JobQuerySet":
        """Searches whose trials have all ended, to be made a model of now."""
        now, every = timezone.now(), Job.objects.filter(kind=Job.Kind.SEARCH)
        done = every.filter(trials__state="done")
        going = every.filter(trials__state__in=["queued", "running"])
        return self.filter(
            Q(lease_until=None) | Q(lease_until__lt=now),
            state__in=[Job.State.QUEUED, Job.State.RUNNING],
            due_at__lte=now,
            pk__in=done.values("pk"),
        ).exclude(pk__in=going.values("pk"))


class Job(models.Model):
    """One training, one search, whose trainings are rows of their own (Trial), or one
    measurement of a model (`parent`) beside the one in service.

    The holder of a training or measurement that runs is the worker whose lease it is
    on; a search has one only while its verdicts are frozen and while its model is made.
    verdicts: {"chosen": [[review, weight]], "left_out": {reason: studies}, …}, as
    frozen when the job was started. history: one entry a finished epoch.
    """

    class Kind(models.TextChoices):
        TRAIN = "train", "training"
        SEARCH = "search", "search"
        MEASURE = "measure", "measurement"

    class State(models.TextChoices):
        QUEUED = "queued", "waiting for a worker"
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    OPEN = (State.QUEUED, State.RUNNING, State.PAUSED)

    kind = models.CharField(max_length=8, choices=Kind, default=Kind.TRAIN)
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True, help_text="A sentence")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    parameters = models.JSONField(default=dict, help_text="Of its kind")
    seed = models.PositiveIntegerField(default=0)
    parent = models.ForeignKey(ModelVersion, models.PROTECT, related_name="pupils")
    verdicts = models.JSONField(default=dict)
    data_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256")
    pack = models.CharField(
        max_length=64,
        blank=True,
        help_text="SHA-256, of a search's data",
    )
    created = models.DateTimeField(default=timezone.now)

    due_at = models.DateTimeField(default=timezone.now)
    holder = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    step = models.CharField(max_length=100, blank=True, help_text="What it does now")
    done = models.FloatField(
        default=0, help_text="Epochs, parts of one counted; models measured"
    )
    history = models.JSONField(default=list)
    asked = models.JSONField(default=list, help_text="The log of a search's strategy")
    log = models.TextField(blank=True, help_text="Its last lines")

    commit = models.CharField(max_length=40, blank=True)
    machine = models.CharField(max_length=200, blank=True)
    seconds = models.FloatField(default=0, help_text="Of work, over all attempts")
    clocked = models.DateTimeField(null=True, help_text="Until then it is counted")
    ended = models.DateTimeField(null=True)
    cleared = models.DateTimeField(null=True, help_text="Its files were removed")
    candidate = models.ForeignKey(
        ModelVersion, models.PROTECT, null=True, related_name="made_by"
    )
    compared = models.JSONField(
        default=dict, help_text="Candidate and incumbent on the same holdout"
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["train", "search", "measure"]), name="job_kind"
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["queued", "running", "done", "failed", "cancelled"]
                )
                | Q(kind="search", state="paused"),
                name="job_state",
            ),
            models.CheckConstraint(
                condition=Q(state="running", lease_until__isnull=False) & ~Q(holder="")
                | (Q(kind="search") | ~Q(state="running"))
                & Q(holder="", lease_until__isnull=True),
                name="running_means_one_holder",
            ),
            models.UniqueConstraint(
                Case(When(kind="search", then=Value("search")), default=Value("work")),
                condition=Q(state="running"),
                name="one_job_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["parent"],
                condition=Q(kind="measure", state__in=["queued", "running"]),
                name="one_measurement_of_a_model",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(reason=""),
                name="failed_job_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(cleared=None)
                | ~Q(state__in=["queued", "running", "paused"]),
                name="open_job_has_its_files",
            ),
            models.CheckConstraint(
                condition=(
                    Q(state="done", candidate__isnull=False) & ~Q(kind="measure")
                )
                | (~Q(state="done") | Q(kind="measure")) & Q(candidate__isnull=True),
                name="done_means_a_candidate",
            ),
        ]

    @property
    def epochs(self) -> int:
        return int(self.parameters.get("epochs", 0))

    @property
    def steps(self) -> int:
        """What `done` of a training or measurement comes to at its end."""
        return SIDES if self.kind == self.Kind.MEASURE else self.epochs

    @property
    def minutes(self) -> float:
        return self.seconds / 60

    @property
    def held_out(self) -> int:
        """Of its studies those that it does not learn from, but is judged by."""
        told = self.verdicts
        return told.get("held_fractured", 0) + told.get("held_sound", 0)

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN
