"""BRIDGE to inference: from a study in the PACS to a prediction, then to overlays.

An answer is kept only for the revision that was read, and only once. Whatever keeps
it from coming is written on the row, in words.
"""

import logging
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from clinic import audit, claims, differences, overlays, shadows, tags
from clinic.differences import GONE
from clinic.models import (
    ImageReading,
    Instance,
    ModelVersion,
    Prediction,
    ShadowReading,
    Study,
)
from clinic.models.predictions import NOT_AN_IMAGE
from clinic.pacs import GoneFromPacs, Pacs, PacsUnavailable
from inference.artifact import DamagedArtifact
from inference.overlay import Overlay
from inference.reader import Reader, Reading, Source, open_reader
from inference.unreadable import UnreadableFrame

AGAIN = timedelta(seconds=5)  # until the PACS, or a model, is asked for once more
Explanation, Role = Prediction.Explanation, Instance.Role

log = logging.getLogger(__name__)


class NoModel(Exception):
    """No model is in service."""


def read(*, study: Study, pacs: Pacs) -> Prediction | None:
    """Have the active model read `study` and keep what it said. Idempotent.

    None: there is nothing to do, or nothing can be done yet; the row says which.
    Raises PacsUnavailable, and whatever else is no fault of the images, after the
    row says so.
    """
    taken = claims.take(study.pk)
    if taken is None:
        return None
    with _outcome_of_reading(taken):
        model = _in_service()
        instances = _in_order(taken)
        reading = _reader(model).read(
            [_source(pacs, instance) for instance in instances], settings.ANATOMY_SCOPE
        )
        if {image.code for image in reading.images} == {GONE}:
            raise GoneFromPacs
        return _keep(taken, model, instances, reading)
    return None


def explain(*, prediction: Prediction, pacs: Pacs) -> None:
    """Lay over every image that was read why, by each method. Idempotent.

    A failure is the explanation's, never the prediction's. Raises what `read` does.
    """
    taken = overlays.take(prediction.pk)
    if taken is None:
        return
    with _outcome_of_explaining(taken):
        reader = _reader(taken.model)
        images = taken.images.filter(state="read").select_related("instance")
        overlays.keep(
            taken, [(i, reader.explain(_source(pacs, i.instance))) for i in images]
        )


def shadow(*, prediction: Prediction, pacs: Pacs) -> None:
    """Have the shadow, if there is one, read what `prediction` is about. Idempotent.

    A failure is the shadow's, never the study's. Raises what `read` does.
    """
    taken = shadows.take(prediction.pk)
    if taken is None:
        return
    with _outcome_of_shadowing(taken):
        found = again(prediction=prediction, model=taken.model, pacs=pacs)
        images = list(prediction.images.order_by("pk"))
        if words := differences.gone(images, found):
            shadows.give_up(taken, words)
            return
        shadows.keep(
            taken,
            found.state,
            found.reason,
            probability=found.probability,
            flagged=found.flagged,
            milliseconds=found.milliseconds["total"],
        )


def again(*, prediction: Prediction, model: ModelVersion, pacs: Pacs) -> Reading:
    """What `model` says now of the images of `prediction`; keeps nothing.

    Raises DamagedArtifact and PacsUnavailable.
    """
    images = prediction.images.select_related("instance").order_by("pk")
    sources = [_source(pacs, image.instance) for image in images]
    return _reader(model).read(sources, settings.ANATOMY_SCOPE)


def drawn(
    *, image: ImageReading, model: ModelVersion, pacs: Pacs
) -> dict[str, Overlay]:
    """Why `model` says now what it says of `image`, by each method; keeps nothing.

    Raises UnreadableFrame, DamagedArtifact and PacsUnavailable.
    """
    return _reader(model).explain(_source(pacs, image.instance))


def _in_service() -> ModelVersion:
    model = ModelVersion.objects.filter(stage=ModelVersion.Stage.ACTIVE).first()
    if model is None:
        raise NoModel(
            "No model is in service yet: an administrator has to promote one."
        )
    return model


def _reader(model: ModelVersion) -> Reader:
    return open_reader(Path(settings.MODEL_ROOT, model.folder), model.digest)


def _in_order(study: Study) -> list[Instance]:
    """Images as a person looks at them, then everything else."""
    every = Instance.objects.filter(series__study=study)
    return [*every.images(), *every.exclude(role=Role.IMAGE).order_by("pk")]


def _source(pacs: Pacs, instance: Instance) -> Source:
    return Source(instance.uid, partial(_opened, pacs, instance))


@contextmanager
def _opened(pacs: Pacs, instance: Instance) -> Iterator[BinaryIO]:
    if instance.role == Role.OWN:
        raise UnreadableFrame("own_result", "This is a result that Osteon stored.")
    if instance.role == Role.OTHER:
        raise UnreadableFrame(NOT_AN_IMAGE, instance.kind)
    try:
        with pacs.open(instance.pacs_id) as stream:
            yield stream
    except GoneFromPacs as error:
        raise UnreadableFrame(GONE, "The image is no longer in the PACS.") from error


@contextmanager
def _outcome_of_reading(taken: Study) -> Iterator[None]:
    try:
        yield
    except GoneFromPacs:
        claims.give_up(taken, GONE, "The images are no longer in the PACS.")
    except PacsUnavailable:
        words = "The PACS does not answer; the study is read as soon as it does."
        claims.give_back(taken, AGAIN, "pacs_unavailable", words)
        raise
    except (NoModel, DamagedArtifact) as error:
        if taken.code != "no_model":  # once a study, not every few seconds
            log.error("no study can be read: %s", error)
        claims.give_back(taken, AGAIN, "no_model", str(error))
    except Exception as error:
        claims.fail(taken, type(error).__name__)
        raise


@transaction.atomic
def _keep(
    taken: Study, model: ModelVersion, instances: Sequence[Instance], reading: Reading
) -> Prediction | None:
    """Rows of `reading`, unless the study has moved on: then it is read anew."""
    study = Study.objects.select_for_update().get(pk=taken.pk)
    unread = study.state in (Study.State.READING, Study.State.WAITING)
    if study.revision != taken.revision or not unread:
        log.info("study %d moved on while it was read", study.pk)
        return None
    _supersede(study)
    prediction = Prediction.objects.create(
        study=study,
        revision=study.revision,
        model=model,
        state=reading.state,
        code=reading.code,
        reason=tags.text(reading.reason, 500),
        probability=reading.probability,
        threshold=reading.threshold,
        flagged=reading.flagged,
        confident_from=reading.confident_from,
        confident=reading.confident,
        aggregation=reading.aggregation,
        milliseconds=reading.milliseconds,
        explanation=Explanation.WAITING
        if reading.state == "read"
        else Explanation.NONE,
    )
    _keep_images(prediction, instances, reading)
    for column in ("state", "code", "reason", "probability", "flagged", "confident"):
        setattr(study, column, getattr(prediction, column))
    study.lease_until = None
    study.save()
    said = {"study": study.pk, "revision": study.revision, "model": model.digest}
    said |= {"state": reading.state, "probability": reading.probability}
    audit.record("study.read", prediction, **said)
    return prediction


def _supersede(study: Study) -> None:
    current = study.predictions.filter(superseded_at=None)
    current.filter(explanation=Explanation.WAITING).update(
        explanation=Explanation.NONE,
        explanation_reason="A newer reading came before this one was explained.",
    )
    current.update(superseded_at=timezone.now())


def _keep_images(
    prediction: Prediction, instances: Sequence[Instance], reading: Reading
) -> None:
    ImageReading.objects.bulk_create(
        ImageReading(
            prediction=prediction,
            instance=instance,
            state=image.state,
            code=image.code,
            reason=tags.text(image.reason, 500),
            probability=image.probability,
            voted=image.voted,
            views=[vars(view) for view in image.views],
            digest=instance.digest,
        )
        for instance, image in zip(instances, reading.images, strict=True)
    )
    ImageReading.objects.complete(prediction)  # what came while this was read


@contextmanager
def _outcome_of_explaining(taken: Prediction) -> Iterator[None]:
    try:
        yield
    except PacsUnavailable:
        overlays.give_back(taken, AGAIN)
        raise
    except (UnreadableFrame, DamagedArtifact) as error:
        overlays.give_up(taken, str(error))
    except Exception as error:
        overlays.fail(taken, type(error).__name__)
        raise


@contextmanager
def _outcome_of_shadowing(taken: ShadowReading) -> Iterator[None]:
    try:
        yield
    except PacsUnavailable:
        shadows.give_back(taken, AGAIN)
        raise
    except DamagedArtifact as error:
        shadows.give_up(taken, str(error))
    except Exception as error:
        shadows.fail(taken, type(error).__name__)
        raise


def read_file(*, path: Path, model: tuple[Path, str], scope: str) -> Reading:
    """Read one DICOM, PNG or JPEG file as a study of its own; no PACS, no rows."""
    return open_reader(*model).read([Source(str(path), partial(_file, path))], scope)


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            words = "This is neither a file nor a folder that can be listed."
            raise UnreadableFrame("cannot_open", words)
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        words = f"The file cannot be opened: {error.strerror or type(error).__name__}."
        raise UnreadableFrame("cannot_open", words) from error
