"""BRIDGE to search: what people ask for, trained or measured."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from math import inf
from pathlib import Path

from django.conf import settings
from django.db import transaction

from clinic import (
    freezing,
    jobs,
    learning,
    leavings,
    measuring,
    pseudonyms,
    registry,
    terms,
)
from clinic.diary import Diary
from clinic.models import Job, ModelVersion, Study
from clinic.pacs import Pacs
from inference import artifact
from inference.reader import open_reader
from search import contest, data, exam, run, supernets
from search.example import Example
from search.parts import Parts
from search.recalibrate import recalibrate
from search.run import PLANS, Verdict
from search.trainee import Plan, Stage
from search.unite import unite as committee

HABITS = ("boxes", "focus", "batch", "ema")  # of a parent's plan, kept by its pupil


def plan(
    *,
    network: str,
    epochs: list[int] | None = None,
    rate: float | None = None,
    seed: int = 0,
    start: Path | None = None,
    **changes: object,
) -> Plan:
    """The plan of `network`; epochs (one number a stage), rate and other changes
    replace its own. What goes on from an artifact keeps that artifact's architecture.

    ValueError where `start` is of another kind, or missing though the plan needs it.
    """
    _refuse_nonsense(epochs, rate, seed, changes)
    chosen = replace(PLANS[network], seed=seed, **changes)
    if start is None and chosen.stages[0].frozen:
        raise ValueError(
            f"{network} begins with published weights: name their file by --start"
        )
    if epochs is not None and len(epochs) != len(chosen.stages):
        raise ValueError(f"{network} is trained in {len(chosen.stages)} stage(s)")
    counts = epochs or [stage.epochs for stage in chosen.stages]
    stages = tuple(
        replace(stage, epochs=count, rate=rate or stage.rate)
        for stage, count in zip(chosen.stages, counts, strict=True)
    )
    goes_on = start is not None and start.suffix != ".npz"
    arch = artifact.load_spec(start).arch if goes_on else chosen.arch
    if arch.family != chosen.arch.family:
        raise ValueError(f"{start} is a {arch.family}: {network} cannot go on from it")
    return replace(chosen, stages=stages, arch=arch)


def _refuse_nonsense(
    epochs: list[int] | None, rate: float | None, seed: int, changes: dict[str, object]
) -> None:
    """ValueError, in words, for numbers of which nothing can come."""
    if epochs and (min(epochs) < 0 or not epochs[-1]):
        raise ValueError("Epochs: 0 or more a stage, and at least 1 of the last.")
    if rate is not None and not 0 < rate < inf:
        raise ValueError(f"A learning rate is more than 0 and finite, not {rate}.")
    if not 0 <= changes.get("invert", 0) <= 1:
        raise ValueError("The share of inverted views lies between 0 and 1.")
    if not 0 <= seed <= jobs.SEEDS or changes.get("patience", 0) < 0:
        raise ValueError(f"Seed and patience: 0 or more, and seeds to {jobs.SEEDS}.")


def train(
    *,
    network: str,
    plan: Plan,
    images: Path,
    out: Path,
    teacher: Path | None = None,
    start: Path | None = None,
) -> Verdict:
    """Train without PACS and database; checkpoints stay under DATA_ROOT."""
    work = Path(settings.DATA_ROOT, "training")
    return run.run(network, plan, images, out, work, teacher=teacher, start=start)


def unite(*, name: str, members: Sequence[Path], images: Path, out: Path) -> Verdict:
    """A committee of trained networks: see search.unite."""
    work = Path(settings.DATA_ROOT, "training")
    return committee(name, members, images, work, out)


def calibrate(
    *, folder: Path, images: Path, out: Path, uncertain: tuple[float, float]
) -> Verdict:
    """Operating points and limits of an artifact anew: see search.recalibrate."""
    work = Path(settings.DATA_ROOT, "training")
    return recalibrate(folder, images, work, out, uncertain)


def supernet(*, out: Path, **asked: object) -> dict[str, object]:
    """Taken from the published weights, or trained: see search.supernets.make."""
    return supernets.make(out, Path(settings.DATA_ROOT, "training"), **asked)


def examine(
    *,
    model: tuple[Path, str],
    images: Path,
    labels: Path,
    boxes: Path | None = None,
) -> dict[str, object]:
    """How good the model (folder, digest) is on labelled files: see search.exam."""
    reader = open_reader(*model)
    asked = exam.questions(labels, boxes)
    answers = exam.sit(reader, asked, images, settings.ANATOMY_SCOPE)
    found = {"model": reader.spec.name, "digest": model[1]}
    found |= exam.marks(answers, reader)
    if boxes:
        found["pointing"] = exam.pointing(answers, reader, images)
    return found


# --- Jobs ------------------------------------------------------------------------


def work(*, job_id: int, pacs: Pacs) -> None:
    """Take up a training or measurement and see it through. Idempotent.

    Raises PacsUnavailable, and what is no fault of data or parameters, after the
    row says so.
    """
    job = jobs.claim(pk=job_id)
    if job is None:
        return
    with jobs.outcome(job), jobs.alive(job):
        diary = Diary(job)
        diary.say(f"attempt {job.attempts} on {job.machine}", step="fetching images")
        measures = job.kind == Job.Kind.MEASURE
        suffices = refuse_few_held_out if measures else terms.refuse_one_sided
        images = frozen(job, pacs, leavings.verdicts(job), diary, suffices)
        (_measure if measures else _train)(job, images, leavings.room(job), diary)


def _train(job: Job, images: Path, room: Path, diary: Diary) -> None:
    """Go on from its parent, compare, register."""
    parent = Path(settings.MODEL_ROOT, job.parent.folder)
    plan = fine_tuning(parent, seed=job.seed, **job.parameters)
    jobs.beat(job=job, step="training")
    name, work = job.parent.name, room / "work"
    verdict = run.run(
        name, plan, images, room / "model", work, start=parent, tell=diary.tell
    )
    _keep(job, verdict, images, room, diary)


def _measure(job: Job, images: Path, room: Path, diary: Diary) -> None:
    """Its model and the one in service on the same held-out studies, for the gate."""
    serving = registry.active()
    if serving is None or serving.pk == job.parent_id:
        raise ValueError(measuring.NOBODY_ELSE)
    compared: dict[str, object] = {"incumbent_digest": serving.digest}
    sides = {"candidate": job.parent, "incumbent": serving}
    for done, (side, version) in enumerate(sides.items()):
        words = f"measuring {version.name} {version.brief}"
        diary.say(words, step=words, done=done)
        told = _measured(version, images, room / "work", diary)
        compared[side], compared[measuring.HOLDOUTS[side]] = told
    diary.say("both are measured", done=len(sides))
    measuring.finish(job=job, compared=compared)
    shutil.rmtree(room / "work", ignore_errors=True)  # views


def fine_tuning(parent: Path, *, epochs: int, rate: float, seed: int) -> Plan:
    """Go on from `parent`: its architecture, its views, the weights of its loss, one
    stage at full size, of which the best epoch counts."""
    spec = artifact.load_spec(parent)
    stages = (Stage(epochs, 1.0, True, rate),)
    plan = Plan(spec.arch, stages, spec.recipe, seed=seed, patience=epochs)
    return replace(plan, **_habits(parent, plan))


def _habits(parent: Path, plan: Plan) -> dict[str, object]:
    """HABITS as the card of `parent` tells them, else as is usual for its kind."""
    family = plan.arch.family.replace("committee", "squeezenet")
    usual = next((p for p in PLANS.values() if p.arch.family == family), plan)
    told = artifact.load_card(parent).get("plan") or {}
    return {habit: told.get(habit, getattr(usual, habit)) for habit in HABITS}


def refuse_few_held_out(examples: list[Example]) -> None:
    """ValueError, in words, for what the gate does not judge by."""
    test = Parts.of(examples).test
    fractured = {example.study for example in test if example.label}
    sound = {example.study for example in test} - fractured
    left = learning.Choice(held_fractured=len(fractured), held_sound=len(sound))
    if left.nothing_to_judge_by:
        raise ValueError(f"{left.nothing_to_judge_by} Who is left out, the log tells.")


def frozen(
    job: Job,
    pacs: Pacs,
    folder: Path,
    diary: Diary,
    suffices: Callable[[list[Example]], None] = terms.refuse_one_sided,
) -> Path:
    """The job's data set: written once, afterwards only checked.

    suffices: raises ValueError where it is not enough to work on; then it is not kept,
    and a job that is resumed fetches anew.
    """
    if job.data_digest and freezing.digest(folder) == job.data_digest:
        _refuse_doubts(job)
        return folder
    if job.data_digest:
        raise ValueError(
            "The frozen data of this job are missing or were changed: start a new job."
        )
    chosen = job.verdicts["chosen"]
    pseudonyms.refuse_others(job.verdicts.get("names"))
    digest, missing = freezing.freeze(
        chosen=chosen, pacs=pacs, folder=folder, tell=diary.count
    )
    for reason, which in missing.items():
        words = freezing.MISSING.get(reason, reason)
        named = ", ".join(map(str, which))
        diary.say(f"{len(which)} image(s) left out, {words}: instance {named}")
    suffices(data.examples(folder))
    jobs.note(job=job, data_digest=digest, commit=run.commit())
    diary.say(f"frozen: {len(chosen)} studies, digest {digest}")
    return folder


def _refuse_doubts(job: Job) -> None:
    """ValueError where what is frozen turned out to be another patient's too."""
    reviews = [pk for pk, _ in job.verdicts["chosen"]]
    studies = Study.objects.filter(predictions__reviews__in=reviews).distinct()
    if count := sum(map(learning.in_doubt, studies)):
        raise ValueError(
            f"{count} of the studies that it learns from may be another patient's too, "
            "as has come out since: start a new job."
        )


def _keep(job: Job, verdict: Verdict, images: Path, room: Path, diary: Diary) -> None:
    diary.say("comparing with the model in service", step="comparing")
    compared = comparison(verdict, images, room / "work", diary)
    diary.say(f"registering {verdict.digest}", step="registering")
    with transaction.atomic():
        candidate = registry.register(folder=verdict.folder, by=job.by)
        jobs.finish(job=job, candidate=candidate, compared=compared)
    shutil.rmtree(room / "work", ignore_errors=True)  # views and checkpoint


def comparison(
    verdict: Verdict, images: Path, work: Path, diary: Diary
) -> dict[str, object]:
    """What was made and the model in service, on the same holdout."""
    incumbent = registry.active()
    made = artifact.load_card(verdict.folder)
    both = {"by_study": made["test_by_study"], "by_image": asdict(verdict.report)}
    compared: dict[str, object] = {"candidate": both | _costs(verdict.folder)}
    if incumbent:
        told = _measured(incumbent, images, work, diary)
        compared["incumbent"], compared["holdout"] = told
        compared["incumbent_digest"] = incumbent.digest
    return compared


def _measured(
    version: ModelVersion, images: Path, work: Path, diary: Diary
) -> tuple[dict, dict]:
    """See contest.on_holdout; and what it costs. DamagedArtifact if a byte changed."""
    folder = Path(settings.MODEL_ROOT, version.folder)
    artifact.load_card(folder, version.digest)
    reports, holdout = contest.on_holdout(folder, images, work, diary.breathe)
    return reports | _costs(folder), holdout


def _costs(model: Path) -> dict[str, int]:
    """Learnt numbers, and multiply-adds of one view."""
    recipe, network = artifact.load_spec(model).recipe, artifact.load_network(model)
    return {
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "madds": contest.madds(network, (1, 1, recipe.height, recipe.width)),
    }
