"""The administrator's pages about searches: started, watched, paused, ended."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from clinic import (
    drawing,
    headroom,
    jobs,
    learning,
    leavings,
    materials,
    progress,
    search_fields,
    search_form,
    standings,
)
from clinic import search as searches
from clinic.models import Job
from clinic.permissions import ADMINISTRATOR, roles
from clinic.search_serializers import SearchRequestSerializer
from search.spaces import SPACES

UNCHANGED, REFUSED = 204, 422
MOST = 1 << 20  # bytes of a latency table that are looked at
LISTED = 100  # searches, the newest
OF_SEARCH = Job.objects.filter(kind=Job.Kind.SEARCH)


@roles(ADMINISTRATOR)
@require_safe
def search_list(request: HttpRequest) -> HttpResponse:
    """The searches, or for htmx their table."""
    if "HX-Request" in request.headers:
        return render(request, "_searches.html", _listed())
    return _form(request, search_fields.form())


@roles(ADMINISTRATOR)
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a search; a refusal keeps what was typed."""
    try:
        asked, table = _asked(request), _uploaded(request)
        started = search_form.start(asked=asked, by=request.user, table=table)
    except ValidationError as error:
        return _form(request, search_fields.form(request.POST, error), REFUSED)
    messages.success(request, f"Search {started.pk} waits for its workers.")
    return redirect("search", started.pk)


@roles(ADMINISTRATOR)
@require_POST
def estimate(request: HttpRequest) -> HttpResponse:
    """What the search in the form may cost; nothing is started."""
    try:
        asked = _asked(request)
        cost = search_form.estimate(asked, _uploaded(request))
        caveat = "" if asked["images"] else learning.choose().caveat
        size = asked["height"], asked["width"]
        about = {"estimate": cost, "asked": asked, "caveat": caveat}
        about["memory"] = headroom.warning(asked["batch"], size)
    except ValidationError as error:
        about = {"refusals": search_fields.form(request.POST, error).told}
    status = REFUSED if "refusals" in about else 200
    return render(request, "_estimate.html", about, status=status)


@roles(ADMINISTRATOR)
@require_safe
def search(request: HttpRequest, pk: int) -> HttpResponse:
    """One search, or for htmx the part of it that changes all the time."""
    job = _search(pk)
    about = _progress(job) | {"who": leavings.people(job).exists()}
    if not job.is_open:  # looked at once, not every two seconds
        about |= {"bytes": leavings.size(job), "kept": leavings.obstacle(job)}
    if "HX-Request" in request.headers:
        return render(request, "_search_part.html", about)
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
@require_safe
def net_config(request: HttpRequest, pk: int) -> HttpResponse:
    """The best architecture so far as a file of Once-For-All's."""
    job = _search(pk)
    best = searches.best(job.trials.order_by("number"))
    config = standings.net_config(job, best) if best else ""
    if not config:
        raise Http404
    sent = HttpResponse(config, content_type="application/json")
    sent["Content-Disposition"] = f'attachment; filename="search-{pk}-net.config"'
    return sent


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


@roles(ADMINISTRATOR)
@require_POST
def clear(request: HttpRequest, pk: int) -> HttpResponse:
    return _told(request, pk, leavings.clear, "has no files any more")


def _told(
    request: HttpRequest, pk: int, verb: Callable[..., Job], words: str
) -> HttpResponse:
    try:
        verb(job=get_object_or_404(OF_SEARCH, pk=pk), by=request.user)
        messages.success(request, f"Search {pk} {words}.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("search", pk)


def _asked(request: HttpRequest) -> dict[str, object]:
    sent = SearchRequestSerializer(data=request.POST)
    if not sent.is_valid():
        raise ValidationError(sent.by_field())
    return sent.validated_data


def _uploaded(request: HttpRequest) -> dict[str, object] | None:
    """A latency table."""
    sent = request.FILES.get("upload")
    return materials.read_table(sent.read(MOST)) if sent else None


def _form(
    request: HttpRequest, form: search_fields.Form, status: int = 200
) -> HttpResponse:
    return render(request, "searches.html", {"form": form} | _listed(), status=status)


def _search(pk: int) -> Job:
    found = OF_SEARCH.select_related("parent", "candidate", "by")
    return get_object_or_404(found, pk=pk)


def _listed() -> dict[str, object]:
    found = OF_SEARCH.select_related("parent", "candidate", "by")
    newest = found.defer("log", "verdicts", "asked").order_by("-pk")[:LISTED]
    return {"searches": list(newest), "running": progress.running()}


def _progress(job: Job) -> dict[str, object]:
    rows = progress.rows(job)
    leader, said = searches.best(row.trial for row in rows), job.parameters
    best = next((row for row in rows if row.trial is leader), None)
    drawn = None
    if best and not job.is_open:
        space = SPACES[said["space"]]
        plan = space.blueprint(space.from_json(best.trial.architecture))
        drawn = drawing.draw(plan, *said["size"])
    return {
        "job": job,
        "standing": progress.standing(job),
        "rows": rows,
        "asked": said["planned"] + said["finals"],
        "until": searches.until(job),
        "best": best,
        "drawing": drawn,
        "config": bool(drawn and standings.net_config(job, best.trial)),
        "over": progress.is_over(rows),
        "left": progress.seconds_left(job, rows) if job.is_open else None,
        "patches": standings.on_patches(job),
        "log": progress.log(job),
    }


def _figures(job: Job, rows: list[progress.Row]) -> dict[str, object]:
    charts = progress.charts(job, rows)
    seen = f"{job.state}-{progress.state_of(charts)}"
    return {"job": job, "seen": seen, "charts": charts}
