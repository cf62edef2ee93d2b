"""Every study and image accounted for: among the rows, and against the PACS.

received = read + abstained + not ours + unreadable + failed + waiting. A final state
without the prediction that justifies it counts nowhere, and the sum shows it.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Count, Exists, F, Min, OuterRef, Q, Subquery
from django.utils import timezone

from clinic.models import ImageReading, Instance, Prediction, Study
from clinic.pacs import GoneFromPacs, Pacs

PENDING = ("receiving", "waiting", "reading")
ANSWERED = ("read", "abstained", "not_ours", "unreadable")
TOGETHER = 500  # identifiers looked up in one query


def balance() -> dict[str, object]:
    """Counts of studies, images and explanations, and whether they add up."""
    studies, images = _studies(), _images()
    return {
        "studies": studies,
        "images": images,
        "explanations": _explanations(),
        "balanced": _adds_up(studies) and _adds_up(images),
    }


def missing(pacs: Pacs) -> list[str]:
    """Objects in the PACS that have no row (yet). Raises PacsUnavailable."""
    return [id for id in _unknown(_stored(pacs)) if _is_there(pacs, id)]


def _adds_up(counts: dict[str, int]) -> bool:
    parts = (*ANSWERED, "failed", "waiting")
    return counts["received"] == sum(counts[part] for part in parts)


def _studies() -> dict[str, int]:
    of_this_revision = Prediction.objects.filter(
        study=OuterRef("pk"),
        superseded_at=None,
        revision=OuterRef("revision"),
        state=OuterRef("state"),
    )
    found = Study.objects.annotate(justified=Exists(of_this_revision)).aggregate(
        received=Count("pk"),
        **{s: Count("pk", filter=Q(state=s, justified=True)) for s in ANSWERED},
        failed=Count("pk", filter=Q(state="failed")),
        waiting=Count("pk", filter=Q(state__in=PENDING)),
        oldest=Min("last_arrival", filter=Q(state__in=PENDING)),
        judged=Count("pk", filter=~Q(verdict="")),
    )
    return found | {"oldest_waiting_seconds": _age(found.pop("oldest"))}


def _age(moment: datetime | None) -> float:
    return round((timezone.now() - moment).total_seconds(), 1) if moment else 0.0


def _images() -> dict[str, int]:
    """An image shares the fate of its study until the study has an answer."""
    current = ImageReading.objects.filter(
        instance=OuterRef("pk"), prediction__superseded_at=None
    )
    images = Instance.objects.filter(role=Instance.Role.IMAGE).annotate(
        fate=F("series__study__state"), outcome=Subquery(current.values("state")[:1])
    )
    answered = Q(fate__in=ANSWERED)
    return images.aggregate(
        received=Count("pk"),
        **{s: Count("pk", filter=answered & Q(outcome=s)) for s in ANSWERED},
        failed=Count("pk", filter=Q(fate="failed")),
        waiting=Count("pk", filter=Q(fate__in=PENDING)),
    )


def _explanations() -> dict[str, int]:
    states = Prediction.Explanation.values
    counts = {state: Count("pk", filter=Q(explanation=state)) for state in states}
    return Prediction.objects.filter(superseded_at=None).aggregate(**counts)


def _stored(pacs: Pacs) -> set[str]:
    """Every instance that the changes feed still names."""
    found, since, done = set(), 0, False
    while not done:
        page = pacs.changes(since)
        found |= {change.id for change in page.changes if change.kind == "NewInstance"}
        since, done = page.last, page.done
    return found


def _unknown(ids: Iterable[str]) -> Iterator[str]:
    listed = sorted(ids)
    for start in range(0, len(listed), TOGETHER):
        some = listed[start : start + TOGETHER]
        rows = Instance.objects.filter(pacs_id__in=some)
        yield from set(some) - set(rows.values_list("pacs_id", flat=True))


def _is_there(pacs: Pacs, id: str) -> bool:
    try:
        pacs.instance(id)
    except GoneFromPacs:
        return False
    return True
