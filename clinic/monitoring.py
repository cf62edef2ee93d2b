"""How the service does: work, scores, what was not read, agreement, waiting times.

Whatever the number of studies, a page costs the same few queries. What was not
measured is said to be so.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from django.db.models import Count, F
from django.utils import timezone

from clinic import shift
from clinic.charts import Chart, noon
from clinic.models import ImageReading, Prediction, Review, Study

SPANS = (7, 30, 90, 365)  # days that can be looked at
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Doubt:
    """Images that the model said nothing of. asked: images that were ours to read.

    reasons: (code, images, studies with such an image), the most frequent first.
    daily: code -> images, day by day.
    """

    asked: int
    images: int
    reasons: list[tuple[str, int, int]]
    daily: dict[str, list[int]]

    @property
    def share(self) -> float | None:
        return self.images / self.asked if self.asked else None


@dataclass(frozen=True)
class Week:
    """Verdicts given in the week that begins on `day`, against the flag."""

    day: date
    agreed: int = 0
    missed: int = 0  # verdict fracture, not flagged
    false_alarms: int = 0

    @property
    def verdicts(self) -> int:
        return self.agreed + self.missed + self.false_alarms

    @property
    def agreement(self) -> float:
        return self.agreed / self.verdicts


def days(span: int) -> list[tuple[date, int]]:
    """Studies that arrived, day by day; days without any count 0. One query."""
    zone = timezone.get_current_timezone()
    arrived = Study.objects.filter(arrived__gte=_since(span)).values_list(
        "arrived", flat=True
    )
    found = Counter(moment.astimezone(zone).date() for moment in arrived)
    return [(day, found[day]) for day in _calendar(span)]


def unread(span: int) -> list[tuple[str, str, int]]:
    """(state, code, studies) of what arrived and was not read. One query."""
    rows = (
        Study.objects.filter(arrived__gte=_since(span))
        .exclude(state__in=["read", "receiving", "waiting", "reading"])
        .values_list("state", "code")
        .annotate(studies=Count("pk"))
        .order_by("-studies", "state", "code")
    )
    words = dict(Study.State.choices)
    return [(words[state], code or "–", studies) for state, code, studies in rows]


def doubt(span: int) -> Doubt:
    """What was left to people, by its reason. One query."""
    zone, asked = timezone.get_current_timezone(), 0
    images: Counter[str] = Counter()
    studies: dict[str, set[int]] = {}
    daily: dict[str, Counter[date]] = {}
    rows = ImageReading.objects.filter(
        prediction__superseded_at=None,
        prediction__created__gte=_since(span),
        state__in=["read", "abstained"],
    ).values_list("state", "code", "prediction__study", "prediction__created")
    for state, code, study, created in rows:
        asked += 1
        if state == "abstained":
            images[code] += 1
            studies.setdefault(code, set()).add(study)
            daily.setdefault(code, Counter())[created.astimezone(zone).date()] += 1
    reasons = [(c, count, len(studies[c])) for c, count in images.most_common()]
    lines = {c: [daily[c][day] for day in _calendar(span)] for c, _, _ in reasons}
    return Doubt(asked, images.total(), reasons, lines)


def agreement(span: int) -> list[Week]:
    """The latest verdict of each study against what was flagged. One query.

    Unsure verdicts and studies that were not read, or not with every image that was
    judged, agree with nothing and do not count.
    """
    judged = F("prediction__revision")
    given = (
        Review.objects.settled()
        .filter(created__gte=_since(span), prediction__state="read", revision=judged)
        .exclude(verdict=Review.Verdict.UNSURE)
        .values_list("created", "verdict", "prediction__flagged")
    )
    zone, found = timezone.get_current_timezone(), Counter()
    for created, verdict, flagged in given:
        day = created.astimezone(zone).date()
        fractured = verdict == Review.Verdict.FRACTURE
        found[day - timedelta(days=day.weekday()), fractured, flagged] += 1
    return [
        Week(
            week,
            found[week, True, True] + found[week, False, False],
            found[week, True, False],
            found[week, False, True],
        )
        for week in sorted({key[0] for key in found})
    ]


def latencies(span: int) -> list[tuple[date, int, list[float]]]:
    """(day, readings, seconds at PERCENTILES) from last image to reading. One query.

    Of the readings that count: what a late image or a person asked to be read again
    is measured from the last arrival, and not before that reading has come.
    """
    zone, found = timezone.get_current_timezone(), {}
    read = Prediction.objects.filter(
        superseded_at=None, created__gte=_since(span), revision=F("study__revision")
    )
    for created, arrived in read.values_list("created", "study__last_arrival"):
        waited = max(0.0, (created - arrived).total_seconds())
        found.setdefault(created.astimezone(zone).date(), []).append(waited)
    return [
        (day, len(waited), np.percentile(waited, PERCENTILES).tolist())
        for day, waited in sorted(found.items())
    ]


def overview(span: int) -> dict[str, object]:
    """Everything the page shows, and what its charts draw."""
    studies, weeks, waits = days(span), agreement(span), latencies(span)
    return {
        "span": span,
        "spans": SPANS,
        "total": sum(count for _, count in studies),
        "days": _daily("Studies a day", studies, {"studies": [n for _, n in studies]}),
        "unread": unread(span),
        "doubt": (left := doubt(span)),
        "abstentions": _daily(
            "Images left to people, by reason",
            studies,
            {code.replace("_", " "): counts for code, counts in left.daily.items()},
        ),
        "scores": shift.scores(_since(span)),
        "weeks": weeks,
        "agreement": _daily(
            "Share of verdicts that agree with the flag, by week",
            [(week.day,) for week in weeks],
            {"agreement": [week.agreement for week in weeks]},
        ),
        "latencies": _daily(
            "Seconds from the last image to the reading",
            waits,
            {f"p{p}": [row[2][i] for row in waits] for i, p in enumerate(PERCENTILES)},
        ),
        "disputed": Study.objects.filter(disputed=True).count(),
    }


def _daily(title: str, rows: Sequence[tuple], lines: dict[str, list]) -> Chart:
    x = [noon(row[0]) for row in rows]
    return Chart(title, title, "day", x, lines, time=True)


def _since(span: int) -> datetime:
    first = timezone.localtime() - timedelta(days=span - 1)
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def _calendar(span: int) -> list[date]:
    first = _since(span).date()
    return [first + timedelta(days=n) for n in range(span)]
