"""What became of the images of a study, and of the study they make. No torch."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

READ, NOT_OURS, UNREADABLE = "read", "not_ours", "unreadable"
ABSTAINED = "abstained"  # it could be read, and the model had better say nothing


@dataclass(frozen=True)
class ViewReading:
    """affine: (2, 3), frame pixel (x, y, 1) -> view pixel. probability: [0, 1]."""

    affine: list[list[float]]
    probability: float


@dataclass(frozen=True)
class ImageReading:
    """state: read, abstained, not_ours or unreadable; code and reason say why, ""
    when read.

    probability: the largest of its views'. voted: it decided the study's score.
    """

    uid: str
    state: str
    code: str = ""
    reason: str = ""
    probability: float | None = None
    voted: bool = False
    views: tuple[ViewReading, ...] = ()


@dataclass(frozen=True)
class Reading:
    """state: read if an image was, else abstained if one could have been, else
    unreadable if one should have been.

    flagged: probability >= threshold. confident: probability >= confident_from.
    images: one for each source, in their order.
    milliseconds: by stage; stages of several images overlap, "total" is wall time.
    """

    state: str
    code: str
    reason: str
    probability: float | None
    threshold: float
    flagged: bool
    confident_from: float
    confident: bool
    aggregation: str
    images: tuple[ImageReading, ...]
    milliseconds: dict[str, float]


def abstained(image: ImageReading, code: str, reason: str) -> ImageReading:
    """Nothing is said, not even a score: it would be taken for a finding."""
    return ImageReading(image.uid, ABSTAINED, code, reason)


def verdict(images: Sequence[ImageReading]) -> tuple[str, str, str]:
    """State, code and reason of the study these images make."""
    if not images:
        return UNREADABLE, "no_images", "The study has no images."
    states = {image.state for image in images}
    order = READ, ABSTAINED, UNREADABLE, NOT_OURS
    state = next(s for s in order if s in states)
    # A read study only tells what it lacks; one that is not read tells all.
    told = (ABSTAINED, UNREADABLE) if state == READ else order[1:]
    reasons = Counter(image.reason for image in images if image.state in told)
    codes = {image.code for image in images if image.state == state}
    code = codes.pop() if len(codes) == 1 else "several_reasons"
    return state, code, " ".join(_sentences(reasons, len(images)))


def _sentences(reasons: Counter[str], total: int) -> Iterator[str]:
    for reason, count in reasons.most_common():
        yield reason if total == 1 else f"{count} of {total} images: {reason}"
