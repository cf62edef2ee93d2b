"""BRIDGE to search: what people ask for, trained."""

from dataclasses import replace
from pathlib import Path

from django.conf import settings

from inference import artifact
from inference.reader import open_reader
from search import exam, run
from search.run import PLANS, Verdict
from search.trainee import Plan


def plan(
    *,
    network: str,
    epochs: list[int] | None = None,
    rate: float | None = None,
    seed: int = 0,
    start: Path | None = None,
) -> Plan:
    """The plan of `network`; epochs (one number a stage) and rate replace its own.

    What goes on from an artifact keeps that artifact's architecture. ValueError if
    the plan needs published weights and `start` does not name them.
    """
    chosen = replace(PLANS[network], seed=seed)
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
    return replace(chosen, stages=stages, arch=arch)


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
