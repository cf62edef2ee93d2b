"""What a model's probabilities are worth, and when it had better say nothing.

Limits are chosen on validation patients and on the training's own pictures; what
they do is measured on the test, which chooses nothing.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.covariance import LedoitWolf
from sklearn.metrics import zero_one_loss
from torch import nn

from inference.artifact import Spec
from inference.calibrate import probability
from inference.doubt import POOR, UNCERTAIN, UNLIKE, Familiar, quality
from inference.runtime import Compiled, Seen, compiled
from search.card import Judged
from search.samples import Samples

BINS = 10
REFUSED = 0.005  # share of our own images that a limit of quality may turn away
STRANGE = 0.01  # share of validation images that may count as unlike the training
TOGETHER = 64  # views prepared at a time
PERCENTILES = np.linspace(0, 1, 101)
STEPS = np.linspace(1, 0.5, 11)  # coverage


def reliability(labels: np.ndarray, scores: np.ndarray) -> dict[str, object]:
    """Expected calibration error, and the bins of equal width behind it (Guo et al.
    2017). fractured: how many of a bin's `count` images are."""
    edges = np.linspace(0, 1, BINS + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], scores), minlength=BINS)
    curve = calibration_curve(labels, scores, pos_label=1, n_bins=BINS)
    filled, bins, gap = zip(*curve, strict=True), [], 0.0
    for i, count in enumerate(counts.tolist()):
        share, mean = next(filled) if count else (0.0, None)
        bins.append(
            {
                "low": i / BINS,
                "high": (i + 1) / BINS,
                "count": count,
                "mean_probability": mean,
                "fractured": round(share * count),
            }
        )
        gap += count * abs((mean or 0.0) - share)
    return {"ece": float(gap / len(labels)), "bins": bins}


def calibration(judged: Judged, spec: Spec) -> dict[str, object]:
    """As the model tells it, and as it would without its temperature."""
    scores = probability(judged.logits, spec.temperature)
    bare = reliability(judged.labels, probability(judged.logits, 1.0))["ece"]
    return reliability(judged.labels, scores) | {"ece_without_temperature": bare}


def coverage(judged: Judged, spec: Spec) -> list[dict[str, float]]:
    """How many answers are wrong when some images are left to people as uncertain.

    Those whose logits lie nearest to the threshold are left out first.
    """
    scores = probability(judged.logits, spec.temperature)
    level = np.log(spec.threshold / (1 - spec.threshold)) * spec.temperature
    surest = np.argsort(-np.abs(judged.logits - level), kind="stable")
    curve = []
    for share in STEPS:
        kept = surest[: max(round(share * len(surest)), 1)]
        error = zero_one_loss(judged.labels[kept], scores[kept] >= spec.threshold)
        curve.append({"coverage": round(float(share), 2), "error": float(error)})
    return curve


class Learnt(NamedTuple):
    """What a finished model makes of what it learnt from.

    spec: with limits. known: what the training looks like to the network. scores:
    how many of its images there are, and the PERCENTILES of their probabilities.
    """

    spec: Spec
    known: Familiar
    scores: dict[str, object]


def cautious(
    network: nn.Module, spec: Spec, training: Samples, validation: Samples
) -> Learnt:
    """`spec` with limits, and what is to be compared with what it will read.

    training, validation: views of body parts that are ours to read.
    """
    read = compiled(network, spec)
    learnt = _seen(read, training, spec)
    known = familiar(learnt.features)
    distances = known.distance(_seen(read, validation, spec).features)
    nearest = _by_image(distances, validation, np.min)
    best = [
        np.concatenate([_by_image(values, side, np.max) for values, side in pairs])
        for pairs in zip(_qualities(training), _qualities(validation), strict=True)
    ]
    contrast, sharpness = (float(np.quantile(v, REFUSED)) for v in best)
    limits = replace(
        spec.limits,
        contrast=contrast,
        sharpness=sharpness,
        unlike=float(np.quantile(nearest, 1 - STRANGE)),
    )
    chances = probability(_by_image(learnt.logits, training, np.max), spec.temperature)
    return Learnt(replace(spec, limits=limits), known, spread(chances))


def spread(chances: np.ndarray) -> dict[str, object]:
    """How probabilities are distributed, in a few numbers however many they are."""
    found = np.quantile(chances, PERCENTILES)
    return {"images": len(chances), "percentiles": found.round(5).tolist()}


def familiar(features: np.ndarray) -> Familiar:
    """Of training views (N, channels); as exact as an artifact keeps it."""
    found = LedoitWolf().fit(np.asarray(features, np.float64))
    spread, axes = np.linalg.eigh(found.covariance_)
    # A channel that never speaks has no spread to divide by.
    whitening = axes / np.sqrt(np.maximum(spread, spread.max() * 1e-6))
    return Familiar(*(np.float64(np.float16(a)) for a in (found.location_, whitening)))


def abstentions(
    network: nn.Module, spec: Spec, known: Familiar | None, samples: Samples
) -> dict[str, int]:
    """Images of `samples` that the reader would say nothing of, by reason."""
    seen = _seen(compiled(network, spec), samples, spec)
    distances = known.distance(seen.features) if known else np.zeros(len(samples))
    chances = probability(seen.logits, spec.temperature)
    found = Counter({"images": 0, POOR: 0, UNLIKE: 0, UNCERTAIN: 0})
    for owner in np.unique(samples.owners):
        views = samples.owners == owner
        found["images"] += 1
        if spec.limits.poor(list(samples.pixels[views])):
            found[POOR] += 1
        elif spec.limits.strange(distances[views].min()):
            found[UNLIKE] += 1
        elif spec.limits.undecided(chances[views].max()):
            found[UNCERTAIN] += 1
    return dict(found)


def _seen(read: Compiled, samples: Samples, spec: Spec) -> Seen:
    """What the reader's own form of the network makes of every view."""
    recipe, parts = spec.recipe, []
    for start in range(0, len(samples), TOGETHER):
        pixels = samples.pixels[start : start + TOGETHER, None].astype(np.float32)
        parts.append(read((pixels / 255 - np.float32(recipe.mean)) / recipe.std))
    return Seen(*map(np.concatenate, zip(*parts, strict=True)))


def _qualities(samples: Samples) -> list[tuple[np.ndarray, Samples]]:
    found = [asdict(quality(view)) for view in samples.pixels]
    names = ("contrast", "sharpness")
    return [(np.array([q[name] for q in found]), samples) for name in names]


def _by_image(
    values: np.ndarray, samples: Samples, choose: Callable[[np.ndarray], float]
) -> np.ndarray:
    """One value an image, of those of its views."""
    owners = np.unique(samples.owners)
    return np.array([choose(values[samples.owners == owner]) for owner in owners])
