"""Is a reading that was shown the one its model gives today? Same, or what differs.

The stored digests name the model and every file that was read. What cannot be had
any more is told in words; it is neither the same nor different.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from clinic import differences
from clinic.models import ImageReading, Prediction
from clinic.pacs import PacsUnavailable
from inference.artifact import DamagedArtifact
from inference.unreadable import UnreadableFrame

# Of a probability. A network runs in the fastest form that a machine has, each
# within 0.05 logits of the plain one (inference.runtime): two of them may be 0.1
# logits apart, which is a quarter as much in probability.
TOLERANCE = 0.025
SAME, DIFFERENT, IMPOSSIBLE = "same", "different", "impossible"

# `clinic.reading.again` with its PACS: prediction, model -> inference.reader.Reading
Again = Callable[..., object]
# `clinic.reading.drawn` with its PACS: image reading, model -> overlays by method
Draw = Callable[..., object]


@dataclass(frozen=True)
class Replay:
    """outcome: same, different or impossible; reason says why where it is not same."""

    prediction: int
    revision: int
    superseded: bool
    model: str
    digest: str
    outcome: str
    reason: str
    state: str
    probability: float | None
    state_now: str | None = None
    probability_now: float | None = None
    tolerance: float = TOLERANCE

    def line(self) -> dict[str, object]:
        return asdict(self)


def replay(
    prediction: Prediction, again: Again, draw: Draw, tolerance: float
) -> Replay:
    """Read and explain what `prediction` is about once more, and compare."""
    images = list(prediction.images.select_related("instance").order_by("pk"))
    about = {
        "prediction": prediction.pk,
        "revision": prediction.revision,
        "superseded": prediction.superseded_at is not None,
        "model": prediction.model.name,
        "digest": prediction.model.digest,
        "state": prediction.state,
        "probability": prediction.probability,
        "tolerance": tolerance,
    }
    if words := _replaced(images):
        return Replay(**about, outcome=IMPOSSIBLE, reason=words)
    try:
        found = again(prediction=prediction, model=prediction.model)
        about |= {"state_now": found.state, "probability_now": found.probability}
        if words := differences.gone(images, found):
            return Replay(**about, outcome=IMPOSSIBLE, reason=words)
        said = [*differences.of_reading(prediction, images, found, tolerance)]
        said += differences.of_overlays(_drawn(prediction, images, draw))
    except PacsUnavailable as error:
        words = str(error) or "The PACS does not answer."
        return Replay(**about, outcome=IMPOSSIBLE, reason=words)
    except DamagedArtifact as error:
        words = f"The model cannot be had any more: {error}"
        return Replay(**about, outcome=IMPOSSIBLE, reason=words)
    outcome = DIFFERENT if said else SAME
    return Replay(**about, outcome=outcome, reason=" ".join(said))


def _drawn(
    prediction: Prediction, images: list[ImageReading], draw: Draw
) -> Iterator[tuple[ImageReading, dict[str, object]]]:
    """Every image of which overlays were kept, with those of today."""
    for image in images:
        if image.overlays.exists():
            try:
                yield image, draw(image=image, model=prediction.model)
            except UnreadableFrame:
                yield image, {}


def _replaced(images: list[ImageReading]) -> str:
    """What was read is known by its digest, where one was kept."""
    changed = [i for i in images if i.digest and i.digest != i.instance.digest]
    if not changed:
        return ""
    return (
        f"{len(changed)} of {len(images)} images were replaced in the PACS by other "
        "content of the same number after this reading."
    )
