"""The PACS behind one small port: what the clinic asks of it, and who answers.

Identifiers are Orthanc's: SHA-1 of "PatientID|StudyUID|SeriesUID|SOPUID" cut to
the level, in five groups of eight hex digits. Change names are Orthanc's too.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from django.conf import settings

# Sequences that are told by the meaning of their first code (PS3.3 8.8).
CODES = ("ViewCodeSequence",)


class PacsUnavailable(Exception):
    """The PACS did not answer, or not sensibly: try again later."""


class GoneFromPacs(Exception):
    """The PACS answers that it has no such resource (any more)."""


@dataclass(frozen=True)
class Change:
    """One line of the changes feed. kind: "NewInstance", "StableStudy", …"""

    sequence: int
    kind: str
    level: str  # "Patient" | "Study" | "Series" | "Instance"
    id: str


@dataclass(frozen=True)
class Changes:
    """done: nothing newer exists. last: the cursor to ask with next time.

    A `last` below the cursor that was asked with means another database: the
    PACS was restored or reset.
    """

    changes: tuple[Change, ...]
    last: int
    done: bool


@dataclass(frozen=True)
class RemoteInstance:
    """One stored DICOM object, without its pixels.

    digest: changes exactly when the stored file changes. tags: keyword -> text
    (UTF-8 whatever the file's charset), of patient, study, series and instance
    together; no sequences but those of CODES.
    """

    id: str
    series_id: str
    study_id: str
    digest: str
    tags: dict[str, str]


class Pacs(Protocol):
    """Every call answers within the time-out or raises PacsUnavailable."""

    def changes(self, since: int, limit: int = 1000) -> Changes: ...

    def study(self, id: str) -> list[str]:
        """Instance ids of the study, sorted. Raises GoneFromPacs."""

    def instances(self, study_id: str) -> Iterator[RemoteInstance]: ...

    def instance(self, id: str) -> RemoteInstance: ...

    def open(self, instance_id: str) -> AbstractContextManager[BinaryIO]:
        """The stored DICOM file as a stream; `.size` is its length in bytes."""

    def store(self, file: bytes) -> str:
        """Keep one DICOM file and give its instance id. ValueError: not DICOM."""

    def health(self) -> str:
        """One line: who answers, in which version. Raises PacsUnavailable."""


def open_pacs() -> Pacs:
    """The PACS that the settings name."""
    if settings.PACS == "orthanc":
        from clinic.pacs.orthanc import OrthancPacs

        return OrthancPacs.from_settings()
    from clinic.pacs.embedded import EmbeddedPacs

    door = settings.DICOM_HOST, settings.DICOM_PORT
    return EmbeddedPacs(settings.EMBEDDED_ROOT, door)
