"""From the best candidate of a search to an artifact that can be shipped."""

from collections.abc import Mapping
from pathlib import Path

from inference.artifact import Spec
from search import card, provenance
from search.candidate import Task, Tried, plan
from search.parts import Parts
from search.run import Verdict, commit, finished, loaded, machine
from search.samples import prepare


def ship(
    task: Task,
    tried: Tried,
    *,
    parts: Parts,
    images: Path,
    work: Path,
    out: Path,
    facts: Mapping[str, object],
) -> Verdict:
    """Calibrated on validation, measured on the test part, with its card, in `out`.

    facts: what the card says of the search besides.
    """
    name = task.space
    origin = card.origin(name, images, parts)
    said = origin | {
        "plan": plan(task, tried.arch, len(tried.history)).to_json(),
        "commit": commit(),
        "machine": machine(),
        "history": tried.history,
        **facts,
        "salts": provenance.marks([origin, facts]),
    }
    test, _ = prepare(parts.test, task.recipe, work)
    spec = Spec(name, tried.arch, task.recipe, "alo", threshold=0.5)
    network = loaded(tried.arch, tried.weights)
    return finished(network, spec, parts, task.material, test, said, out)
