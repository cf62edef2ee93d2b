"""The life of a search: started, its candidates asked for and told, concluded.

A search is a job without a worker of its own. Its trials are the work
(`clinic.trials`), and whoever ends one asks the strategy for the next in the same
transaction, so that there is no generation to wait for and no loop to be killed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from clinic import audit, tags
from clinic.models import Job, ModelVersion, Trial
from clinic.wishes import LIMITS, refuse_nonsense, refuse_unknown
from search.hardware import Table
from search.spaces import SPACES, Space
from search.strategies import STRATEGIES, Exhausted, Limit, Strategy

Stage, State = Trial.Stage, Trial.State
OPEN = (State.QUEUED, State.RUNNING)
BROKE_OFF = "The training broke off"  # begins the reason where no worker lived to say
LATE = "The hours of the search were over before it was begun."


@transaction.atomic
def start(
    *,
    parent: ModelVersion,
    by: AbstractBaseUser | None,
    space: str,
    strategy: str,
    budget: int | None = None,
    hours: float | None = None,
    fits: int | None = None,
    workers: int = 1,
    finals: int = 3,
    objectives: int = 1,
    most: Mapping[str, float] | None = None,
    size: tuple[int, int] = (224, 224),
    latency: Mapping[str, object] | None = None,
    seed: int = 0,
    evaluation: Mapping[str, object] | None = None,
    verdicts: Mapping[str, object] | None = None,
    pack: str = "",
) -> Job:
    """A search whose first candidates, one a worker, wait to be trained.

    budget: candidates to try; hours: of work (`clinic.stopwatch`), after which none is
    begun; what comes first ends it. fits: candidates expected within the hours; what
    a strategy does less and less runs over that number, not by a clock. most:
    parameters, madds (multiply-adds at `size`, height and width) and, with a table of
    it, latency (ms) that a candidate may have; what has more is never trained. finals:
    how many of the best are trained at length. evaluation, verdicts, pack: what the
    trainings learn from and how.
    """
    counted = {"budget": budget, "hours": hours, "workers": workers, "finals": finals}
    counted |= {"objectives": objectives}
    refuse_nonsense(space, strategy, counted | {"seed": seed})
    refuse_unknown(space, size, most or {}, latency)
    planned = min(filter(None, (budget, fits)), default=LIMITS["budget"][1])
    parameters = counted | {"planned": planned, "size": list(size)}
    parameters |= {"space": space, "strategy": strategy, "most": dict(most or {})}
    job = Job.objects.create(
        kind=Job.Kind.SEARCH,
        by=by,
        parent=parent,
        seed=seed,
        parameters=parameters | {"evaluation": evaluation or {}, "latency": latency},
        verdicts=verdicts or {},
        pack=pack,
    )
    _ask_first(job)
    said = parameters | {"parent": parent.digest, "until": until(job)}
    audit.record("search.started", job, by, **said)
    return job


def begin(*, job: Job) -> None:
    """Its first trial was claimed."""
    if job.state == Job.State.QUEUED:
        job.state = Job.State.RUNNING
        job.save(update_fields=["state"])


@transaction.atomic
def pause(*, job: Job, by: AbstractBaseUser) -> Job:
    """Begin no further trial until it is resumed; those that run come to their end,
    and another search may take its turn."""
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.state not in (Job.State.QUEUED, Job.State.RUNNING):
        words = f"Only what waits or runs can pause; this is {job.get_state_display()}."
        raise ValidationError(words)
    job.state, job.holder, job.lease_until = Job.State.PAUSED, "", None
    job.save(update_fields=["state", "holder", "lease_until"])
    audit.record("search.paused", job, by)
    return job


def proceed(*, trial: Trial) -> None:
    """A trial has ended: tell the strategy, ask for the next. Within the transaction
    that ended it, its job locked."""
    job, strategy = trial.job, strategy_of(trial.job)
    if trial.stage == Stage.CANDIDATE:
        architecture = strategy.space.from_json(trial.architecture)
        strategy.tell(architecture, trial.values)
    job.done = job.trials.exclude(state__in=OPEN).count()
    _fill(job, strategy)
    if is_over(job) and not job.trials.filter(state=State.DONE).exists():
        job.state, job.ended = Job.State.FAILED, timezone.now()
        job.reason = "No candidate could be trained; the trials say why."
        audit.record("search.failed", job, reason=job.reason)
    job.save(update_fields=["done", "state", "reason", "ended"])


def retry(*, job: Job, by: AbstractBaseUser | None) -> None:
    """Give those another chance whose workers died: a person who resumes may have
    mended what killed them. What failed of itself stays set aside. Within the
    transaction that resumes the search.

    Nothing would come of a candidate once the best were chosen or the hours are over.
    """
    found = job.trials.filter(state=State.FAILED, reason__startswith=BROKE_OFF)
    if job.trials.filter(stage=Stage.FINAL).exists() or not _left(job, 0):
        found = found.filter(stage=Stage.FINAL)
    for trial in found.order_by("number"):
        trial.state, trial.reason, trial.ended = State.QUEUED, "", None
        trial.tries, trial.done, trial.kept = 0, 0.0, 0.0
        trial.due_at = timezone.now()
        trial.save()
        # The strategy goes on as if it waited for the answer still.
        job.asked = [e for e in job.asked if e != ["tell", trial.number, None]]
        audit.record("trial.retried", job, by, trial=trial.number)
    job.done = job.trials.exclude(state__in=OPEN).count()


def strategy_of(job: Job) -> Strategy:
    """As its row left it."""
    said = job.parameters
    space = SPACES[said["space"]]
    strategy = STRATEGIES[said["strategy"]](
        space,
        seed=job.seed,
        budget=said["planned"],
        objectives=said["objectives"],
        limits=_limits(space, said),
        start=space.start,
    )
    strategy.take_up(job.asked)
    return strategy


def is_over(job: Job) -> bool:
    """Whether every candidate was tried and the best were trained at length."""
    return not job.trials.filter(state__in=OPEN).exists()


def until(job: Job) -> str:
    """When no further candidate is begun: 30 trials, 8 h, or what comes first."""
    budget, hours = job.parameters["budget"], job.parameters["hours"]
    said = [] if budget is None else [f"{budget} trials"]
    return " or ".join(said + ([] if hours is None else [f"{hours:g} h"]))


def is_late(trial: Trial) -> bool:
    """Whether a candidate would be begun after the hours of its search. One that was,
    and that a worker gave back, comes to its end."""
    hours = trial.job.parameters["hours"]
    if hours is None or trial.stage != Stage.CANDIDATE:
        return False
    begun = trial.seconds or trial.kept or trial.tries
    waits = trial.state == State.QUEUED and not begun
    return waits and trial.job.seconds >= hours * 3600


def best(trials: Iterable[Trial]) -> Trial | None:
    """Of those trained at length, or of all if none was; the first of equals."""
    done = [trial for trial in trials if trial.state == State.DONE]
    finals = [trial for trial in done if trial.stage == Stage.FINAL]
    return max(finals or done, key=lambda trial: trial.values, default=None)


@transaction.atomic
def provide(*, job: Job, pack: str) -> None:
    """The artifact store has what its trials learn from: they may begin."""
    held = Job.objects.select_for_update().get(pk=job.pk)
    if held.state != Job.State.RUNNING or held.holder != job.holder:
        raise ValidationError("The search was stopped, or another one provides it.")
    held.pack, held.holder, held.lease_until = pack, "", None
    held.attempts, held.step = 0, ""
    held.save()
    audit.record("search.provided", held, pack=pack, data=held.data_digest)


@transaction.atomic
def fail(*, job: Job, reason: str) -> None:
    """No candidate can be trained, whichever it is; a person may resume it."""
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.state != Job.State.RUNNING:
        return
    job.state, job.reason = Job.State.FAILED, tags.text(reason, 500)
    job.ended = timezone.now()
    job.save()
    audit.record("search.failed", job, reason=job.reason)


@transaction.atomic
def conclude(*, job: Job, candidate: ModelVersion, compared: dict) -> None:
    """Every trial has ended, and this is the model that came of them."""
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.state != Job.State.RUNNING or not is_over(job):
        raise ValidationError("The search goes on, or has ended already.")
    job.candidate, job.compared, job.state = candidate, compared, Job.State.DONE
    job.holder, job.lease_until = "", None
    job.step, job.ended = "", timezone.now()
    job.save()
    audit.record("search.done", job, job.by, digest=candidate.digest)


def _ask_first(job: Job) -> None:
    _fill(job, strategy_of(job))
    if not job.trials.exists():
        raise ValidationError({"most": "No candidate keeps within these limits."})


def _fill(job: Job, strategy: Strategy) -> None:
    """Have as many trials waiting or running as there are workers; once nothing is
    left to ask for and all have ended, those of the best at length."""
    candidates = job.trials.filter(stage=Stage.CANDIDATE)
    waiting = candidates.filter(state__in=OPEN).count()
    asked = len(strategy.asked)
    new = []
    try:
        for _ in range(min(job.parameters["workers"] - waiting, _left(job, asked))):
            new.append(strategy.ask())
    except Exhausted:
        pass
    for number, architecture in enumerate(new, asked):
        _queue(job, number, Stage.CANDIDATE, strategy.space.to_json(architecture))
    job.asked = strategy.log
    job.save(update_fields=["asked"])
    if not new and not waiting:
        _finals(job)


def _left(job: Job, asked: int) -> int:
    """How many candidates may still be asked for."""
    budget, hours = job.parameters["budget"], job.parameters["hours"]
    if hours is not None and job.seconds >= hours * 3600:
        return 0
    return (LIMITS["budget"][1] if budget is None else budget) - asked


def _finals(job: Job) -> None:
    if job.trials.filter(stage=Stage.FINAL).exists():
        return
    done = job.trials.filter(state=State.DONE).order_by("number")
    best = sorted(done, key=lambda trial: trial.values, reverse=True)
    asked = job.trials.count()
    for place, trial in enumerate(best[: job.parameters["finals"]]):
        _queue(job, asked + place, Stage.FINAL, trial.architecture)


def _queue(job: Job, number: int, stage: str, architecture: object) -> None:
    said = json.dumps(architecture, sort_keys=True).encode()
    key = hashlib.sha256(said).hexdigest()
    job.trials.create(number=number, stage=stage, architecture=architecture, key=key)


def _limits(space: Space, said: Mapping[str, object]) -> list[Limit]:
    height, width = said["size"]
    costs = {
        "parameters": space.parameters,
        "madds": lambda architecture: space.madds(architecture, height, width),
    }
    if said["latency"]:
        costs["latency"] = Table.from_json(said["latency"]).predict
    return [Limit(name, costs[name], value) for name, value in said["most"].items()]
