"""BRIDGE to search: one candidate trained, and a model made of the best.

Cut out of `clinic.training`, which was full; beside it and `clinic.reading` the only
file of the clinic that may reach torch.
"""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db import transaction

from clinic import jobs, learning, leavings, registry, search, trials
from clinic.models import Job, Trial
from clinic.pacs import PacsUnavailable, open_pacs
from clinic.terms import Terms, any_digest, file_digest, refuse_one_sided
from clinic.training import OFTEN, Diary, comparison
from clinic.trials import Outcome, Tell
from inference import artifact
from inference.preprocess import Recipe
from search import data, dataset, supernet_file
from search.candidate import Task, Tried, attempt, of_patches
from search.hardware import Table
from search.parts import Parts, refuse_unmarked
from search.run import measured, prepared
from search.spaces import SPACES
from search.supernet import Supernet
from search.winner import ship

# What the card of a winner says of its search.
CARRIED = ("space", "strategy", "budget", "hours", "most")


@dataclass(frozen=True)
class Ground:
    """What all candidates of one search have in common."""

    images: Path
    parts: Parts
    set_aside: dict[str, int]
    task: Task


def evaluate(trial: Trial, tell: Tell) -> Outcome:
    """Train one candidate and judge it; goes on where its folder says.

    Radiographs or a supernet that are not what they were end the search, in words:
    it is no fault of this candidate, and the next would fare no better.
    """
    ground = _common(trial)
    _tidy(trial.job)
    return _outcome(trial, _tried(trial, ground, _seldom(tell)))


def conclude(*, job_id: int) -> None:
    """Once all trials have ended: make a model of the best, compare it with the one
    in service, register it. Idempotent.

    Raises PacsUnavailable, and what is no fault of the data, after the row says so.
    """
    job = jobs.claim(pk=job_id)
    if job is None:
        return
    with jobs.outcome(job), jobs.alive(job):
        room, diary = leavings.room(job), Diary(job)
        best = search.best(job.trials.order_by("number"))
        diary.say(f"candidate {best.number} is the best", step="making the model")
        ground = _ground(job, room)
        task, tried = _winner(best, ground, diary)
        verdict = ship(
            task,
            tried,
            parts=ground.parts,
            images=ground.images,
            work=room / "work",
            out=room / "model",
            facts=_facts(best, ground),
        )
        diary.say("comparing with the model in service", step="comparing")
        compared = comparison(verdict, ground.images, room / "work")
        diary.say(f"registering {verdict.digest}", step="registering")
        with transaction.atomic():
            candidate = registry.register(folder=verdict.folder, by=job.by)
            jobs.beat(job=job)  # whose claim is gone concludes nothing
            search.conclude(job=job, candidate=candidate, compared=compared)
        for done_with in ("trials", "work"):
            shutil.rmtree(room / done_with, ignore_errors=True)
        _ground.cache_clear()


def _winner(best: Trial, ground: Ground, diary: Diary) -> tuple[Task, Tried]:
    """What becomes the model. A network of patches cannot read whole views: its
    architecture learns anew from those, as the parent has them, for as long as the
    best did."""
    breathe = _seldom(lambda done: diary.say(""))
    if ground.task.proposed is None:
        return ground.task, _tried(best, ground, breathe)
    job, room = best.job, leavings.room(best.job)
    diary.say("the best network of patches learns whole views", step="whole views")
    looks = _looks(job)
    material, _ = prepared(ground.parts, looks, room / "work")
    seen = measured(looks, material.everything)
    task = replace(ground.task, material=material, recipe=seen, proposed=None)
    architecture = SPACES[task.space].from_json(best.architecture)
    epochs = Terms.of(job).final_epochs
    return task, attempt(task, architecture, room / "trials/whole", epochs, breathe)


def _common(trial: Trial) -> Ground:
    try:
        return _ground(trial.job, leavings.room(trial.job))
    except PacsUnavailable as error:
        trials.give_back(trial=trial, pause=jobs.AGAIN)
        raise trials.ClaimLost from error
    except (OSError, ValueError, artifact.DamagedArtifact) as error:
        search.fail(job=trial.job, reason=str(error))
        raise trials.ClaimLost from error


def _tried(trial: Trial, ground: Ground, tell: Tell) -> Tried:
    terms, space = Terms.of(trial.job), SPACES[trial.job.parameters["space"]]
    long = trial.stage == Trial.Stage.FINAL
    return attempt(
        ground.task,
        space.from_json(trial.architecture),
        _folder(trial),
        terms.final_epochs if long else terms.epochs,
        tell,
    )


def _outcome(trial: Trial, tried: Tried) -> Outcome:
    """The first objective is better the higher it is, the others the lower."""
    said, objective = trial.job.parameters, Terms.of(trial.job).objective
    known = {**tried.scores, **tried.costs}
    if said["latency"]:
        architecture = SPACES[said["space"]].from_json(trial.architecture)
        known["latency"] = Table.from_json(said["latency"]).predict(architecture)
    values = [known[objective[0]], *(-known[name] for name in objective[1:])]
    return Outcome(values, known | {"history": tried.history})


def _facts(best: Trial, ground: Ground) -> dict[str, object]:
    """What the card tells of the search."""
    job = best.job
    return {
        "set_aside": ground.set_aside,
        "seconds": round(best.seconds),
        "start": Terms.of(job).supernet_digest,
        "search": {
            "job": job.pk,
            "seed": job.seed,
            "architecture": best.architecture,
            "patches": Terms.of(job).patches_digest,
            "tried": job.trials.filter(state=Trial.State.DONE).count(),
            **{name: job.parameters[name] for name in CARRIED},
        },
    }


def _folder(trial: Trial) -> Path:
    return leavings.room(trial.job) / "trials" / str(trial.number)


def _tidy(job: Job) -> None:
    """Whoever has answered needs no checkpoint; were the best to need it again, it
    would be trained again."""
    ended = job.trials.exclude(state__in=search.OPEN)
    for trial in ended.filter(stage=Trial.Stage.CANDIDATE):
        shutil.rmtree(_folder(trial), ignore_errors=True)


def _seldom(tell: Tell) -> Tell:
    """Not with every batch: each is a transaction."""
    told = time.monotonic()

    def say(done: float) -> None:
        nonlocal told
        if done >= 1 or time.monotonic() - told > OFTEN:
            told = time.monotonic()
            tell(done)

    return say


# --- What they learn from ---------------------------------------------------------


@lru_cache(maxsize=1)
def _ground(job: Job, room: Path) -> Ground:
    """Checked and loaded once a process and search; made once a machine.

    room: that of `job`. ValueError or OSError, in words, where it is not what the
    search began with.
    """
    said, terms = job.parameters, Terms.of(job)
    with _alone(room):
        images = _images(job, terms, room)
        examples = data.examples(images)
        refuse_one_sided(examples)
        parts = Parts.of(examples)
        height, width = said["size"]
        recipe, work = replace(_looks(job), height=height, width=width), room / "work"
        proposed = None
        if terms.patches:
            refuse_unmarked(parts)
            source = _proposers(terms)
            material, proposed, set_aside = of_patches(parts, source, recipe, work)
        else:
            material, set_aside = prepared(parts, recipe, work)
    seen = measured(recipe, material.everything)
    supernet, batch = _supernet(terms), terms.batch
    task = Task(said["space"], material, seen, supernet, job.seed, batch, proposed)
    return Ground(images, parts, dict(set_aside), task)


def _looks(job: Job) -> Recipe:
    return artifact.load_spec(Path(settings.MODEL_ROOT, job.parent.folder)).recipe


def _proposers(terms: Terms) -> Path:
    source = Path(terms.patches)
    if any_digest(source) != terms.patches_digest:
        raise ValueError(
            f"{source.name} does not propose the patches this search began with."
        )
    return source


@contextmanager
def _alone(room: Path) -> Iterator[None]:
    """One process of this machine at a time; a killed one keeps nobody waiting."""
    room.mkdir(parents=True, exist_ok=True)
    with (room / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _images(job: Job, terms: Terms, room: Path) -> Path:
    """The folder of radiographs, if it still is what the search began with."""
    if not terms.images:
        return _verdicts(job, room / f"verdicts-{job.pk}")
    folder = Path(terms.images)
    if dataset.digest(folder, data.examples(folder)) != terms.digest:
        raise ValueError(
            f"The radiographs in {folder.name} are not those this search began with: "
            "bring them back and resume it, or start anew."
        )
    return folder


def _verdicts(job: Job, folder: Path) -> Path:
    """Frozen once a machine; the digest of the first binds the others."""
    found = learning.digest(folder)
    if not found:
        chosen = job.verdicts["chosen"]
        found, _ = learning.freeze(chosen=chosen, pacs=open_pacs(), folder=folder)
    Job.objects.filter(pk=job.pk, data_digest="").update(data_digest=found)
    if found != Job.objects.values_list("data_digest", flat=True).get(pk=job.pk):
        raise ValueError(
            "The frozen verdicts of this search were changed, or images of them are "
            "gone from the PACS: start a new search."
        )
    return folder


def _supernet(terms: Terms) -> Supernet | None:
    if not terms.supernet:
        return None
    path = Path(terms.supernet)
    if file_digest(path) != terms.supernet_digest:
        raise ValueError(f"{path.name} is not the supernet this search began with.")
    return supernet_file.load(path)[0]
