"""Models side by side on the same held-out part: the thesis's table on our data.

Not by what their cards say: every model reads every case again, here and now.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_curve
from torch import Tensor, nn

from inference import artifact
from inference.artifact import Spec
from search import calibration, card, data, pointing
from search.card import Judged, by_study, milliseconds
from search.evaluate import EVEN, Report
from search.example import Example
from search.leaks import refuse_met
from search.markdown import figure, in_words, markdown
from search.parts import Parts, refuse_lacking
from search.run import assess, judge
from search.samples import prepare

SPECIFICITY = 0.9  # at which sensitivities are compared


@dataclass(frozen=True)
class Row:
    """One model, by its own threshold. even: by study, at EVEN instead.
    without_metal: of the images known to show no osteosynthesis, None where nobody
    says. pointing: see search.pointing.played, empty where no fracture is marked.
    madds: multiply-adds of one view. milliseconds: CPU time of one view, compiled."""

    model: str
    digest: str
    instance: Report
    study: Report
    even: Report
    sensitivity_at_specificity: float | None
    without_metal: Report | None
    pointing: Mapping[str, Mapping[str, float]]
    parameters: int
    madds: int
    milliseconds: float

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def rows(folders: Sequence[Path], images: Path, work: Path) -> Iterator[Row]:
    """A row for every artifact, each as soon as it is measured."""
    parts = Parts.of(data.examples(images))
    refuse_lacking(parts, some=("test",))
    test = parts.test
    refuse_met(folders, test, images)
    for folder in folders:
        spec, network = artifact.load_spec(folder), artifact.load_network(folder)
        views, _ = prepare(test, spec.recipe, work)
        judged = judge(network, views, test, spec.recipe)
        yield Row(
            model=spec.name,
            digest=artifact.digest(folder),
            instance=assess(judged, spec),
            study=by_study(judged, spec),
            even=by_study(judged, replace(spec, threshold=EVEN)),
            sensitivity_at_specificity=sensitivity(judged.labels, judged.logits),
            without_metal=_without_metal(judged, spec),
            pointing=_pointing(network, spec, test),
            parameters=sum(weight.numel() for weight in network.parameters()),
            madds=madds(network, (1, 1, spec.recipe.height, spec.recipe.width)),
            milliseconds=milliseconds(network, spec),
        )


def on_holdout(
    folder: Path, images: Path, work: Path, breathe: Callable[[], None] = lambda: None
) -> tuple[dict, dict]:
    """How a model does on the test part, by its own threshold.

    -> its reports by study and by image, and its `holdout` as in a card (see
    search.holdout), for the gate to judge by. ValueError where the test part does not
    know both kinds. breathe: called between its pieces of work.
    """
    spec, network = artifact.load_spec(folder), artifact.load_network(folder)
    parts = Parts.of(data.examples(images))
    refuse_lacking(parts, both=("test",))
    test = parts.test
    views, _ = prepare(test, spec.recipe, work)
    breathe()
    judged = judge(network, views, test, spec.recipe)
    breathe()
    known = artifact.load_familiar(folder)
    silent = calibration.abstentions(network, spec, known, views)
    breathe()
    holdout = card.measured(network, spec, judged)["holdout"] | {"abstentions": silent}
    study, image = by_study(judged, spec), assess(judged, spec)
    return {"by_study": asdict(study), "by_image": asdict(image)}, holdout


def sensitivity(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Of the fractured, the share above all but a tenth of the sound; None if a
    class is missing."""
    if len(np.unique(labels)) < 2:
        return None
    false, found, _ = roc_curve(labels, scores, drop_intermediate=False)
    return float(found[false <= 1 - SPECIFICITY + 1e-9].max())


def madds(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-adds of the weighted layers for an input of `shape`."""
    counted = 0

    def count(layer: nn.Module, _: tuple[Tensor], result: Tensor) -> None:
        nonlocal counted
        counted += result.numel() * layer.weight[0].numel()

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.inference_mode():
            network(torch.zeros(shape))
    finally:
        for handle in handles:
            handle.remove()
    return counted


def table(found: Sequence[Row]) -> str:
    """Markdown, for a person."""
    head = (
        "model",
        "AUROC image",
        "AUROC study",
        "accuracy image",
        "accuracy study",
        f"accuracy study at {EVEN}",
        f"sens. at {SPECIFICITY:.0%} spec.",
        "study tp/fp/fn/tn",
        "without metal",
        "peak in a box, of flagged, LRP / Grad-CAM",
        "parameters",
        "MAdds",
        "ms",
    )
    return markdown(head, map(_cells, found))


def _cells(row: Row) -> list[str]:
    return [
        f"{row.model} `{row.digest[:8]}`",
        in_words(row.instance.auroc),
        in_words(row.study.auroc),
        in_words(row.instance.accuracy),
        in_words(row.study.accuracy),
        in_words(row.even.accuracy),
        figure(row.sensitivity_at_specificity, 3),
        "/".join(str(count) for count in row.study.confusion.values()),
        in_words(row.without_metal.auroc) if row.without_metal else "unknown",
        _hits(row.pointing),
        f"{row.parameters / 1e6:.2f} M",
        f"{row.madds / 1e9:.2f} G",
        f"{row.milliseconds:.1f}",
    ]


def _hits(played: Mapping[str, Mapping[str, float]]) -> str:
    flagged = [shares for shares in played.values() if shares["flagged"]]
    return " / ".join(f"{shares['hits_flagged']:.0%}" for shares in flagged) or "–"


def _pointing(
    network: nn.Module, spec: Spec, test: Sequence[Example]
) -> dict[str, dict[str, float]]:
    marked, by = pointing.marked(test), pointing.methods(spec)
    return pointing.played(network, spec, marked, by) if marked else {}


def _without_metal(judged: Judged, spec: Spec) -> Report | None:
    said = [dict(example.traits).get("metal") for example in judged.examples]
    bare = np.array([metal == "no" for metal in said])
    if not bare.any():
        return None
    kept = [e for e, chosen in zip(judged.examples, bare, strict=True) if chosen]
    return assess(Judged(kept, judged.logits[bare]), spec)
