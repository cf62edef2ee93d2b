"""Searches for scripts: priced, started, told, paused, resumed, cancelled, as JSON."""

import json
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from clinic import jobs, progress, search_form, standings
from clinic import search as searches
from clinic.models import Job
from clinic.permissions import ADMINISTRATOR, for_scripts, roles
from clinic.search_serializers import (
    EstimateSerializer,
    LogSerializer,
    ReportSerializer,
    SearchDetailSerializer,
    SearchListSerializer,
    SearchRequestSerializer,
    SearchSerializer,
    TrialSerializer,
)
from clinic.serializers import RefusalSerializer

OF_SEARCH = Job.objects.filter(kind=Job.Kind.SEARCH).select_related("by")
REFUSED = 422
CHANGED = {200: SearchSerializer, REFUSED: RefusalSerializer}


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(
    methods=["GET"], operation_id="searches_list", responses=SearchListSerializer
)
@extend_schema(
    methods=["POST"],
    operation_id="searches_create",
    request=SearchRequestSerializer,
    responses={201: SearchSerializer, REFUSED: RefusalSerializer},
)
@api_view(["GET", "POST"])
def search_list(request: Request) -> Response:
    """Every search, the newest first; or start one."""
    if request.method == "POST":
        return _started(request)
    rows = OF_SEARCH.defer("log", "verdicts", "asked").order_by("-pk")
    return Response({"searches": SearchSerializer(rows, many=True).data})


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(
    request=SearchRequestSerializer,
    responses={200: EstimateSerializer, REFUSED: RefusalSerializer},
)
@api_view(["POST"])
def estimate(request: Request) -> Response:
    """What such a search may cost, or why it would be refused; nothing is started."""
    try:
        cost = search_form.estimate(_asked(request))
    except ValidationError as error:
        return Response({"detail": error.messages}, status=REFUSED)
    return Response(EstimateSerializer(cost).data)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(responses=SearchDetailSerializer)
@api_view(["GET"])
def search(request: Request, pk: int) -> Response:
    """One search with its trials."""
    job = get_object_or_404(OF_SEARCH, pk=pk)
    rows = progress.rows(job)
    trials = TrialSerializer([row.trial for row in rows], many=True).data
    left = progress.seconds_left(job, rows) if job.is_open else None
    told = SearchSerializer(job).data
    return Response(told | {"seconds_left": left, "trials": trials})


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(responses=LogSerializer)
@api_view(["GET"])
def log(request: Request, pk: int) -> Response:
    """What befell it and its trials, and what its worker said: the last lines."""
    job = get_object_or_404(OF_SEARCH, pk=pk)
    return Response({"lines": progress.log(job).splitlines()})


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(responses={200: ReportSerializer, REFUSED: RefusalSerializer})
@api_view(["GET"])
def report(request: Request, pk: int) -> Response:
    """What came of it: its best candidate, and its model against the one in service."""
    job = get_object_or_404(OF_SEARCH, pk=pk)
    best = searches.best(job.trials.order_by("number"))
    if best is None:
        detail = f"Search {pk} has judged no candidate yet."
        return Response({"detail": [detail]}, status=REFUSED)
    config = standings.net_config(job, best)
    told = {
        "best": best,
        "config": json.loads(config) if config else None,
        "words": standings.report(job) if job.candidate else "",
    }
    return Response(ReportSerializer(told).data)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(request=None, responses=CHANGED)
@api_view(["POST"])
def pause(request: Request, pk: int) -> Response:
    """Begin no further trial; those that run come to their end."""
    return _told(request, pk, searches.pause)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(request=None, responses=CHANGED)
@api_view(["POST"])
def resume(request: Request, pk: int) -> Response:
    """Have a paused, cancelled or failed search go on where it was."""
    return _told(request, pk, jobs.resume)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(request=None, responses=CHANGED)
@api_view(["POST"])
def cancel(request: Request, pk: int) -> Response:
    """End it; trials that run stop at their next beat."""
    return _told(request, pk, jobs.cancel)


def _started(request: Request) -> Response:
    try:
        job = search_form.start(asked=_asked(request), by=request.user)
    except ValidationError as error:
        return Response({"detail": error.messages}, status=REFUSED)
    return Response(SearchSerializer(job).data, status=201)


def _asked(request: Request) -> dict[str, object]:
    sent = SearchRequestSerializer(data=request.data)
    if not sent.is_valid():
        raise ValidationError(sent.sentences())
    return sent.validated_data


def _told(request: Request, pk: int, verb: Callable[..., Job]) -> Response:
    try:
        job = verb(job=get_object_or_404(OF_SEARCH, pk=pk), by=request.user)
    except ValidationError as error:
        return Response({"detail": error.messages}, status=REFUSED)
    return Response(SearchSerializer(job).data)
