"""What scripts fetch: a study as JSON, DICOM files, overlays; models as JSON, and who
of them serves."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import BinaryIO

from django.core.exceptions import ValidationError
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.views.decorators.http import condition, require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from clinic import measuring, registry, review
from clinic.api_schema import (
    Decision,
    Measurement,
    ModelAnswer,
    ModelList,
    Return,
    StudyAnswer,
)
from clinic.deflated import CHUNK, viewable
from clinic.models import Instance, ModelVersion, Overlay, Study
from clinic.pacs import GoneFromPacs, PacsUnavailable, open_pacs
from clinic.permissions import ADMINISTRATOR, RADIOLOGIST, for_scripts, roles
from clinic.serializers import (
    ModelVersionSerializer,
    RefusalSerializer,
    StudySerializer,
)
from inference.unreadable import UnreadableFrame

REFUSED = 422
DECIDED = {200: ModelVersionSerializer, REFUSED: RefusalSerializer}


def _shape(request: HttpRequest, pk: int) -> bytes:
    """The study as JSON; rendered once a request."""
    if not hasattr(request, "shape"):
        study = get_object_or_404(Study, pk=pk)
        request.shape = JSONRenderer().render(StudySerializer(study).data)
    return request.shape


def _etag(request: HttpRequest, pk: int) -> str:
    return f'"{hashlib.sha256(_shape(request, pk)).hexdigest()[:16]}"'


@roles(RADIOLOGIST, ADMINISTRATOR)
@for_scripts
@condition(etag_func=_etag)
@extend_schema(responses=StudyAnswer)
@api_view(["GET"])
def study(request: HttpRequest, pk: int) -> HttpResponse:
    """What the study page shows; 304 while nothing of it has changed."""
    return HttpResponse(_shape(request, pk), content_type="application/json")


class _Stream:
    """The chunks of an open file; closing it hands the PACS its connection back."""

    def __init__(self, file: BinaryIO, closing: ExitStack) -> None:
        self.file, self.close = file, closing.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(CHUNK), b"")


@roles(RADIOLOGIST, ADMINISTRATOR)
@for_scripts
@require_safe
def dicom(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The stored DICOM file, byte for byte, as the PACS has it; or inflated."""
    instance = get_object_or_404(Instance, pk=pk)
    try:
        with ExitStack() as closing:
            stored = closing.enter_context(open_pacs().open(instance.pacs_id))
            file = closing.enter_context(viewable(stored))
            stream = _Stream(file, closing.pop_all())
    except GoneFromPacs:
        return _sentence("The PACS has this image no more.", 410)
    except PacsUnavailable:
        return _sentence("The PACS does not answer; the image is kept there.", 503)
    except UnreadableFrame as error:
        return _sentence(error.reason, REFUSED)
    response = StreamingHttpResponse(stream, "application/dicom")
    response["Content-Length"] = file.size
    return response


@roles(RADIOLOGIST, ADMINISTRATOR)
@for_scripts
@require_safe
def overlay(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A relevance map: an RGBA PNG that covers the whole frame."""
    kept = get_object_or_404(
        Overlay.objects.select_related("image__prediction__study"), pk=pk
    )
    # Overlays are fetched when they are shown: a page opened anew does not unsee.
    review.reveal(study=kept.image.prediction.study, to=request.user)
    try:
        return FileResponse(kept.png.open("rb"), content_type="image/png")
    except FileNotFoundError:
        return _sentence("The file of this overlay is missing.", 410)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(operation_id="models_list", responses=ModelList)
@api_view(["GET"])
def models(request: HttpRequest) -> HttpResponse:
    """Every model version, the newest first, without its card."""
    rows = ModelVersion.objects.order_by("-created")
    return JsonResponse({"models": ModelVersionSerializer(rows, many=True).data})


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(responses=ModelAnswer)
@api_view(["GET"])
def model(request: HttpRequest, pk: int) -> HttpResponse:
    """One, with its card and what keeps it from being promoted."""
    version = get_object_or_404(ModelVersion, pk=pk)
    told = {"card": version.card, "blockers": registry.blockers(version)}
    return JsonResponse(ModelVersionSerializer(version).data | told)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(request=Decision, responses=DECIDED)
@api_view(["POST"])
def promote(request: Request, pk: int) -> HttpResponse:
    """Put it into service, if the gate lets it through: nobody can override that."""
    return _decided(request, pk, registry.promote)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(request=Return, responses=DECIDED)
@api_view(["POST"])
def rollback(request: Request, pk: int) -> HttpResponse:
    """Put a model back into service that served before; never gated."""
    return _decided(request, pk, registry.rollback, Return)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(request=Decision, responses=DECIDED)
@api_view(["POST"])
def shadow(request: Request, pk: int) -> HttpResponse:
    """Have it read live studies, seen by no radiologist; there is one shadow."""
    return _decided(request, pk, registry.shadow)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(request=Decision, responses=DECIDED)
@api_view(["POST"])
def retire(request: Request, pk: int) -> HttpResponse:
    """Take a candidate, or the shadow, out of the running."""
    return _decided(request, pk, registry.retire)


@roles(ADMINISTRATOR)
@for_scripts
@extend_schema(request=None, responses={201: Measurement, REFUSED: RefusalSerializer})
@api_view(["POST"])
def measure(request: Request, pk: int) -> HttpResponse:
    """Have it, and the model in service, measured on the same held-out studies: how
    that went, the model tells by its blockers."""
    version = get_object_or_404(ModelVersion, pk=pk)
    try:
        job = measuring.start(version=version, by=request.user)
    except ValidationError as error:
        return JsonResponse({"detail": error.messages}, status=REFUSED)
    return JsonResponse({"job": job.pk}, status=201)


def _decided(
    request: Request,
    pk: int,
    verb: Callable[..., ModelVersion],
    asked: type[Serializer] = Decision,
) -> HttpResponse:
    version, sent = get_object_or_404(ModelVersion, pk=pk), asked(data=request.data)
    try:
        if not sent.is_valid():
            raise ValidationError(registry.WHY)
        reason = sent.validated_data["reason"] or ""
        version = verb(version=version, by=request.user, reason=reason)
    except ValidationError as error:
        return JsonResponse({"detail": error.messages}, status=REFUSED)
    return JsonResponse(ModelVersionSerializer(version).data)


def _sentence(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
