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
from inference.overlay import FINGER
from search import calibration, card, data, limits, provenance, run
from search.card import Judged
from search.leaks import refuse_met
from search.parts import Parts, ours, refuse_lacking
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
    kept in `work`. Whatever the card says of validation and test is measured anew;
    whom the weights learnt from stays, and who chose the limits is added.
    """
    artifact.refuse_place(out)
    spec, known = artifact.load_spec(folder), artifact.load_card(folder)
    network = artifact.load_network(folder).to(memory_format=channels_last)
    parts = Parts.of(data.examples(images))
    refuse_lacking(parts, some=("training", "test"), both=("validation",))
    refuse_met([folder], parts.test, images)
    mine, _ = prepare(ours(parts.training), spec.recipe, work)
    validation, _ = prepare(parts.validation, spec.recipe, work)
    test, _ = prepare(parts.test, spec.recipe, work)
    chosen = run.judge(network, validation, parts.validation, spec.recipe)
    judged = run.judge(network, test, parts.test, spec.recipe)
    unsure = Limits(uncertain_from=uncertain[0], uncertain_to=uncertain[1])
    spec = run.calibrated(replace(spec, limits=unsure), chosen)
    spec, familiar, scores = calibration.cautious(network, spec, mine, validation)
    facts = known | _origin(known, card.origin(spec.name, images, parts))
    alike = _judged_on(known) == _judged_on(facts)
    played = _played(known, spec, judged) if alike else None
    facts |= card.measured(network, spec, judged, played)
    facts |= run.trust(spec, chosen, judged)
    facts["training_scores"] = scores
    facts["abstentions"] = calibration.abstentions(network, spec, familiar, test)
    digest = artifact.save(out, spec, network.state_dict(), facts, familiar)
    return Verdict(out, digest, run.assess(judged, spec))


def _origin(
    known: Mapping[str, object], made: Mapping[str, object]
) -> dict[str, object]:
    """What a card says of the data: whom the weights learnt from stays, whoever chose
    the operating points. made: what it would say had they learnt from these."""
    learnt, parts = known.get("data", {}), dict(made["parts"])
    made = dict(made) | {"salts": provenance.marks([known, made])}
    met = provenance.ancestry([known, made])
    if learnt.get("digest") == made["data"]["digest"]:
        kept = {"learnt_before": met} if "learnt_before" in known else {}
        return made | {"calibrated_on": learnt} | kept
    if "training" in (trained := known.get("parts", {})):
        parts["training"] = trained["training"]
    else:
        del parts["training"]
    told = {"data": learnt, "calibrated_on": made["data"], "parts": parts}
    words = " ".join(limits.sentences(told))
    return made | told | {"limits": words, "learnt_before": met}


def _judged_on(told: Mapping[str, object]) -> object:
    return told.get("calibrated_on") or told.get("data")


def _played(
    known: Mapping[str, object], spec: Spec, judged: Judged
) -> Mapping[str, object] | None:
    """The pointing game of the card, if `spec` flags as many of its images, peaks were
    found as they are now and it tells which images were hit.

    The maps are the weights', which stay; a threshold that flags as many flags the
    same. The game takes longer than all the rest.
    """
    marked = np.array([bool(e.label and e.boxes) for e in judged.examples])
    scores = probability(judged.logits, spec.temperature)
    flagged = int((scores[marked] >= spec.threshold).sum())
    told = known.get("pointing", {})
    fits = (told.get("images"), told.get("finger")) == (int(marked.sum()), FINGER)
    fits = fits and "hit_by" in told
    return told if fits and told.get("lrp", {}).get("flagged") == flagged else None
