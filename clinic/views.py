"""Pages. A view checks the shape of a request, calls one function, answers."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from clinic import audit, intake, ledger, review
from clinic.models import ModelVersion, PacsCursor, Prediction, Study
from clinic.pacs import PacsUnavailable, open_pacs
from clinic.permissions import ADMINISTRATOR, ANYONE, RADIOLOGIST, roles
from clinic.serializers import StudySerializer, VerdictSerializer
from clinic.worklist import SHOWN, Query, next_open, page

UNCHANGED = 204  # htmx leaves the page as it is
REFUSED = 422
SKIPPED = 200  # studies that a session remembers as left for later


@roles(ANYONE)
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Does the web process answer, with its database?"""
    Study.objects.exists()
    return HttpResponse("ok", content_type="text/plain")


# --- Worklist ------------------------------------------------------------------


@roles(RADIOLOGIST, ADMINISTRATOR)
@require_safe
def worklist(request: HttpRequest) -> HttpResponse:
    """The list, or for htmx its changing part: nothing when `seen` is still so."""
    shown = page(Query.of(request.GET))
    if request.GET.get("seen") == shown.token:
        return HttpResponse(status=UNCHANGED)
    part = "HX-Request" in request.headers
    context = {"page": shown, "query": shown.query, "shown": SHOWN}
    context["states"] = Study.State.choices
    return render(request, "_list.html" if part else "worklist.html", context)


@roles(ADMINISTRATOR)
@require_safe
def ledger_line(request: HttpRequest) -> HttpResponse:
    return render(request, "_ledger.html", {"ledger": ledger.balance()})


# --- One study -----------------------------------------------------------------


@roles(RADIOLOGIST, ADMINISTRATOR)
@require_safe
def study(request: HttpRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(Study, pk=pk)
    audit.record("study.opened", shown, actor=request.user, revision=shown.revision)
    return render(request, "study.html", _about(shown, request))


@roles(RADIOLOGIST, ADMINISTRATOR)
@require_safe
def reading(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the study page that says what the model and people said."""
    shown = get_object_or_404(Study, pk=pk)
    return render(request, "_reading.html", _about(shown, request))


@roles(RADIOLOGIST)
@require_safe
def verdict_form(request: HttpRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(Study, pk=pk)
    return render(request, "_verdict.html", _about(shown, request))


@roles(RADIOLOGIST)
@require_POST
def verdict(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a verdict and open the next study; a refusal keeps what was typed."""
    judged = get_object_or_404(Study, pk=pk)
    sent = VerdictSerializer(data=request.POST)
    try:
        _submit(judged, sent, request)
    except ValidationError as error:
        typed = {"sent": request.POST, "refusals": error.messages}
        answer = _about(judged, request) | typed
        return render(request, "_verdict.html", answer, status=REFUSED)
    chosen = sent.validated_data["verdict"].replace("_", " ")
    messages.success(request, f"Verdict “{chosen}” recorded.")
    return _onward(request, pk)


def _submit(study: Study, sent: VerdictSerializer, request: HttpRequest) -> None:
    if not sent.is_valid():
        raise ValidationError(
            [str(e) for errors in sent.errors.values() for e in errors]
        )
    shape = dict(sent.validated_data)
    judged = get_object_or_404(Prediction, study=study, pk=shape.pop("prediction"))
    review.submit(prediction=judged, radiologist=request.user, **shape)


@roles(RADIOLOGIST)
@require_POST
def skip(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave a study for later, in this session, and open the next."""
    skipped = [*request.session.get("skipped", []), pk]
    request.session["skipped"] = skipped[-SKIPPED:]
    return _onward(request, pk)


def _onward(request: HttpRequest, done: int) -> HttpResponse:
    """To the next study that waits for a verdict: skipped ones come up last."""
    skipped = request.session.get("skipped", [])
    following = next_open(besides=[*skipped, done]) or next_open(besides=[done])
    if following is None:
        messages.info(request, "No other study waits for a verdict.")
        return _go(request, "worklist")
    return _go(request, "study", following.pk)


def _go(request: HttpRequest, name: str, *arguments: int) -> HttpResponse:
    """A redirect that htmx follows as a new page, not as a part of this one."""
    answer = redirect(name, *arguments)
    if "HX-Request" in request.headers:
        return HttpResponse(status=UNCHANGED, headers={"HX-Redirect": answer.url})
    return answer


def _about(study: Study, request: HttpRequest) -> dict:
    may_settle = review.may_settle(study, request.user)
    shape = StudySerializer(study).data
    return {"record": study, "study": shape, "may_settle": may_settle}


# --- The system ----------------------------------------------------------------


@roles(ADMINISTRATOR)
@require_safe
def system(request: HttpRequest) -> HttpResponse:
    stage = ModelVersion.Stage
    context = {
        "cursor": PacsCursor.objects.first(),
        "model": ModelVersion.objects.filter(stage=stage.ACTIVE).first(),
        "others": ModelVersion.objects.exclude(stage=stage.ACTIVE).order_by("-pk"),
        "failed": Study.objects.filter(state="failed").order_by("arrived")[:100],
        "ledger": ledger.balance(),
    }
    return render(request, "system.html", context)


@roles(ADMINISTRATOR)
@require_safe
def pacs_health(request: HttpRequest) -> HttpResponse:
    """Ask the PACS now: a line of its own, for it may take its time."""
    try:
        answer = {"health": open_pacs().health()}
    except PacsUnavailable as error:
        answer = {"trouble": str(error) or "The PACS does not answer."}
    return render(request, "_pacs.html", answer)


@roles(ADMINISTRATOR)
@require_POST
def requeue(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a study that was set aside read once more."""
    try:
        intake.requeue(study=get_object_or_404(Study, pk=pk), by=request.user)
        messages.success(request, "The study waits to be read again.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return _go(request, "study", pk)
