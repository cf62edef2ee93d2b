"""The administrator's pages about searches: started, watched, paused, ended."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from clinic import drawing, jobs, progress
from clinic import search as searches
from clinic.models import Job
from clinic.permissions import ADMINISTRATOR, roles
from search.spaces import SPACES

UNCHANGED = 204
LISTED = 100  # searches, the newest
OF_SEARCH = Job.objects.filter(kind=Job.Kind.SEARCH)


@roles(ADMINISTRATOR)
@require_safe
def search_list(request: HttpRequest) -> HttpResponse:
    """The searches, or for htmx their table."""
    part = "HX-Request" in request.headers
    about = {"searches": _newest()}
    return render(request, "_searches.html" if part else "searches.html", about)


@roles(ADMINISTRATOR)
@require_safe
def search(request: HttpRequest, pk: int) -> HttpResponse:
    """One search, or for htmx the part of it that changes all the time."""
    job = _search(pk)
    about = _progress(job)
    if "HX-Request" in request.headers:
        return render(request, "_search.html", about)
    return render(request, "search.html", about | _figures(job, about["rows"]))


@roles(ADMINISTRATOR)
@require_safe
def figures(request: HttpRequest, pk: int) -> HttpResponse:
    """The charts, once they show more than what the page has `seen`."""
    job = _search(pk)
    about = _figures(job, progress.rows(job))
    if request.GET.get("seen") == about["seen"]:
        return HttpResponse(status=UNCHANGED)
    return render(request, "_figures.html", about)


@roles(ADMINISTRATOR)
@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    words = "begins nothing new; trials that run come to their end"
    return _told(request, pk, searches.pause, words)


@roles(ADMINISTRATOR)
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _told(request, pk, jobs.cancel, "is cancelled; its trials are kept")


@roles(ADMINISTRATOR)
@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    return _told(request, pk, jobs.resume, "goes on where it was")


def _told(
    request: HttpRequest, pk: int, verb: Callable[..., Job], words: str
) -> HttpResponse:
    try:
        verb(job=get_object_or_404(OF_SEARCH, pk=pk), by=request.user)
        messages.success(request, f"Search {pk} {words}.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("search", pk)


def _search(pk: int) -> Job:
    found = OF_SEARCH.select_related("parent", "candidate", "by")
    return get_object_or_404(found, pk=pk)


def _newest() -> list[Job]:
    found = OF_SEARCH.select_related("parent", "candidate", "by")
    return list(found.defer("log", "verdicts", "asked").order_by("-pk")[:LISTED])


def _progress(job: Job) -> dict[str, object]:
    rows = progress.rows(job)
    best, said = progress.best(rows), job.parameters
    drawn = None
    if best and not job.is_open:
        space = SPACES[said["space"]]
        plan = space.blueprint(space.from_json(best.trial.architecture))
        drawn = drawing.draw(plan, *said["size"])
    return {
        "job": job,
        "rows": rows,
        "asked": said["budget"] + said["finals"],
        "best": best,
        "drawing": drawn,
        "left": progress.seconds_left(job, rows) if job.is_open else None,
        "log": progress.log(job),
    }


def _figures(job: Job, rows: list[progress.Row]) -> dict[str, object]:
    seen = f"{job.state}-{progress.state_of(rows)}"
    return {"job": job, "seen": seen, "charts": progress.charts(job, rows)}
