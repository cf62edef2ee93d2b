"""The PACS for a machine without Orthanc: files in a folder, and an index.

A file is named by its instance and its content and never altered, so a reader
who has it open keeps what it opened, and what was overwritten stays aside.
"""

import hashlib
import io
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pynetdicom
from django.conf import settings

from clinic.pacs import Changes, GoneFromPacs, PacsUnavailable, RemoteInstance
from clinic.pacs.header import read_header
from clinic.pacs.index import Index

KNOCK = 2.0  # seconds until a door that does not open counts as shut


class EmbeddedPacs:
    """Follows clinic.pacs.Pacs. Tells of new resources, never of stable ones.

    An object sent again unchanged is no change. door: where the process that takes
    in what scanners send is to listen; without one nobody is asked to.
    """

    def __init__(self, root: Path, door: tuple[str, int] | None = None) -> None:
        self.root, self.door = root, door
        self.index = Index(root / "index.sqlite3", settings.PACS_TIMEOUT)

    def changes(self, since: int, limit: int = 1000) -> Changes:
        return self.index.changes(since, limit)

    def study(self, id: str) -> list[str]:
        return [instance.id for instance in self.index.of_study(id)]

    def instances(self, study_id: str) -> Iterator[RemoteInstance]:
        yield from self.index.of_study(study_id)

    def instance(self, id: str) -> RemoteInstance:
        return self.index.instance(id)

    @contextmanager
    def open(self, instance_id: str) -> Iterator[BinaryIO]:
        path = self._path(instance_id, self.index.instance(instance_id).digest)
        try:
            file = _File(path)
        except FileNotFoundError as error:
            raise GoneFromPacs(f"The file of {instance_id} is missing.") from error
        except OSError as error:
            raise PacsUnavailable(_words("read", error)) from error
        with file:
            yield file

    def store(self, file: bytes) -> str:
        """Returns once the file and its row are safe on disk."""
        header = read_header(file)
        digest = hashlib.sha256(file).hexdigest()
        try:
            _write(self._path(header.id, digest), file)
        except OSError as error:
            raise PacsUnavailable(_words("written", error)) from error
        self.index.add(header, digest)
        return header.id

    def health(self) -> str:
        if self.door:
            _knock(*self.door)
        count = self.index.count()
        free = shutil.disk_usage(self.root).free / 1e9
        return (
            f"Embedded PACS, pynetdicom {pynetdicom.__version__}: "
            f"{count} objects, {free:.0f} GB free"
        )

    def _path(self, id: str, digest: str) -> Path:
        return self.root / "files" / id[:2] / f"{id}.{digest[:16]}.dcm"


def _knock(host: str, port: int) -> None:
    """The files are here whoever listens, so that only this tells of a dead door."""
    try:
        socket.create_connection((host, port), KNOCK).close()
    except OSError as error:
        raise PacsUnavailable(
            f"The embedded PACS does not listen on {host}:{port}: scanners cannot "
            "send. What it holds is read all the same. Remedy: start manage.py pacs."
        ) from error


class _File(io.BufferedReader):
    """A file that knows its length in bytes."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = os.fstat(self.fileno()).st_size


def _write(path: Path, file: bytes) -> None:
    """All of `file` or nothing, also if the machine dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(file)
            target.flush()
            os.fsync(target.fileno())
        os.replace(name, path)
        _sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            os.unlink(name)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _words(what: str, error: OSError) -> str:
    return f"The files of the embedded PACS cannot be {what}: {error.strerror}."
