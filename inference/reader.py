"""From the images of one study to a reading: how likely a fracture, and who says so.

An image that cannot be read, or is not for this reader, is part of the answer, with
its reason. Only what keeps the bytes from coming (the PACS is away, a file may not
be opened) is raised: it is not the image's fault.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from io import BytesIO
from pathlib import Path
from traceback import format_tb
from typing import BinaryIO

import torch
from pydicom import Dataset
from torch import nn

from inference import anatomy, artifact, dicom, overlay, picture, preprocess
from inference.aggregate import AGGREGATIONS
from inference.artifact import DamagedArtifact, Spec
from inference.calibrate import probability
from inference.dicom import Frame, UnreadableFrame
from inference.explain import COMPOSITES, EXPLAINERS, Explainer
from inference.overlay import Overlay
from inference.preprocess import View
from inference.runtime import Compiled, compiled

READ, NOT_OURS, UNREADABLE = "read", "not_ours", "unreadable"
# Why an image is not for this reader; every other code is a failure to read it.
STRANGERS = {"not_an_image", "own_result", "other_anatomy"}
OURS = "Osteon"  # ManufacturerModelName of the results that we store
PICTURES = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
AT_ONCE = 3  # images fetched and prepared at the same time

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """One image: `uid` names it in the reading, `open` gives DICOM, PNG or JPEG.

    `open` may raise UnreadableFrame: that this image cannot be had is then part of
    the answer.
    """

    uid: str
    open: Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class ViewReading:
    """affine: (2, 3), frame pixel (x, y, 1) -> view pixel. probability: [0, 1]."""

    affine: list[list[float]]
    probability: float


@dataclass(frozen=True)
class ImageReading:
    """state: read, not_ours or unreadable; code and reason say why, "" when read.

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
    """state: read if an image was, else unreadable if one should have been.

    flagged: probability >= threshold. images: one for each source, in their order.
    milliseconds: by stage; stages of several images overlap, "total" is wall time.
    """

    state: str
    code: str
    reason: str
    probability: float | None
    threshold: float
    flagged: bool
    aggregation: str
    images: tuple[ImageReading, ...]
    milliseconds: dict[str, float]


class Stopwatch:
    """Milliseconds of wall time by stage."""

    def __init__(self) -> None:
        self.milliseconds: Counter[str] = Counter()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[stage] += 1e3 * (time.perf_counter() - start)


@dataclass(frozen=True)
class Prepared:
    """An image before the network: its views, or a reading that says why none."""

    reading: ImageReading
    views: list[View]
    milliseconds: Counter[str]


class Reader:
    """One model, warm. Safe to call from several threads."""

    def __init__(self, spec: Spec, network: nn.Module) -> None:
        self.spec, self.network = spec, network

    @cached_property
    def runtime(self) -> Compiled:
        """Compiled when first needed: who only explains does without."""
        return compiled(self.network, self.spec)

    def read(self, sources: Sequence[Source], scope: str) -> Reading:
        """Read the images of one study; `scope` is one of `anatomy.SCOPES`.

        Never raises for a bad image; what else `Source.open` raises passes through.
        """
        if scope not in anatomy.SCOPES:
            raise ValueError(f"no scope {scope!r}: {', '.join(anatomy.SCOPES)}")
        watch = Stopwatch()
        with watch("total"):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                prepare = partial(self._prepare, scope=scope)
                prepared = list(pool.map(prepare, sources))
            with watch("network"):
                images = self._scored(prepared)
        for image in prepared:
            watch.milliseconds.update(image.milliseconds)
        return self._concluded(images, watch)

    def explain(
        self, source: Source, methods: Sequence[str] = ("lrp", "gradcam")
    ) -> dict[str, Overlay]:
        """Why, by each method, over the whole frame: all its views together.

        Raises UnreadableFrame, and whatever `Source.open` does.
        """
        frame = _frame(_fetch(source), None)
        views = preprocess.views(frame.pixels, self.spec.recipe)
        inputs = torch.from_numpy(preprocess.tensor(views, self.spec.recipe))
        found = {}
        for method in methods:
            # One view at a time: relevance takes ten times a reading's memory.
            maps = [self._explainer(method)(self.network, x[None])[0] for x in inputs]
            pairs = [(m.numpy(), view.affine) for m, view in zip(maps, views)]
            found[method] = overlay.render(pairs, frame.pixels.shape)
        return found

    def _explainer(self, method: str) -> Explainer:
        if method != "lrp":
            return EXPLAINERS[method]
        rules = {"composite": self.spec.composite, "recipe": self.spec.recipe}
        return partial(EXPLAINERS[method], **rules)

    def _prepare(self, source: Source, scope: str) -> Prepared:
        watch, views, reading = Stopwatch(), [], ImageReading(source.uid, READ)
        try:
            with watch("open"):
                data = _fetch(source)
            with _contained(), watch("decode"):
                frame = _frame(data, scope)
            with _contained(), watch("preprocess"):
                views = preprocess.views(frame.pixels, self.spec.recipe)
        except UnreadableFrame as error:
            state = NOT_OURS if error.code in STRANGERS else UNREADABLE
            reading = ImageReading(source.uid, state, error.code, error.reason)
        return Prepared(reading, views, watch.milliseconds)

    def _scored(self, prepared: Sequence[Prepared]) -> list[ImageReading]:
        views = [view for image in prepared for view in image.views]
        if not views:
            return [image.reading for image in prepared]
        logits = self.runtime(preprocess.tensor(views, self.spec.recipe))
        chances = iter(probability(logits, self.spec.temperature).tolist())
        return [_with_chances(image, chances) for image in prepared]

    def _concluded(self, images: list[ImageReading], watch: Stopwatch) -> Reading:
        threshold, chance = self.spec.threshold, None
        read = [i for i, image in enumerate(images) if image.state == READ]
        if read:
            aggregate = AGGREGATIONS[self.spec.aggregation]
            seen = [images[i].probability for i in read]
            chance, voted = aggregate(seen, threshold)
            for i in voted:
                images[read[i]] = replace(images[read[i]], voted=True)
        return Reading(
            *_verdict(images),
            probability=chance,
            threshold=threshold,
            flagged=chance is not None and chance >= threshold,
            aggregation=self.spec.aggregation,
            images=tuple(images),
            milliseconds={k: round(ms, 1) for k, ms in watch.milliseconds.items()},
        )


@lru_cache(maxsize=2)
def open_reader(folder: Path, digest: str) -> Reader:
    """The reader of an artifact; the last two asked for stay warm.

    Raises DamagedArtifact when the folder does not hold what `digest` says.
    """
    spec = artifact.load_spec(folder, digest)
    if spec.composite not in COMPOSITES:
        known = ", ".join(COMPOSITES)
        raise DamagedArtifact(f"There are no LRP rules {spec.composite!r}: {known}.")
    return Reader(spec, artifact.load_network(folder, digest))


@contextmanager
def _contained() -> Iterator[None]:
    """One odd picture must not keep the rest of its study from being read."""
    try:
        yield
    except UnreadableFrame:
        raise
    except Exception as error:
        # The message may quote a patient's tags: log where, not what.
        name, where = type(error).__name__, "".join(format_tb(error.__traceback__))
        log.error("an image cannot be prepared: %s\n%s", name, where)
        reason = f"The image cannot be prepared for reading: {name}."
        raise UnreadableFrame("unprocessable", reason) from error


def _fetch(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read(dicom.MAX_BYTES + 1)


def _frame(data: bytes, scope: str | None) -> Frame:
    """Decode an image of `scope`; of None: whatever it shows."""
    if data.startswith(PICTURES):
        return picture.frame(data)
    ds = dicom.open_dataset(BytesIO(data))
    if scope is not None:
        _refuse_strangers(ds, scope)
    return dicom.frame(ds)


def _refuse_strangers(ds: Dataset, scope: str) -> None:
    if str(ds.get("ManufacturerModelName", "")) == OURS:
        raise UnreadableFrame("own_result", "This is a result that Osteon stored.")
    judged = anatomy.judge(anatomy.tags_of(ds), scope)
    if not judged.ours:
        raise UnreadableFrame("other_anatomy", judged.reason)


def _with_chances(image: Prepared, chances: Iterator[float]) -> ImageReading:
    """The reading of an image whose views take the next of `chances`."""
    if not image.views:
        return image.reading
    views = tuple(ViewReading(v.affine.tolist(), next(chances)) for v in image.views)
    chance = max(view.probability for view in views)
    return replace(image.reading, probability=chance, views=views)


def _verdict(images: Sequence[ImageReading]) -> tuple[str, str, str]:
    """State, code and reason of the study these images make."""
    if not images:
        return UNREADABLE, "no_images", "The study has no images."
    states = {image.state for image in images}
    state = next(s for s in (READ, UNREADABLE, NOT_OURS) if s in states)
    # A read study only tells what it lacks; one that is not read tells all.
    told = (UNREADABLE,) if state == READ else (UNREADABLE, NOT_OURS)
    reasons = Counter(image.reason for image in images if image.state in told)
    codes = {image.code for image in images if image.state == state}
    code = codes.pop() if len(codes) == 1 else "several_reasons"
    return state, code, " ".join(_sentences(reasons, len(images)))


def _sentences(reasons: Counter[str], total: int) -> Iterator[str]:
    for reason, count in reasons.most_common():
        yield reason if total == 1 else f"{count} of {total} images: {reason}"
