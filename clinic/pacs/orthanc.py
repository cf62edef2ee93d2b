"""Orthanc as the PACS, through its REST API.

Works with 1.10 (Debian's) and later, by what both have: no long poll, labels or
requested tags. What the client library leaves open is closed here: it has no
time-outs, tries again three times by itself, and gives None for some failures.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

import requests
from django.conf import settings
from orthanc_api_client import OrthancApiClient, exceptions
from pydicom.datadict import keyword_for_tag
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from clinic.pacs import (
    CODES,
    Change,
    Changes,
    GoneFromPacs,
    PacsUnavailable,
    RemoteInstance,
)

CODE_MEANING = "0008,0104"
RESOURCES = ("/studies/", "/instances/")


class OrthancPacs:
    """Follows clinic.pacs.Pacs. timeout: seconds without a byte, for every call."""

    def __init__(self, url: str, user: str, password: str, timeout: float) -> None:
        self.url = url
        self._client = _Client(url, user, password, timeout)

    @classmethod
    def from_settings(cls) -> "OrthancPacs":
        return cls(
            settings.ORTHANC_URL,
            settings.ORTHANC_USER,
            settings.ORTHANC_PASSWORD,
            settings.PACS_TIMEOUT,
        )

    def changes(self, since: int, limit: int = 1000) -> Changes:
        with self._translated():
            answer = self._get(f"changes?since={since}&limit={limit}").json()
            found = tuple(
                Change(one["Seq"], one["ChangeType"], one["ResourceType"], one["ID"])
                for one in answer["Changes"]
            )
            return Changes(found, answer["Last"], answer["Done"])

    def study(self, id: str) -> list[str]:
        return sorted(self._series_of(id))

    def instances(self, study_id: str) -> Iterator[RemoteInstance]:
        """Two small requests an instance: the tags of a large study in one answer
        would outlast any time-out."""
        for id, series_id in sorted(self._series_of(study_id).items()):
            try:
                instance = self._instance(id, series_id, study_id)
            except GoneFromPacs:
                continue  # deleted meanwhile, so no longer of the study
            yield instance

    def instance(self, id: str) -> RemoteInstance:
        with self._translated():
            series = self._get(f"instances/{id}/series").json()
            return self._instance(id, series["ID"], series["ParentStudy"])

    @contextmanager
    def open(self, instance_id: str) -> Iterator[BinaryIO]:
        with self._translated():
            answer = self._get(f"instances/{instance_id}/file", stream=True)
            file = _Body(answer, self._translated)
        with answer, file:
            yield file

    def store(self, file: bytes) -> str:
        if file[128:132] != b"DICM":  # Orthanc would unpack an archive
            raise ValueError("this is not a DICOM file (PS3.10 7.1)")
        try:
            with self._translated():
                return _given(self._client.post("instances", data=file)).json()["ID"]
        except PacsUnavailable as error:
            if self._refuses(error.__cause__):
                raise ValueError("Orthanc takes it for no DICOM file") from error
            raise

    def health(self) -> str:
        with self._translated():
            system = self._get("system").json()
            return f"Orthanc {system['Version']} ({system['DicomAet']})"

    def _get(self, endpoint: str, **options: object) -> requests.Response:
        return _given(self._client.get(endpoint, **options))

    def _series_of(self, study_id: str) -> dict[str, str]:
        """Instance id -> series id."""
        with self._translated():
            found = self._get(f"studies/{study_id}/instances").json()
            return {one["ID"]: one["ParentSeries"] for one in found}

    def _instance(self, id: str, series_id: str, study_id: str) -> RemoteInstance:
        with self._translated():
            digest = self._get(f"instances/{id}/attachments/dicom/md5").text
            tags = self._get(f"instances/{id}/tags?short").json()
            return RemoteInstance(id, series_id, study_id, digest, _texts(tags))

    def _refuses(self, cause: BaseException | None) -> bool:
        """Is a failed store the file's fault, and not the server's?"""
        if isinstance(cause, exceptions.ResourceNotFound):
            # Orthanc 1.10 says 404 to an object without any UID; so does whoever
            # is no Orthanc at all, who has no health.
            return bool(self.health())
        if not isinstance(cause, exceptions.HttpError) or cause.http_status_code != 400:
            return False
        with self._translated():
            return "OrthancStatus" in cause.request_response.json()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Whatever the client or the transport raises, in the words of the port."""
        try:
            yield
        except exceptions.NotAuthorized as error:
            raise PacsUnavailable(
                f"Orthanc at {self.url}: the credentials were refused."
            ) from error
        except exceptions.ResourceNotFound as error:
            if any(level in error.url for level in RESOURCES):
                raise GoneFromPacs(f"Orthanc has no {error.url}.") from error
            raise PacsUnavailable(f"There is no Orthanc at {self.url}.") from error
        except (exceptions.OrthancApiException, HTTPError, OSError) as error:
            # OSError: requests' own exceptions are of this kind, too.
            raise PacsUnavailable(
                f"Orthanc at {self.url} gives no answer: "
                f"{getattr(error, 'msg', None) or error}"
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise PacsUnavailable(
                f"What answers at {self.url} does not speak like Orthanc: {error}"
            ) from error


class _Client(OrthancApiClient):
    def __init__(self, url: str, user: str, password: str, timeout: float) -> None:
        # Without the last slash the client would drop the last part of the path.
        root = url.rstrip("/") + "/"
        plain = {"Accept-Encoding": "identity"}  # deflating pixels costs six times
        super().__init__(root, user, password, headers=plain)
        for scheme in ("http://", "https://"):
            self._http_session.mount(scheme, _Punctual(timeout))


class _Punctual(HTTPAdapter):
    """One time-out for every request, and no silent repetition of what timed out."""

    def __init__(self, timeout: float) -> None:
        super().__init__(max_retries=0)
        self.timeout = timeout

    def send(
        self, request: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        options["timeout"] = self.timeout
        try:
            return super().send(request, **options)
        except requests.Timeout:
            raise
        except requests.ConnectionError:
            # An idle connection that the server closed just now: worth a second
            # try where that cannot do a thing twice.
            if request.method != "GET":
                raise
            return super().send(request, **options)


class _Body(io.RawIOBase):
    """The body of an answer as it comes in; `.size` in bytes."""

    def __init__(
        self,
        answer: requests.Response,
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        super().__init__()
        self.size = int(answer.headers["Content-Length"])
        self._raw, self._translated = answer.raw, translated

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if self.closed:
            raise ValueError("read of a closed stream")
        with self._translated():
            return self._raw.read(None if size is None or size < 0 else size)


def _given(answer: requests.Response | None) -> requests.Response:
    """The client gives None where a transport error is none it knows."""
    if answer is None:
        raise ConnectionError("the connection broke")
    return answer


def _texts(tags: dict[str, object]) -> dict[str, str]:
    """Of "0008,0060" -> value: keyword -> text, without sequences and pixels."""
    named = {
        keyword_for_tag(int(tag.replace(",", ""), 16)): value
        for tag, value in tags.items()
    }
    named |= {code: _meaning(named[code]) for code in CODES if code in named}
    return {k: value for k, value in named.items() if k and isinstance(value, str)}


def _meaning(items: object) -> object:
    """What the first code of a sequence says it means; None where it does not."""
    first = items[0] if isinstance(items, list) and items else {}
    return first.get(CODE_MEANING)
