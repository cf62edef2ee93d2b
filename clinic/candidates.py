"""BRIDGE to search: one candidate trained, and a model made of the best.

Cut out of `clinic.training`, which was full.
"""

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from clinic import jobs, leavings, provisions, registry, search, store, trials
from clinic.diary import OFTEN, Diary
from clinic.models import Job, ModelVersion, Trial
from clinic.pacs import Pacs
from clinic.terms import Terms, refuse_one_sided
from clinic.training import comparison, frozen
from clinic.trials import Outcome, Tell
from inference.preprocess import Recipe
from search import closeup, data, patches, provenance, supernet_file
from search.candidate import Task, Tried, attempt, of_patches
from search.checkpoint import CHECKPOINT
from search.hardware import Table
from search.parts import Parts, refuse_unmarked
from search.run import measured, prepared
from search.spaces import SPACES
from search.winner import ship

LEFT = ("trials", "work")  # of a search, of no use once it is over
# A batch of them: 128 of 256×384, as of patches, took 19 GB in the largest network.
WHOLE_VIEWS = 32
# What the card of a winner says of its search.
CARRIED = ("space", "strategy", "budget", "hours", "most")


@dataclass(frozen=True)
class Ground:
    """What all candidates of one search have in common. behind: what a card says of
    where their supernet comes from and whom it has met."""

    images: Path
    parts: Parts
    set_aside: dict[str, int]
    task: Task
    behind: dict[str, object]


def evaluate(trial: Trial, tell: Tell) -> Outcome:
    """Train one candidate and judge it; goes on where its folder says.

    Radiographs or a supernet that are not what they were end the search, in words:
    it is no fault of this candidate, and the next would fare no better. What another
    machine will make the model of is put into the artifact store. StoreUnavailable.
    """
    ground = _common(trial)
    _tidy(trial.job)
    outcome = _outcome(trial, _tried(trial, ground, _seldom(tell)))
    if trial.stage != Trial.Stage.FINAL:
        return outcome
    kept = provisions.put_weights(_folder(trial) / CHECKPOINT)
    return replace(outcome, measured={**outcome.measured, **kept})


def provide(*, job_id: int, pacs: Pacs) -> None:
    """Freeze the verdicts of a search, once, where the PACS is, and put them into the
    artifact store. Idempotent. Raises PacsUnavailable and StoreUnavailable."""
    job = jobs.claim(pk=job_id)
    if job is None:
        return
    with jobs.outcome(job), jobs.alive(job):
        diary, folder = Diary(job), leavings.verdicts(job)
        diary.say("freezing the verdicts", step="fetching images")
        images = frozen(job, pacs, folder, diary)
        diary.say("storing them", step="putting them into the artifact store")
        pack = provisions.put_images(images)
        with transaction.atomic():
            jobs.beat(job=job)  # whose claim is gone provides nothing
            search.provide(job=job, pack=pack)


def conclude(*, job_id: int) -> None:
    """Once all trials have ended: make a model of the best, compare it with the one
    in service, register it. Idempotent.

    Where the models are kept: on the machine of the queue `training`. Raises
    StoreUnavailable, and what is no fault of the data, after the row says so.
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
        compared = comparison(verdict, ground.images, room / "work", diary)
        if ground.task.proposed is not None:
            served = compared.get("incumbent_digest", "")
            compared["patches"] = _closeup(best, ground, diary, served)
        diary.say(f"registering {verdict.digest}", step="registering")
        with transaction.atomic():
            candidate = registry.register(folder=verdict.folder, by=job.by)
            jobs.beat(job=job)  # whose claim is gone concludes nothing
            search.conclude(job=job, candidate=candidate, compared=compared)
        with suppress(store.StoreUnavailable):  # else they go with the leavings
            provisions.release_weights(job)
        for done_with in LEFT:
            shutil.rmtree(room / done_with, ignore_errors=True)
        _ground.cache_clear()
        store.prune(provisions.needed())


def _winner(best: Trial, ground: Ground, diary: Diary) -> tuple[Task, Tried]:
    """What becomes the model. A network of patches cannot read whole views: its
    architecture learns anew from those, as the parent has them, for as long as the
    best did."""
    breathe = _seldom(lambda done, kept: diary.say(""))
    if ground.task.proposed is None:
        if why := provisions.weights(best, _folder(best) / CHECKPOINT):
            diary.say(f"its weights are looked for here: {why}")
        return ground.task, _tried(best, ground, breathe)
    job, room = best.job, leavings.room(best.job)
    diary.say("the best network of patches learns whole views", step="whole views")
    looks = _looks(Terms.of(job))
    material, _ = prepared(ground.parts, looks, room / "work")
    seen = measured(looks, material.everything)
    task = replace(ground.task, material=material, recipe=seen, proposed=None)
    task = replace(task, batch=min(task.batch, WHOLE_VIEWS))
    architecture = SPACES[task.space].from_json(best.architecture)
    epochs = Terms.of(job).final_epochs
    return task, attempt(task, architecture, room / "trials/whole", epochs, breathe)


def _closeup(
    best: Trial, ground: Ground, diary: Diary, served: str
) -> dict[str, object]:
    """The best network of patches, as it came out of the search, and the model in
    service by its digest, on the same patches of the test side."""
    job, kept = best.job, _folder(best) / CHECKPOINT
    why = provisions.weights(best, kept)
    if not kept.exists():
        diary.say(f"no comparison on patches: its weights are gone, {why}")
        return {"gone": why}
    tried = _tried(best, ground, _seldom(lambda done, kept: diary.say("")))
    recipe, work = ground.task.recipe, leavings.room(job) / "work"
    test, _ = patches.prepare(
        ground.parts.test, provisions.proposers(job), recipe, work
    )
    model = ModelVersion.objects.filter(digest=served).first()
    folder = model and Path(settings.MODEL_ROOT, model.folder)
    return closeup.compared(test, tried, recipe, folder)


def _common(trial: Trial) -> Ground:
    try:
        return _ground(trial.job, leavings.room(trial.job))
    except (OSError, ValueError) as error:
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
        **ground.behind,
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
    would be trained again. Nor does this machine need anything of searches that are
    over and whose model was made, perhaps elsewhere."""
    ended = job.trials.exclude(state__in=search.OPEN)
    for trial in ended.filter(stage=Trial.Stage.CANDIDATE):
        shutil.rmtree(_folder(trial), ignore_errors=True)
    store.prune(provisions.needed())
    here = [path.name for path in leavings.room(job).parent.iterdir()]
    over = Q(state=Job.State.DONE) | Q(cleared__isnull=False)
    found = Job.objects.filter(over, kind=Job.Kind.SEARCH)
    for other in found.filter(pk__in=[name for name in here if name.isdigit()]):
        for done_with in LEFT:
            shutil.rmtree(leavings.room(other) / done_with, ignore_errors=True)


def _seldom(tell: Tell) -> Tell:
    """Not with every batch: each is a transaction."""
    told = time.monotonic()

    def say(done: float, kept: float) -> None:
        nonlocal told
        if done >= 1 or time.monotonic() - told > OFTEN:
            told = time.monotonic()
            tell(done, kept)

    return say


# --- What they learn from ---------------------------------------------------------


@lru_cache(maxsize=1)
def _ground(job: Job, room: Path) -> Ground:
    """Checked and loaded once a process and search; made once a machine.

    room: that of `job`. ValueError or OSError, in words, where it is not what the
    search began with.
    """
    said, terms = job.parameters, Terms.of(job)
    if not terms.recipe:
        raise ValueError("This search began in an older Osteon: start a new one.")
    with store.alone(room / "lock"):
        images = provisions.images(job)
        examples = data.examples(images)
        refuse_one_sided(examples)
        parts = Parts.of(examples)
        height, width = said["size"]
        recipe, work = replace(_looks(terms), height=height, width=width), room / "work"
        proposed = None
        if terms.patches:
            refuse_unmarked(parts)
            source = provisions.proposers(job)
            material, proposed, set_aside = of_patches(parts, source, recipe, work)
        else:
            material, set_aside = prepared(parts, recipe, work)
    seen = measured(recipe, material.everything)
    path, batch = provisions.supernet(job), terms.batch
    supernet, source = supernet_file.load(path) if path else (None, {})
    task = Task(said["space"], material, seen, supernet, job.seed, batch, proposed)
    behind = provenance.behind_supernet(source)
    return Ground(images, parts, dict(set_aside), task, behind)


def _looks(terms: Terms) -> Recipe:
    """How the parent makes its views: it need not be on this machine."""
    return Recipe(**terms.recipe)
