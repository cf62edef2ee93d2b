"""The administrator's pages about searches: started, watched, paused, ended."""

from collections.abc import Callable, Mapping

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from clinic import drawing, jobs, leavings, materials, progress, search_form
from clinic import search as searches
from clinic.models import Job, ModelVersion
from clinic.permissions import ADMINISTRATOR, roles
from clinic.search import LIMITS
from clinic.search_serializers import SearchRequestSerializer
from clinic.terms import OBJECTIVES
from search.spaces import SPACES
from search.strategies import DEFAULT, STRATEGIES

UNCHANGED, REFUSED = 204, 422
MOST = 1 << 20  # bytes of a latency table that are looked at
COUNTS = (  # name, words, least, most
    ("height", "Image height", 32, 2048),
    ("width", "Image width", 32, 2048),
    ("workers", "Workers", *LIMITS["workers"]),
    ("finals", "Best ones trained at length", *LIMITS["finals"]),
    ("epochs", "Epochs of a candidate", 1, 200),
    ("final_epochs", "Epochs at length", 1, 200),
    ("batch", "Views a batch", 2, 1024),
    ("seed", "Seed", *LIMITS["seed"]),
)
ASKED = {  # what the form begins with
    "space": "ofa-1.2",
    "strategy": DEFAULT,
    "height": 224,
    "width": 224,
    "budget": 30,
    "workers": 1,
    "finals": 3,
    "epochs": 5,
    "final_epochs": 20,
    "batch": 128,
    "seed": 0,
}
LISTED = 100  # searches, the newest
OF_SEARCH = Job.objects.filter(kind=Job.Kind.SEARCH)


@roles(ADMINISTRATOR)
@require_safe
def search_list(request: HttpRequest) -> HttpResponse:
    """The searches, or for htmx their table."""
    if "HX-Request" in request.headers:
        return render(request, "_searches.html", {"searches": _newest()})
    return render(request, "searches.html", _form(ASKED))


@roles(ADMINISTRATOR)
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a search; a refusal keeps what was typed."""
    try:
        sent = request.FILES.get("upload")
        table = materials.read_table(sent.read(MOST)) if sent else None
        asked = _asked(request)
        started = search_form.start(asked=asked, by=request.user, table=table)
    except ValidationError as error:
        refused = _form(request.POST) | {"refusals": error.messages}
        return render(request, "searches.html", refused, status=REFUSED)
    messages.success(request, f"Search {started.pk} waits for its workers.")
    return redirect("search", started.pk)


@roles(ADMINISTRATOR)
@require_POST
def estimate(request: HttpRequest) -> HttpResponse:
    """What the search in the form may cost; nothing is started."""
    try:
        asked = _asked(request)
        about = {"estimate": search_form.estimate(asked), "asked": asked}
    except ValidationError as error:
        about = {"refusals": error.messages}
    status = REFUSED if "refusals" in about else 200
    return render(request, "_estimate.html", about, status=status)


@roles(ADMINISTRATOR)
@require_safe
def search(request: HttpRequest, pk: int) -> HttpResponse:
    """One search, or for htmx the part of it that changes all the time."""
    job = _search(pk)
    about = _progress(job)
    if not job.is_open:  # looked at once, not every two seconds
        about |= {"bytes": leavings.size(job), "kept": leavings.obstacle(job)}
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
        raise ValidationError(sent.sentences())
    return sent.validated_data


def _form(asked: Mapping[str, object]) -> dict[str, object]:
    several = [name for name, known in STRATEGIES.items() if known.several]
    besides = asked.getlist("besides") if isinstance(asked, QueryDict) else []
    return {
        "searches": _newest(),
        "asked": asked,
        "besides": besides,
        "models": ModelVersion.objects.order_by("stage", "-pk"),
        "spaces": sorted(SPACES),
        "strategies": list(STRATEGIES),
        "several": several,
        "costs": OBJECTIVES[1:],
        "counts": COUNTS,
        **{kind: materials.names(kind) for kind in materials.KINDS},
    }


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
        "asked": said["planned"] + said["finals"],
        "until": searches.until(job),
        "best": best,
        "drawing": drawn,
        "left": progress.seconds_left(job, rows) if job.is_open else None,
        "log": progress.log(job),
    }


def _figures(job: Job, rows: list[progress.Row]) -> dict[str, object]:
    seen = f"{job.state}-{progress.state_of(rows)}"
    return {"job": job, "seen": seen, "charts": progress.charts(job, rows)}
