"""Who explains a prediction, and what comes of it: overlays, or a reason why none.

Like `claims` for studies, but on the prediction's own columns: a prediction stands,
explained or not.
"""

import struct
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from clinic import audit, claims, tags
from clinic.models import ImageReading, Instance, Overlay, Prediction
from inference.overlay import Overlay as Drawn

Explanation = Prediction.Explanation


@transaction.atomic
def take(pk: int) -> Prediction | None:
    """The prediction, if it is current, unexplained and in nobody's hands."""
    free = Prediction.objects.unexplained().select_for_update(of=["self"])
    prediction = free.select_related("model").filter(pk=pk).first()
    if prediction is None:
        return None
    if prediction.explanation_attempts >= settings.MAX_ATTEMPTS:
        give_up(prediction, "Explaining broke off several times without an answer.")
        return None
    prediction.explanation_attempts += 1
    prediction.explanation_lease = claims.lease()
    prediction.save()
    return prediction


@transaction.atomic
def keep(
    taken: Prediction, drawn: Iterable[tuple[ImageReading, Mapping[str, Drawn]]]
) -> None:
    """Rows and files of `drawn`, by method, unless a newer reading came meanwhile."""
    if not _amend(taken, explanation=Explanation.DONE, explanation_lease=None):
        return
    for image, overlays in drawn:
        for method, overlay in overlays.items():
            rows, columns = _frame_size(image.instance, overlay)
            Overlay.objects.create(
                image=image,
                method=method,
                png=ContentFile(overlay.png, f"{image.pk}-{method}.png"),
                rows=rows,
                columns=columns,
                peak=overlay.peak,
            )
    audit.record("prediction.explained", taken)


def give_back(taken: Prediction, pause: timedelta) -> None:
    """Not its fault: no attempt is counted, and there is always another."""
    left = F("explanation_attempts") - 1
    until = timezone.now() + pause
    _amend(taken, explanation_lease=until, explanation_attempts=left)


def fail(taken: Prediction, error: str) -> None:
    """An attempt failed: try again later, or give up after the last."""
    attempts = taken.explanation_attempts
    if attempts < settings.MAX_ATTEMPTS:
        _amend(taken, explanation_lease=timezone.now() + timedelta(seconds=2**attempts))
    else:
        give_up(taken, f"Explaining failed in {attempts} attempts, last with {error}.")


@transaction.atomic
def give_up(taken: Prediction, words: str) -> None:
    words = tags.text(words, 500)
    if _amend(taken, explanation=Explanation.FAILED, explanation_reason=words):
        audit.record("prediction.unexplained", taken, reason=words)


def _amend(taken: Prediction, **columns: object) -> bool:
    """Change the row unless it was superseded or somebody else has it by now."""
    ours = Prediction.objects.filter(
        pk=taken.pk,
        superseded_at=None,
        explanation=Explanation.WAITING,
        explanation_lease=taken.explanation_lease,
    )
    return bool(ours.update(**columns))


def _frame_size(instance: Instance, overlay: Drawn) -> tuple[int, int]:
    """As the PACS told; the picture's own size has at least the right proportions."""
    if instance.rows and instance.columns:
        return instance.rows, instance.columns
    columns, rows = struct.unpack_from(">II", overlay.png, 16)  # PNG's IHDR
    return rows, columns
