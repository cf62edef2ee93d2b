"""Supernets made: taken out of the published file, or trained on what is at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.preprocess import Recipe
from search import card, data, dataset, provenance
from search.example import Example
from search.parts import Parts
from search.phantoms import phantoms
from search.published_weights import supernet
from search.run import measured
from search.samples import Samples, prepare
from search.shrinking import Plan, Told, shrink
from search.spaces import SIDE
from search.supernet import Supernet
from search.supernet_file import save


def make(
    out: Path, work: Path, *, published: Path | None = None, **asked: object
) -> dict[str, object]:
    """A supernet in the file `out`: of the published weights if they are named, else
    trained as `asked`. ValueError, before the work, where `out` is a folder."""
    if out.is_dir():
        raise ValueError(f"{out} is a folder, not a file.")
    if asked.get("wrists", 0) < 0:
        raise ValueError("Phantoms: 0 or more.")
    return take(published, out) if published else train(out, work, **asked)


def take(published: Path, out: Path) -> dict[str, object]:
    """Once-For-All's published weights as a supernet in the file `out`. -> what is
    known of it."""
    made, digest = supernet(published)
    source = {"file": published.name, "sha256": digest}
    return _saved(out, made, source)


def train(
    out: Path,
    work: Path,
    *,
    images: Path | None = None,
    wrists: int = 0,
    plan: Plan | None = None,
    epochs: Sequence[int] = (),
    size: Sequence[int] | None = None,
    tell: Told = lambda history: None,
) -> dict[str, object]:
    """A supernet trained on the training part of the radiographs in `images` and on
    as many phantoms, in the file `out`. -> what is known of it.

    epochs: one number a phase, if not those of the plan. size: height and width of the
    views, likewise. The same call goes on where it was interrupted; see
    search.shrinking.
    """
    plan = _lasting(plan or Plan(), epochs)
    plan = replace(plan, recipe=_sized(plan.recipe, size)) if size else plan
    taught = Parts.of(data.examples(images)).training if images else []
    samples = _gathered(plan, work, taught, wrists)
    plan = replace(plan, recipe=measured(plan.recipe, samples))
    origin = provenance.key(provenance.of_examples(taught), wrists, plan.to_json())
    folder = work / f"supernet-{plan.space}-{plan.seed}-{origin}"
    pupil = shrink(plan, samples, folder, tell)
    source = {
        "images": images.name if images else None,
        "data": card.source(images) if images else None,
        "patients": sorted({example.patient for example in taught}),
        "salts": dataset.salts(images) if images else [],
        "wrists": wrists,
        "views": len(samples),
        "plan": plan.to_json(),
        "history": pupil.history,
    }
    return _saved(out, pupil.supernet, source)


def joined(one: Samples, other: Samples) -> Samples:
    """Both, the labels of one as heavy as they were. Studies are not told apart."""
    weights = [
        np.ones(len(s), np.float32) if s.weights is None else s.weights
        for s in (one, other)
    ]
    return Samples(
        np.concatenate([one.pixels, other.pixels]),
        np.concatenate([one.labels, other.labels]),
        np.concatenate([one.owners, other.owners + one.owners.max() + 1]),
        one.boxes + other.boxes,
        np.concatenate(weights),
    )


def _lasting(plan: Plan, epochs: Sequence[int]) -> Plan:
    if len(epochs) not in (0, len(plan.phases)):
        raise ValueError(f"the plan has {len(plan.phases)} phases, not {len(epochs)}")
    counts = epochs or [phase.epochs for phase in plan.phases]
    if min(counts) < 0 or not any(counts):
        raise ValueError("epochs: 0 or more a phase, and not 0 in all of them")
    pairs = zip(plan.phases, counts, strict=True)
    phases = tuple(replace(phase, epochs=count) for phase, count in pairs)
    return replace(plan, phases=phases)


def _sized(recipe: Recipe, size: Sequence[int]) -> Recipe:
    (height, width), (low, high) = size, SIDE
    if not all(low <= side <= high for side in size):
        raise ValueError(f"size: from {low} to {high} a side, not {height} {width}")
    return replace(recipe, width=width, height=height)


def _gathered(
    plan: Plan, work: Path, taught: Sequence[Example], wrists: int
) -> Samples:
    found = []
    if taught:
        found.append(prepare(taught, plan.recipe, work)[0])
    if wrists:
        found.append(phantoms(wrists, plan.recipe))
    if not found:
        raise ValueError("nothing to learn from: name radiographs, phantoms or both")
    return found[0] if len(found) == 1 else joined(*found)


def _saved(
    out: Path, made: Supernet, source: Mapping[str, object]
) -> dict[str, object]:
    out.parent.mkdir(parents=True, exist_ok=True)
    return {"sha256": save(out, made, source), "source": dict(source)}
