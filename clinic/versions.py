"""Pages about models, for administrators: what there is, and who is to serve."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from clinic import cards, curves, measuring, registry, shadows
from clinic.charts import Chart
from clinic.models import AuditEvent, Job, ModelVersion
from clinic.permissions import ADMINISTRATOR, roles

REFUSED = 422
Stage = ModelVersion.Stage


@roles(ADMINISTRATOR)
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Every version: who serves first, then the newest."""
    order = [Stage.ACTIVE, Stage.SHADOW, Stage.CANDIDATE, Stage.RETIRED]
    found = sorted(
        ModelVersion.objects.order_by("-created"), key=lambda v: order.index(v.stage)
    )
    rows = [(version, cards.auroc(version.card)) for version in found]
    return render(request, "models.html", {"rows": rows})


@roles(ADMINISTRATOR)
@require_safe
def model(request: HttpRequest, pk: int) -> HttpResponse:
    """The card of one, what may be decided of it, and what it did in the shadow."""
    version = get_object_or_404(ModelVersion, pk=pk)
    return render(request, "model.html", _about(version))


@roles(ADMINISTRATOR)
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Two side by side, the first judged as if the second were in service."""
    first, second = (
        get_object_or_404(ModelVersion, pk=_number(request.GET.get(name)))
        for name in ("one", "other")
    )
    sides = [cards.facts(version) for version in (first, second)]
    told = {
        heading: [
            (name, value, beside)
            for (name, value), (_, beside) in zip(
                sides[0][heading], sides[1][heading], strict=True
            )
        ]
        for heading in sides[0]
    }
    context = {"first": first, "second": second, "told": told}
    context["judgement"] = registry.judgement(first, second)
    context["measured"] = measuring.together(first, second)
    context["curves"] = curves.of(first, second)
    return render(request, "compare.html", context)


@roles(ADMINISTRATOR)
@require_POST
def promote(request: HttpRequest, pk: int) -> HttpResponse:
    return _decided(request, pk, registry.promote, "is in service")


@roles(ADMINISTRATOR)
@require_POST
def shadow(request: HttpRequest, pk: int) -> HttpResponse:
    return _decided(request, pk, registry.shadow, "reads in the shadow")


@roles(ADMINISTRATOR)
@require_POST
def retire(request: HttpRequest, pk: int) -> HttpResponse:
    return _decided(request, pk, registry.retire, "is retired")


@roles(ADMINISTRATOR)
@require_POST
def rollback(request: HttpRequest, pk: int) -> HttpResponse:
    """One click."""
    return _decided(request, pk, registry.rollback, "is back in service")


@roles(ADMINISTRATOR)
@require_POST
def measure(request: HttpRequest, pk: int) -> HttpResponse:
    """Have it, and the model in service, measured on the same held-out studies."""
    version = get_object_or_404(ModelVersion, pk=pk)
    try:
        job = measuring.start(version=version, by=request.user)
    except ValidationError as error:
        return _refused(request, version, error)
    messages.success(request, f"Measurement {job.pk} waits for a worker.")
    return redirect("job", job.pk)


def _decided(request: HttpRequest, pk: int, verb: Callable, words: str) -> HttpResponse:
    """Back to the model's page; a refusal keeps what was typed."""
    version = get_object_or_404(ModelVersion, pk=pk)
    reason = request.POST.get("reason", "")
    try:
        verb(version=version, by=request.user, reason=reason)
    except ValidationError as error:
        return _refused(request, version, error, reason)
    messages.success(request, f"{version.name} {version.brief} {words}.")
    return redirect("model", pk)


def _refused(
    request: HttpRequest,
    version: ModelVersion,
    error: ValidationError,
    reason: str = "",
) -> HttpResponse:
    context = _about(version) | {"reason": reason, "refusals": error.messages}
    return render(request, "model.html", context, status=REFUSED)


def _about(version: ModelVersion) -> dict[str, object]:
    events = AuditEvent.objects.filter(target=f"modelversion/{version.pk}")
    others = ModelVersion.objects.exclude(pk=version.pk).order_by("-created")
    serving = registry.active()
    return {
        "version": version,
        "serving": serving,
        "measuring": Job.objects.measuring(version).first(),
        "measured": measuring.together(version, serving) if serving else None,
        "others": others,
        "blockers": registry.blockers(version),
        "facts": cards.facts(version),
        "tables": [
            cards.data(version.card),
            cards.people(version.card),
            cards.subgroups(version),
        ],
        "curves": curves.of(version),
        "events": events.select_related("actor").order_by("-pk"),
    } | _in_the_shadow(version)


def _in_the_shadow(version: ModelVersion) -> dict[str, object]:
    if version.stage != Stage.SHADOW and not version.shadows.exists():
        return {}
    found = shadows.comparison(version)
    middles = [(low + high) / 2 for low, high, _, _ in found.spread]
    spread = Chart(
        "spread",
        "Studies by probability",
        "probability (middle of a tenth)",
        [round(middle, 2) for middle in middles],
        {
            "in service": [serving for _, _, serving, _ in found.spread],
            "in the shadow": [beside for _, _, _, beside in found.spread],
        },
    )
    points = sorted(found.points)
    beside = Chart(
        "beside",
        "The same study by both",
        "probability in service",
        [before for before, _ in points],
        {"probability in the shadow": [after for _, after in points]},
        scatter=True,
    )
    return {"shadow": found, "spread": spread, "beside": beside}


def _number(text: str | None) -> int:
    """A primary key as a query names it; 0, which none has, for anything else."""
    known = text is not None and text.isascii() and text.isdigit() and len(text) < 19
    return int(text) if known else 0
