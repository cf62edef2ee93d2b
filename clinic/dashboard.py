"""The administrator's pages: jobs, and how the service does."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from clinic import jobs, learning, leavings, monitoring
from clinic.charts import Chart
from clinic.models import Job, ModelVersion
from clinic.monitoring import SPANS
from clinic.permissions import ADMINISTRATOR, roles
from clinic.serializers import TrainingSerializer
from search.told import figure

UNCHANGED, REFUSED = 204, 422
LISTED = 100  # jobs, the newest
SHOWN = Job.objects.exclude(kind=Job.Kind.SEARCH)  # those have pages of their own
LINES = {
    "loss": "loss",
    "auroc": "AUROC on validation, by image",
    "study_auroc": "AUROC on validation, by study",
}
ASKED = {"epochs": 10, "rate": "0.0001", "seed": 0}  # what the form begins with


@roles(ADMINISTRATOR)
@require_safe
def job_list(request: HttpRequest) -> HttpResponse:
    """The jobs, or for htmx their table; and the form that starts another."""
    if "HX-Request" in request.headers:
        return render(request, "_jobs.html", {"jobs": _newest()})
    return render(request, "jobs.html", _form(ASKED))


@roles(ADMINISTRATOR)
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a training; a refusal keeps what was typed."""
    sent = TrainingSerializer(data=request.POST)
    try:
        if not sent.is_valid():
            raise ValidationError(sent.sentences())
        started = jobs.start(by=request.user, **sent.validated_data)
    except ValidationError as error:
        refused = _form(request.POST) | {"refusals": error.messages}
        return render(request, "jobs.html", refused, status=REFUSED)
    messages.success(request, f"Job {started.pk} waits for a worker.")
    return redirect("job", started.pk)


@roles(ADMINISTRATOR)
@require_safe
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """One job, or for htmx the part of it that changes."""
    shown = get_object_or_404(SHOWN.select_related("parent", "candidate", "by"), pk=pk)
    part = "HX-Request" in request.headers
    who = leavings.people(shown).exists()
    about = {"job": shown, "chart": _curve(shown), "who": who}
    if not shown.is_open:  # looked at once, not every two seconds
        about |= {"bytes": leavings.size(shown), "kept": leavings.obstacle(shown)}
        about["served"] = ModelVersion.objects.filter(
            digest=shown.compared.get("incumbent_digest", "")
        ).first()
    return render(request, "_job_part.html" if part else "job.html", about)


@roles(ADMINISTRATOR)
@require_safe
def curve(request: HttpRequest, pk: int) -> HttpResponse:
    """The curve, once more epochs are done than the page has `seen`, or all are."""
    shown = get_object_or_404(SHOWN, pk=pk)
    if shown.is_open and request.GET.get("seen") == str(len(shown.history)):
        return HttpResponse(status=UNCHANGED)
    return render(request, "_curve.html", {"job": shown, "chart": _curve(shown)})


@roles(ADMINISTRATOR)
@require_safe
def people(request: HttpRequest, pk: int, file: str) -> HttpResponseBase:
    """Who is in the verdicts that a training or a search learnt from, as a file: the
    page brings styles of its own, which no page of the clinic may."""
    kept = leavings.people(get_object_or_404(Job, pk=pk)) / file
    try:
        opened = kept.open("rb")
    except FileNotFoundError:
        raise Http404("Nothing is kept of who is in these data.") from None
    return FileResponse(opened, as_attachment=True, filename=f"job-{pk}-{file}")


@roles(ADMINISTRATOR)
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _told(request, pk, jobs.cancel, "is cancelled; what it has done is kept")


@roles(ADMINISTRATOR)
@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    return _told(request, pk, jobs.resume, "goes on from what was kept")


@roles(ADMINISTRATOR)
@require_POST
def clear(request: HttpRequest, pk: int) -> HttpResponse:
    return _told(request, pk, leavings.clear, "has no files any more")


@roles(ADMINISTRATOR)
@require_safe
def monitor(request: HttpRequest) -> HttpResponse:
    asked = request.GET.get("days", "")
    span = int(asked) if asked in map(str, SPANS) else 30
    return render(request, "monitoring.html", monitoring.overview(span))


def _told(
    request: HttpRequest, pk: int, verb: Callable[..., Job], words: str
) -> HttpResponse:
    try:
        verb(job=get_object_or_404(SHOWN, pk=pk), by=request.user)
        messages.success(request, f"Job {pk} {words}.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("job", pk)


def _form(asked: object) -> dict[str, object]:
    models = ModelVersion.objects.order_by("stage", "-pk")
    known = {"jobs": _newest(), "models": models, "verdicts": learning.choose()}
    return known | {"asked": asked}


def _newest() -> list[Job]:
    found = Job.objects.select_related("parent", "candidate", "by")
    told = "log", "verdicts", "history", "asked", "compared"
    return list(found.defer(*told).order_by("-pk")[:LISTED])


def _curve(job: Job) -> Chart:
    """Loss and AUROC over the epochs; that of the studies chooses the epoch kept."""
    lines = {
        words: [figure(entry.get(key)) for entry in job.history]
        for key, words in LINES.items()
    }
    epochs = [entry["epoch"] for entry in job.history]
    return Chart(
        "curve", "Loss and AUROC on validation patients", "epoch", epochs, lines
    )
