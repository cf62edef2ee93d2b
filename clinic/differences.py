"""In what does a reading differ from the one that was shown? Sentences; none: nothing.

Compared is everything that a radiologist saw: state and reason, score and what it was
held against, each image, each overlay. Where `tolerance` (of a probability) decides
whether something is flagged or votes, either is the same reading.
"""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from clinic.models import ImageReading, Prediction
from inference.overlay import Overlay
from inference.reading import Reading, verdict

GONE = "gone_from_pacs"  # code of an image that the PACS no longer has
NUMBER = 1e-6  # of what is copied and not computed
AFFINE = 1e-3  # of a coefficient, or of its size where that is above one
PEAK = 1.0  # frame pixels
SHADE = 0.02  # of all that is drawn

# An image then, and its overlays now by method.
Drawn = Sequence[tuple[ImageReading, Mapping[str, Overlay]]]


def gone(images: Sequence[ImageReading], found: Reading) -> str:
    """What keeps `found` from being compared: images, in its order, that were read and
    that the PACS has no more. "" if nothing does."""
    pairs = zip(images, found.images)
    lost = [then for then, now in pairs if now.code == GONE and then.code != GONE]
    if not lost:
        return ""
    return f"{len(lost)} of {len(images)} images are no longer in the PACS."


def of_reading(
    prediction: Prediction,
    images: Sequence[ImageReading],
    found: Reading,
    tolerance: float,
) -> Iterator[str]:
    """images: of `prediction`, in the order in which `found` has them."""
    if found.state != prediction.state:
        yield f"It was {prediction.state} and is now {found.state}."
    else:
        yield from _reason(prediction, images, found)
    if not _near(prediction.probability, found.probability, tolerance):
        yield (
            f"The probability was {_told(prediction.probability)} and is now "
            f"{_told(found.probability)}."
        )
    yield from _points(prediction, found, tolerance)
    pairs = list(enumerate(zip(images, found.images, strict=True), 1))
    bar = min(prediction.threshold or 0.0, prediction.probability or 0.0)
    for words, differs in (
        ("The state of image {} has changed.", lambda b, a: b.state != a.state),
        (
            "The reason of image {} has changed.",
            lambda b, a: b.state == a.state and b.code != a.code,
        ),
        (
            "The probability of image {} has changed.",
            lambda b, a: not _near(b.probability, a.probability, tolerance),
        ),
        ("The views of image {} have changed.", lambda b, a: _moved(b, a, tolerance)),
        (
            "Image {} voted then or now, not both times.",
            lambda b, a: b.voted != a.voted and not _on_edge(b, a, bar, tolerance),
        ),
    ):
        if which := [str(n) for n, (then, now) in pairs if differs(then, now)]:
            yield words.format(", ".join(which))


def of_overlays(drawn: Drawn) -> Iterator[str]:
    """Of the overlays that were kept, of each image of `drawn`."""
    for image, now in drawn:
        for kept in image.overlays.order_by("method"):
            name = f"The {kept.method} overlay of instance {image.instance_id}"
            if kept.method not in now:
                yield f"{name} is drawn no more."
            elif not _same_place(kept.peak, now[kept.method].peak):
                yield f"{name} has its peak at another place."
            elif not _same_picture(kept.png, now[kept.method].png):
                yield f"{name} is another picture, or its file is gone."


def _reason(
    prediction: Prediction, images: Sequence[ImageReading], found: Reading
) -> Iterator[str]:
    """By code: words are written anew with every version. What came without pixels
    after the reading has a row, but had no say in its reason."""
    pairs = zip(images, found.images, strict=True)
    had_a_say = [now for then, now in pairs if then.digest]
    code = verdict(had_a_say or found.images)[1]
    if code != prediction.code:
        told = (f"“{code}”" if code else "none" for code in (prediction.code, code))
        yield "The reason was {} and is now {}.".format(*told)


def _points(prediction: Prediction, found: Reading, tolerance: float) -> Iterator[str]:
    """What the score is held against, and what came of it."""
    if prediction.aggregation != found.aggregation:
        yield "The images make a study in another way."
    for point, mark, words in (
        ("threshold", "flagged", "threshold"),
        ("confident_from", "confident", "limit of confidence"),
    ):
        bar, then = getattr(prediction, point), getattr(prediction, mark)
        if not _near(bar, getattr(found, point), NUMBER):
            yield f"The {words} has changed."
        chance = prediction.probability
        meant = chance is not None and bar is not None and chance >= bar
        edge = chance is not None and _near(chance, bar, tolerance)
        if then != meant or (then != getattr(found, mark) and not edge):
            now = "is now" if getattr(found, mark) else "is not now"
            yield f"It was {'' if then else 'not '}{mark} and {now}."


def _moved(then: ImageReading, now: object, tolerance: float) -> bool:
    if len(then.views) != len(now.views):
        return True
    return any(
        not _near(before["probability"], after.probability, tolerance)
        or not np.allclose(before["affine"], after.affine, rtol=AFFINE, atol=AFFINE)
        for before, after in zip(then.views, now.views)
    )


def _on_edge(then: ImageReading, now: object, bar: float, tolerance: float) -> bool:
    """So near to what makes an image vote that the tolerance decides."""
    near = _near(then.probability, now.probability, tolerance)
    return near and _near(then.probability, bar, tolerance)


def _near(then: float | None, now: float | None, tolerance: float) -> bool:
    if then is None or now is None:
        return then is now
    return abs(then - now) <= tolerance


def _same_place(then: Sequence[float] | None, now: Sequence[float] | None) -> bool:
    if then is None or now is None:
        return then is now
    return bool(np.hypot(*np.subtract(then, now)) <= PEAK)


def _same_picture(kept: object, now: bytes) -> bool:
    """Byte for byte, or so alike that no eye sees it: another machine rounds."""
    try:
        with kept.open("rb") as file:
            before = file.read()
    except OSError:
        return False
    if before == now:
        return True
    pictures = [
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        for data in (before, now)
        if data
    ]
    if len(pictures) < 2 or any(p is None for p in pictures):
        return False
    if pictures[0].shape != pictures[1].shape:
        return False
    apart = np.abs(np.subtract(*pictures, dtype=np.int16)).sum()
    return bool(apart <= SHADE * pictures[0].sum())


def _told(probability: float | None) -> str:
    return "none" if probability is None else f"{probability:.4f}"
