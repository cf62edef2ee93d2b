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
from itertools import islice
from pathlib import Path
from traceback import format_tb
from typing import BinaryIO

import numpy as np
import torch
from pydicom import Dataset
from torch import nn

from inference import anatomy, artifact, dicom, doubt, overlay, picture, preprocess
from inference.aggregate import AGGREGATIONS
from inference.artifact import Spec
from inference.calibrate import probability
from inference.dicom import Frame, UnreadableFrame
from inference.doubt import Familiar
from inference.explain import EXPLAINERS, Explainer
from inference.overlay import Overlay
from inference.preprocess import View
from inference.reading import (
    NOT_OURS,
    READ,
    UNREADABLE,
    ImageReading,
    Reading,
    ViewReading,
    abstained,
    verdict,
)
from inference.runtime import Compiled, compiled

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

    def __init__(
        self, spec: Spec, network: nn.Module, familiar: Familiar | None = None
    ) -> None:
        """familiar: needed where the spec limits how strange an image may be."""
        self.spec, self.network, self.familiar = spec, network, familiar

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
                poor = self.spec.limits.poor([view.pixels for view in views])
            if poor:
                reading, views = abstained(reading, doubt.POOR, poor), []
        except UnreadableFrame as error:
            state = NOT_OURS if error.code in STRANGERS else UNREADABLE
            reading = ImageReading(source.uid, state, error.code, error.reason)
        return Prepared(reading, views, watch.milliseconds)

    def _scored(self, prepared: Sequence[Prepared]) -> list[ImageReading]:
        views = [view for image in prepared for view in image.views]
        if not views:
            return [image.reading for image in prepared]
        seen = self.runtime(preprocess.tensor(views, self.spec.recipe))
        chances = iter(probability(seen.logits, self.spec.temperature).tolist())
        distances = iter(self._distances(seen.features))
        images = [_with_chances(image, chances) for image in prepared]
        return [
            self._unless_in_doubt(image, list(islice(distances, len(image.views))))
            for image in images
        ]

    def _distances(self, features: np.ndarray) -> list[float]:
        if self.familiar is None:
            return [0.0] * len(features)
        return self.familiar.distance(features).tolist()

    def _unless_in_doubt(
        self, image: ImageReading, distances: Sequence[float]
    ) -> ImageReading:
        """`image` as it was read, or without what the model had better not say."""
        if image.state != READ:
            return image
        for code, doubtful in (
            (doubt.UNLIKE, self.spec.limits.strange(min(distances))),
            (doubt.UNCERTAIN, self.spec.limits.undecided(image.probability)),
        ):
            if doubtful:
                return abstained(image, code, doubt.REASONS[code])
        return image

    def _concluded(self, images: list[ImageReading], watch: Stopwatch) -> Reading:
        threshold, confident, chance = self.spec.threshold, self.spec.confident, None
        read = [i for i, image in enumerate(images) if image.state == READ]
        if read:
            aggregate = AGGREGATIONS[self.spec.aggregation]
            seen = [images[i].probability for i in read]
            chance, voted = aggregate(seen, threshold)
            for i in voted:
                images[read[i]] = replace(images[read[i]], voted=True)
        return Reading(
            *verdict(images),
            probability=chance,
            threshold=threshold,
            flagged=chance is not None and chance >= threshold,
            confident_from=confident,
            confident=chance is not None and chance >= confident,
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
    network = artifact.load_network(folder, digest)
    return Reader(spec, network, artifact.load_familiar(folder, digest))


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
