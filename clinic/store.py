"""The artifact store: what machines that share no disk hand to one another.

Every object is named by its SHA-256. It lies in a folder or in an S3-compatible
service (the alias `artifacts` of Django's storages), is fetched once a machine into
`OSTEON_DATA/cache`, and never used before it was held against its name.
"""

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from inference.artifact import file_digest
from search.once import alone

ALIAS = "artifacts"
FOLDER = ".d"  # of an archive that was unpacked
CHUNK = 1 << 20  # bytes


class StoreUnavailable(Exception):
    """The store does not answer: to be asked again later."""


class DamagedObject(ValueError):
    """The store has no such object, or another one under its name."""


def put(path: Path) -> str:
    """Store a file, unless it is there. -> its digest"""
    digest = file_digest(path)
    size = path.stat().st_size
    with _reached() as storage:
        name = _name(digest)
        if storage.exists(name) and storage.size(name) == size:
            return digest
        storage.delete(name)  # cut short when its writer was killed
        with path.open("rb") as file:
            saved = storage.save(name, File(file))
        if saved != name:  # another one has just stored the same
            storage.delete(saved)
    return digest


def put_folder(root: Path, names: Iterable[str]) -> str:
    """Store files of `root` as one archive; the same files make the same archive.

    -> the archive's digest
    """
    with alone(_cache() / "lock"), tempfile.TemporaryDirectory(dir=_cache()) as room:
        archive = Path(room, "archive")
        with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(set(names)):
                with (root / name).open("rb") as file:
                    entry = tarfile.TarInfo(name)  # no date, no owner
                    entry.size = file.seek(0, 2)
                    file.seek(0)
                    tar.addfile(entry, file)
        return put(archive)


def file(digest: str) -> Path:
    """The object as a file of this machine.

    Raises StoreUnavailable and DamagedObject.
    """
    kept = _cache() / digest
    with alone(_cache() / "lock"):
        if not kept.is_file() or file_digest(kept) != digest:
            _fetch(digest, kept)
    return kept


def folder(digest: str) -> Path:
    """What `put_folder` stored, unpacked on this machine. Raises what `file` does."""
    kept = _cache() / f"{digest}{FOLDER}"
    with alone(_cache() / "lock"):
        if not kept.is_dir():
            with tempfile.TemporaryDirectory(dir=_cache()) as room:
                archive, fresh = Path(room, "archive"), Path(room, "fresh")
                _fetch(digest, archive)
                _unpack(archive, fresh, digest)
                fresh.rename(kept)
    return kept


def forget(digest: str) -> None:
    """Nothing of it on this machine: fetched again when it is wanted."""
    (_cache() / digest).unlink(missing_ok=True)
    shutil.rmtree(_cache() / f"{digest}{FOLDER}", ignore_errors=True)


def prune(keep: set[str]) -> None:
    """Forget all others that this machine has fetched."""
    with alone(_cache() / "lock"):
        for path in _cache().iterdir():
            digest = path.name.removesuffix(FOLDER)
            if digest != "lock" and digest not in keep:
                path.unlink() if path.is_file() else shutil.rmtree(path, True)


def remove(digest: str) -> None:
    """For good, for everybody. Raises StoreUnavailable."""
    with _reached() as storage:
        storage.delete(_name(digest))
    forget(digest)


def size(digest: str) -> int:
    """Bytes in the store; 0 if it is not there. Raises StoreUnavailable."""
    with _reached() as storage:
        name = _name(digest)
        return storage.size(name) if storage.exists(name) else 0


def _fetch(digest: str, to: Path) -> None:
    """Whole and verified, or not at all."""
    found, count = hashlib.sha256(), 0
    partial = to.with_name(f"{to.name}.part")
    with partial.open("wb") as file:
        for chunk in _chunks(digest):
            file.write(chunk)
            found.update(chunk)
            count += len(chunk)
    if found.hexdigest() == digest:
        partial.replace(to)
        return
    partial.unlink()
    if count != size(digest):
        raise StoreUnavailable("The artifact store broke off in the middle of a file.")
    raise DamagedObject(
        f"{digest[:12]} in the artifact store, {count} bytes, is not what was put "
        "there: it was cut short or changed. Remove it there, and resume the search "
        "or start a new one."
    )


def _chunks(digest: str) -> Iterator[bytes]:
    with _reached() as storage:
        try:
            with storage.open(_name(digest)) as file:
                yield from iter(lambda: file.read(CHUNK), b"")
        except FileNotFoundError as error:
            _refuse_no_folder(storage)
            raise DamagedObject(
                f"The artifact store of this machine has no {digest[:12]}: every "
                "machine of a search needs the same OSTEON_STORE."
            ) from error


def _unpack(archive: Path, to: Path, digest: str) -> None:
    """Ordinary files below `to`, or DamagedObject: who put it might be anybody."""
    try:
        with tarfile.open(archive, "r:") as tar:
            if strange := [entry.name for entry in tar if not entry.isreg()]:
                raise DamagedObject(f"{digest[:12]} holds {strange[0]}, no plain file.")
            tar.extractall(to, filter="data")
    except tarfile.TarError as error:
        raise DamagedObject(f"{digest[:12]} cannot be unpacked: {error}") from error


@contextmanager
def _reached() -> Iterator[Storage]:
    try:
        yield storages[ALIAS]
    except (OSError, BotoCoreError, ClientError) as error:
        raise StoreUnavailable(
            f"The artifact store does not answer: {error}"
        ) from error


def _refuse_no_folder(storage: Storage) -> None:
    """A disk that is not mounted is away; an object of one that is, is missing."""
    if isinstance(storage, FileSystemStorage) and not Path(storage.location).is_dir():
        raise OSError(f"there is no {storage.location}")


def _cache() -> Path:
    return Path(settings.DATA_ROOT, "cache")


def _name(digest: str) -> str:
    return f"{digest[:2]}/{digest}"
