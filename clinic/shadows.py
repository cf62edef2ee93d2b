"""Who reads for the shadow, what comes of it, and how it compares with the service.

Like `claims` for studies, on rows of its own: nothing here touches a study, and no
radiologist's page reads these rows.
"""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from statistics import fmean

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from clinic import claims, tags
from clinic.models import ModelVersion, Prediction, ShadowReading, Study

State = ShadowReading.State
BINS = [n / 10 for n in range(11)]  # of the score distribution
LISTED = 100  # discordant studies, the newest
DRAWN = 500  # points of the chart, the newest


def due() -> QuerySet[Prediction]:
    """Current predictions that the shadow, if there is one, has yet to read beside.

    Only what was read since it stands there: it follows the living, not the archive.
    """
    model = ModelVersion.objects.filter(stage=ModelVersion.Stage.SHADOW).first()
    if model is None:
        return Prediction.objects.none()
    now = timezone.now()
    free = Q(state=State.WAITING) & (Q(lease_until=None) | Q(lease_until__lt=now))
    taken = ShadowReading.objects.filter(prediction=OuterRef("pk"), model=model)
    return Prediction.objects.filter(
        ~Exists(taken.exclude(free)), superseded_at=None, created__gte=model.staged_at
    ).order_by("pk")


@transaction.atomic
def take(pk: int) -> ShadowReading | None:
    """The row to fill beside prediction `pk`, unless it is filled or in other hands."""
    model = ModelVersion.objects.filter(stage=ModelVersion.Stage.SHADOW).first()
    # The prediction's row is the lock: two workers take in turn.
    prediction = Prediction.objects.select_for_update().filter(pk=pk).first()
    if model is None or prediction is None or not due().filter(pk=pk).exists():
        return None
    row, _ = ShadowReading.objects.get_or_create(prediction=prediction, model=model)
    if row.attempts >= settings.MAX_ATTEMPTS:
        _settle(row, State.FAILED, f"Reading broke off {row.attempts} times.")
        return None
    row.attempts += 1
    row.lease_until = claims.lease()
    row.save()
    return row


@transaction.atomic
def keep(taken: ShadowReading, state: str, reason: str, **said: object) -> None:
    """What the shadow said, unless the study moved on while it was read."""
    prediction = taken.prediction
    study = Study.objects.get(pk=prediction.study_id)
    if study.revision != prediction.revision:
        _settle(taken, State.FAILED, "The study changed while the shadow read it.")
    else:
        _settle(taken, state, "" if state == State.READ else reason, **said)


def give_back(taken: ShadowReading, pause: timedelta) -> None:
    """Not its fault: no attempt is counted, and there is always another."""
    until, left = timezone.now() + pause, F("attempts") - 1
    _ours(taken).update(lease_until=until, attempts=left)


def fail(taken: ShadowReading, error: str) -> None:
    """An attempt failed: try again later, or give up after the last."""
    if taken.attempts < settings.MAX_ATTEMPTS:
        until = timezone.now() + timedelta(seconds=2**taken.attempts)
        _ours(taken).update(lease_until=until)
    else:
        _settle(taken, State.FAILED, f"Reading failed {taken.attempts} times: {error}.")


def give_up(taken: ShadowReading, words: str) -> None:
    """Trying again cannot help."""
    _settle(taken, State.FAILED, words)


def end(model: ModelVersion) -> None:
    """Nobody reads for `model` any more."""
    waiting = ShadowReading.objects.filter(model=model, state=State.WAITING)
    words = "The model left the shadow before it had read this study."
    waiting.update(state=State.FAILED, reason=words, lease_until=None)


def _ours(taken: ShadowReading) -> QuerySet[ShadowReading]:
    """The row, unless it is settled or somebody else has it by now."""
    return ShadowReading.objects.filter(
        pk=taken.pk, state=State.WAITING, lease_until=taken.lease_until
    )


def _settle(taken: ShadowReading, state: str, reason: str, **said: object) -> None:
    words = tags.text(reason, 500)
    _ours(taken).update(state=state, reason=words, lease_until=None, **said)


# --- Beside the model in service ------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """The shadow beside what was in service, over the studies both have read.

    agreement: share of studies that both flag or both do not. shift: mean of the
    shadow's probability less the other's. spread: (from, to, studies in service,
    studies in the shadow) by probability. points: (in service, in the shadow).
    discordant: the newest readings in which they differ.
    """

    counts: dict[str, int]
    both: int
    agreement: float | None
    shift: float | None
    spread: list[tuple[float, float, int, int]]
    points: list[tuple[float, float]]
    discordant: list[ShadowReading]


def comparison(model: ModelVersion) -> Comparison:
    """How `model` did in the shadow, up to now."""
    rows = ShadowReading.objects.filter(model=model).order_by("-pk")
    states = list(rows.values_list("state", flat=True))
    read = rows.filter(state=State.READ, prediction__state=State.READ)
    shapes = ("prediction__probability", "probability", "prediction__flagged")
    pairs = list(read.values_list(*shapes, "flagged"))
    points = [(before, after) for before, after, _, _ in pairs]
    differ = ~Q(flagged=F("prediction__flagged")) | ~Q(state=F("prediction__state"))
    answered = rows.exclude(state__in=[State.WAITING, State.FAILED])
    discordant = answered.filter(differ).select_related("prediction__study")
    return Comparison(
        counts={words: states.count(state) for state, words in State.choices},
        both=len(pairs),
        agreement=fmean(a == b for _, _, a, b in pairs) if pairs else None,
        shift=fmean(after - before for before, after in points) if pairs else None,
        spread=_spread(points),
        points=points[:DRAWN],
        discordant=list(discordant[:LISTED]),
    )


def _spread(points: list[tuple[float, float]]) -> list[tuple[float, float, int, int]]:
    found = []
    for low, high in pairwise(BINS):
        inside = [
            sum(low <= p[side] < high or p[side] == high == 1 for p in points)
            for side in (0, 1)
        ]
        found.append((low, high, *inside))
    return found
