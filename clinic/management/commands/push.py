"""Send radiographs to the PACS as a scanner does, by C-STORE.

DICOM files go as they are, PNG and JPEG files wrapped as digital X-ray objects,
one study a picture. Prints what became of them as JSON; fails only if the PACS
did not answer or refused something.
"""

import json
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydicom import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import MediaStorageDirectoryStorage

from clinic.pacs import PacsUnavailable
from clinic.pacs.storage_scu import NothingToSend, Peer, Refused, Sender, sending
from inference import phantom
from inference.dicom import UnreadableFrame
from inference.dx import wrap
from inference.spelling import line

PICTURES = (b"\x89PNG", b"\xff\xd8\xff")
NEEDED = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
EVERY = 2.0  # seconds between lines of progress


@dataclass(frozen=True)
class Item:
    """A file or a phantom study, opened only when its turn comes."""

    name: str
    load: Callable[[], list[Path | Dataset]]
    is_file: bool


@dataclass
class Summary:
    """sent: objects that the PACS has; wrapped: how many of them were pictures."""

    sent: int = 0
    wrapped: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
        parser.add_argument("--host", default=settings.DICOM_HOST)
        parser.add_argument("--port", type=int, default=settings.DICOM_PORT)
        parser.add_argument("--aet", default=settings.DICOM_AET, help="of the PACS")
        parser.add_argument(
            "--calling-aet", default=Peer.calling_aet, help="who we say we are"
        )
        parser.add_argument("--phantoms", type=int, default=0, metavar="N")
        parser.add_argument("--seed", type=int, default=0, help="of the first phantom")

    def handle(self, **options: object) -> None:
        _quiet()
        items = _files(options["paths"]) + [
            Item(f"phantom {seed}", partial(phantom.study, seed), is_file=False)
            for seed in range(options["seed"], options["seed"] + options["phantoms"])
        ]
        if not items:
            raise CommandError("Nothing to send: name files, folders or --phantoms N.")
        peer = Peer(*(options[key] for key in ("host", "port", "aet", "calling_aet")))
        self.summary, self.turned_down = Summary(), 0
        try:
            with sending(peer) as sender:
                self._send_all(sender, items)
        except PacsUnavailable as error:
            raise CommandError(str(error)) from error
        finally:
            self.stdout.write(json.dumps(asdict(self.summary)))
        if self.turned_down:
            raise CommandError(f"The PACS refused {self.turned_down} objects.")

    def _send_all(self, sender: Sender, items: list[Item]) -> None:
        shown = time.monotonic()
        for done, item in enumerate(items, 1):
            self._send(sender, item)
            if done == len(items) or time.monotonic() - shown > EVERY:
                shown = time.monotonic()
                self.stderr.write(
                    f"  {done} of {len(items)}: {self.summary.sent} objects sent"
                )

    def _send(self, sender: Sender, item: Item) -> None:
        try:
            for thing in item.load():
                sender.send(thing)
                self.summary.sent += 1
                self.summary.wrapped += item.is_file and isinstance(thing, Dataset)
        except Refused as error:
            self.turned_down += 1
            self._name(item, error)
        except (NothingToSend, UnreadableFrame, OSError) as error:
            self._name(item, error)

    def _name(self, item: Item, reason: Exception) -> None:
        self.summary.refused.append({"path": item.name, "reason": str(reason)})
        self.stderr.write(f"  {line(item.name, 200)}: {reason}")


def _quiet() -> None:
    """What matters of what the libraries say is said again, in sentences."""
    warnings.simplefilter("ignore")
    for library in ("pydicom", "pynetdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


def _files(paths: Iterable[Path]) -> list[Item]:
    found = []
    for path in paths:
        if not path.exists():
            raise CommandError(f"There is no {path}.")
        found += _below(path)
    return [Item(str(path), partial(_load, path), is_file=True) for path in found]


def _below(path: Path) -> Iterator[Path]:
    if path.is_file():
        return iter([path])
    return (one for one in sorted(path.rglob("*")) if one.is_file())


def _load(path: Path) -> list[Path | Dataset]:
    with path.open("rb") as file:
        head = file.read(132)
    if head.startswith(PICTURES):
        return [wrap(path)]
    if head[128:] != b"DICM":
        raise NothingToSend("neither a DICOM file (PS3.10) nor a PNG or JPEG picture")
    _refuse_incomplete(path)
    return [path]


def _refuse_incomplete(path: Path) -> None:
    try:
        meta = read_file_meta_info(path)
        missing = [keyword for keyword in NEEDED if not meta.get(keyword)]
    except Exception as error:
        # Damaged files make pydicom raise anything.
        raise NothingToSend("its file meta information is damaged") from error
    if missing:
        raise NothingToSend(f"its file meta information lacks {', '.join(missing)}")
    if meta.MediaStorageSOPClassUID == MediaStorageDirectoryStorage:
        raise NothingToSend("a DICOMDIR lists other files and holds no object itself")
