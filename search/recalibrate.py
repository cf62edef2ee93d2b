"""A finished model's operating points and limits, chosen anew; its weights stay.

Training does the same at its end (search/run.py). This is for a model that was made
before a limit was thought of, or that is to read what other data look like.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import channels_last

from inference import artifact
from inference.artifact import Spec
from inference.calibrate import probability
from inference.doubt import Limits
from search import calibration, card, data, run
from search.card import Judged
from search.parts import Parts, ours
from search.run import Verdict
from search.samples import prepare


def recalibrate(
    folder: Path,
    images: Path,
    work: Path,
    out: Path,
    uncertain: tuple[float, float] = (0.0, 0.0),
) -> Verdict:
    """Write the artifact of `folder` to `out`, calibrated on the folder `images`.

    uncertain: probabilities about which nothing is to be said. Prepared views are
    kept in `work`. Whatever the card says of validation and test is measured anew.
    """
    spec, known = artifact.load_spec(folder), artifact.load_card(folder)
    network = artifact.load_network(folder).to(memory_format=channels_last)
    parts = Parts.of(data.examples(images))
    mine, _ = prepare(ours(parts.training), spec.recipe, work)
    validation, _ = prepare(parts.validation, spec.recipe, work)
    test, _ = prepare(parts.test, spec.recipe, work)
    chosen = run.judge(network, validation, parts.validation, spec.recipe)
    judged = run.judge(network, test, parts.test, spec.recipe)
    limits = Limits(uncertain_from=uncertain[0], uncertain_to=uncertain[1])
    spec = run.calibrated(replace(spec, limits=limits), chosen)
    spec, familiar = calibration.cautious(network, spec, mine, validation)
    facts = known | card.origin(spec.name, images, parts)
    facts |= card.measured(network, spec, judged, _played(known, spec, judged))
    facts |= run.trust(spec, chosen, judged)
    facts["abstentions"] = calibration.abstentions(network, spec, familiar, test)
    digest = artifact.save(out, spec, network.state_dict(), facts, familiar)
    return Verdict(out, digest, run.assess(judged, spec))


def _played(
    known: Mapping[str, object], spec: Spec, judged: Judged
) -> Mapping[str, object] | None:
    """The pointing game of the card, if `spec` flags as many of its images.

    The maps are the weights', which stay; a threshold that flags as many flags the
    same. The game takes longer than all the rest.
    """
    marked = np.array([bool(e.label and e.boxes) for e in judged.examples])
    scores = probability(judged.logits, spec.temperature)
    flagged = int((scores[marked] >= spec.threshold).sum())
    told = known.get("pointing", {})
    fits = told.get("images") == int(marked.sum())
    return told if fits and told.get("lrp", {}).get("flagged") == flagged else None
