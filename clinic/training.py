"""BRIDGE to search: what people ask for, trained."""

from dataclasses import replace
from pathlib import Path

from django.conf import settings

from search import run
from search.run import PLANS, Verdict
from search.trainee import Plan


def plan(*, network: str, epochs: list[int] | None, seed: int) -> Plan:
    """The plan that made the shipped `network`, with other epochs a stage if given."""
    chosen = replace(PLANS[network], seed=seed)
    if epochs is None:
        return chosen
    if len(epochs) != len(chosen.stages):
        raise ValueError(f"{network} is trained in {len(chosen.stages)} stage(s)")
    pairs = zip(chosen.stages, epochs, strict=True)
    stages = tuple(replace(stage, epochs=count) for stage, count in pairs)
    return replace(chosen, stages=stages)


def train(
    *, network: str, plan: Plan, images: Path, out: Path, teacher: Path | None = None
) -> Verdict:
    """Train without PACS and database; checkpoints stay under DATA_ROOT."""
    work = Path(settings.DATA_ROOT, "training")
    return run.run(network, plan, images, out, work, teacher)
