"""The worklist: which studies, in which order, one page of them at a time."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.utils import timezone

from clinic.models import Instance, PacsCursor, Study
from clinic.models.studies import StudyQuerySet

PAGE = 50  # studies
SHOWN = {
    "open": "without a verdict",
    "judged": "with a verdict",
    "disputed": "disputed",
    "all": "all",
}
SHOW = {
    "open": Q(verdict=""),
    "judged": ~Q(verdict=""),
    "disputed": Q(disputed=True),
    "all": Q(),
}
DATES = {  # how people write a day
    r"(\d{4})-?(\d{2})-?(\d{2})": ("year", "month", "day"),
    r"(\d{1,2})\.(\d{1,2})\.(\d{4})": ("day", "month", "year"),
}
SUMMARY = {
    "total": Count("pk"),
    "open": Count("pk", filter=Q(verdict="")),
    "flagged": Count("pk", filter=Q(verdict="", flagged=True)),
    "abstained": Count("pk", filter=Q(verdict="", state="abstained")),
    "coming": Count("pk", filter=Q(state__in=["receiving", "waiting", "reading"])),
    "failed": Count("pk", filter=Q(state="failed", verdict="")),
    "disputed": Count("pk", filter=Q(disputed=True)),
}


def day(text: str) -> date | None:
    """2026-11-21, 20261121 or 21.11.2026; None for anything else."""
    for pattern, parts in DATES.items():
        if found := re.fullmatch(pattern, text.strip()):
            try:
                return date(**dict(zip(parts, map(int, found.groups()))))
            except ValueError:
                return None
    return None


@dataclass(frozen=True)
class Query:
    """What a person asked to see; nonsense in a parameter means "not asked"."""

    show: str = "open"
    state: str = ""
    flagged: bool = False
    words: str = ""
    since: date | None = None
    until: date | None = None
    page: int = 1

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> "Query":
        show, state, page = asked.get("show"), asked.get("state"), asked.get("page", "")
        return cls(
            show=show if show in SHOWN else "open",
            state=state if state in Study.State.values else "",
            flagged=asked.get("flagged") == "1",
            words=asked.get("words", "").replace("\0", "").strip()[:200],
            since=day(asked.get("since", "")),
            until=day(asked.get("until", "")),
            page=int(page) if re.fullmatch(r"[1-9]\d{0,5}", page) else 1,
        )

    def at(self, page: int) -> str:
        """The query string of another page of the same list."""
        asked = asdict(replace(self, page=page)) | {"flagged": "1" * self.flagged}
        return urlencode({k: v for k, v in asked.items() if v not in ("", None)})

    def studies(self) -> StudyQuerySet:
        wanted = SHOW[self.show]
        if self.state:
            wanted &= Q(state=self.state)
        if self.flagged:
            wanted &= Q(flagged=True)
        if self.since:
            wanted &= Q(taken_on__gte=self.since)
        if self.until:
            wanted &= Q(taken_on__lte=self.until)
        for word in re.split(r"[\s,^]+", self.words):
            wanted &= _about(word)
        return Study.objects.filter(wanted)


def _about(word: str) -> Q:
    """Studies whose patient, accession number or day is written so."""
    if not word:
        return Q()
    if (taken := day(word)) is not None:
        return Q(taken_on=taken) | Q(patient_id=word) | Q(accession=word)
    found = Q()
    # SQLite folds the case of ASCII letters only.
    for form in {word} if word.isascii() else {word, word.upper(), word.title()}:
        for field in ("patient_name", "patient_id", "accession"):
            found |= Q(**{f"{field}__icontains": form})
    return found


@dataclass(frozen=True)
class Page:
    """One page. token: changes exactly when what the page shows does."""

    query: Query
    studies: list[Study]  # each with .images and .waiting, seconds
    total: int
    number: int
    pages: int
    summary: dict[str, int]
    trouble: str
    token: str

    @property
    def here(self) -> str:
        return self.query.at(self.number)

    @property
    def earlier(self) -> str:
        return self.query.at(self.number - 1) if self.number > 1 else ""

    @property
    def later(self) -> str:
        return self.query.at(self.number + 1) if self.number < self.pages else ""


def page(query: Query) -> Page:
    """Five queries, however many studies there are."""
    found = query.studies()
    total = found.count()
    pages = max(1, math.ceil(total / PAGE))
    number = min(query.page, pages)
    start = (number - 1) * PAGE
    # The inner query walks the index alone; only one page of rows is fetched.
    keys = found.for_worklist().values("pk")[start : start + PAGE]
    studies = list(Study.objects.filter(pk__in=keys).for_worklist())
    _count_images(studies)
    now = timezone.now()
    for study in studies:
        study.waiting = waiting(study, now)
    summary = Study.objects.aggregate(**SUMMARY)
    cursor = PacsCursor.objects.first()
    trouble = (cursor.trouble or cursor.shut) if cursor else ""
    token = _token(studies, [total, number, summary, trouble])
    return Page(query, studies, total, number, pages, summary, trouble, token)


def waiting(study: Study, now: datetime) -> str:
    """How long `study` has waited for a verdict, to the minute; "" once judged."""
    if study.verdict:
        return ""
    minutes = max(0, int((now - study.arrived).total_seconds())) // 60
    if minutes < 1:
        return "< 1 min"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d"


def next_open(*, besides: list[int]) -> Study | None:
    """The first study in worklist order that waits for a verdict and can have one."""
    state = Study.State
    answered = [state.READ, state.ABSTAINED, state.NOT_OURS, state.UNREADABLE]
    waiting = Study.objects.filter(verdict="", state__in=answered)
    return waiting.exclude(pk__in=besides).for_worklist().first()


def _count_images(studies: list[Study]) -> None:
    counts = dict(
        Instance.objects.filter(role=Instance.Role.IMAGE, series__study__in=studies)
        .values_list("series__study")
        .annotate(Count("pk"))
    )
    for study in studies:
        study.images = counts.get(study.pk, 0)


SHOWS = (
    "pk",
    "disputed",
    "state",
    "reason",
    "notices",
    "probability",
    "flagged",
    "confident",
    "verdict",
)
SHOWS += ("patient_name", "patient_id", "accession", "taken_on", "images", "waiting")


def _token(studies: list[Study], rest: list) -> str:
    shown = [[getattr(study, name) for name in SHOWS] for study in studies]
    text = json.dumps([shown, rest], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
