"""Is a reading that was shown the one its model gives today? Same, or what differs.

The stored digests name the model and every file that was read. What cannot be had
any more is told in words; it is neither the same nor different.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from clinic.models import ImageReading, Prediction
from clinic.pacs import PacsUnavailable
from inference.artifact import DamagedArtifact

# Of a probability. A network runs in the fastest form that a machine has, each
# within 0.05 logits of the plain one (inference.runtime): two of them may be 0.1
# logits apart, which is a quarter as much in probability.
TOLERANCE = 0.025
GONE = "gone_from_pacs"
SAME, DIFFERENT, IMPOSSIBLE = "same", "different", "impossible"

# `clinic.reading.again` with its PACS: prediction, model -> inference.reader.Reading
Again = Callable[..., object]


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


def replay(prediction: Prediction, again: Again, tolerance: float) -> Replay:
    """Read what `prediction` is about once more and compare."""
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
    except PacsUnavailable as error:
        words = str(error) or "The PACS does not answer."
        return Replay(**about, outcome=IMPOSSIBLE, reason=words)
    except DamagedArtifact as error:
        words = f"The model cannot be had any more: {error}"
        return Replay(**about, outcome=IMPOSSIBLE, reason=words)
    about |= {"state_now": found.state, "probability_now": found.probability}
    if words := _gone(images, found.images):
        return Replay(**about, outcome=IMPOSSIBLE, reason=words)
    differences = _differences(prediction, images, found, tolerance)
    outcome = DIFFERENT if differences else SAME
    return Replay(**about, outcome=outcome, reason=" ".join(differences))


def _replaced(images: list[ImageReading]) -> str:
    """What was read is known by its digest, where one was kept."""
    changed = [i for i in images if i.digest and i.digest != i.instance.digest]
    if not changed:
        return ""
    return (
        f"{len(changed)} of {len(images)} images were replaced in the PACS by other "
        "content of the same number after this reading."
    )


def _gone(images: list[ImageReading], now: tuple) -> str:
    gone = [b for b, a in zip(images, now) if a.code == GONE and b.code != GONE]
    if not gone:
        return ""
    return f"{len(gone)} of {len(images)} images are no longer in the PACS."


def _differences(
    prediction: Prediction, images: list[ImageReading], found: object, tolerance: float
) -> list[str]:
    said = []
    if found.state != prediction.state:
        said.append(f"It was {prediction.state} and is now {found.state}.")
    if not _near(prediction.probability, found.probability, tolerance):
        said.append(
            f"The probability was {_told(prediction.probability)} and is now "
            f"{_told(found.probability)}."
        )
    states = [n for n, (b, a) in _pairs(images, found) if b.state != a.state]
    if states:
        said.append(f"The state of image {_numbers(states)} has changed.")
    bar = min(prediction.threshold or 0.0, prediction.probability or 0.0)
    voters = [
        n
        for n, (b, a) in _pairs(images, found)
        if b.voted != a.voted and not _on_the_edge(b, a, bar, tolerance)
    ]
    if voters:
        said.append(f"Image {_numbers(voters)} voted then or now, not both times.")
    return said


def _pairs(images: list[ImageReading], found: object) -> enumerate:
    """(number from 1, (then, now)) of every image."""
    return enumerate(zip(images, found.images, strict=True), 1)


def _on_the_edge(then: ImageReading, now: object, bar: float, tolerance: float) -> bool:
    """So near to what makes an image vote that the tolerance decides."""
    near = _near(then.probability, now.probability, tolerance)
    return near and _near(then.probability, bar, tolerance)


def _near(then: float | None, now: float | None, tolerance: float) -> bool:
    if then is None or now is None:
        return then is now
    return abs(then - now) <= tolerance


def _told(probability: float | None) -> str:
    return "none" if probability is None else f"{probability:.4f}"


def _numbers(found: list[int]) -> str:
    return ", ".join(map(str, found))
