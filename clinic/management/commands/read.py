"""Read radiographs from files, without PACS or database.

Prints one JSON line a file, for DICOM, PNG and JPEG files and for whatever else
lies in the folders named: what cannot be read says why. Every file is a study of
its own.
"""

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic import shelf
from inference.anatomy import SCOPES
from inference.artifact import DamagedArtifact

if TYPE_CHECKING:
    from clinic.reading import Reading

EVERY = 2.0  # seconds between lines of progress


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument(
            "--model",
            default=settings.FIRST_MODEL,
            metavar="DIGEST",
            help="beginning of a digest, or the name of a shipped model",
        )
        parser.add_argument(
            "--scope", choices=sorted(SCOPES), default=settings.ANATOMY_SCOPE
        )

    def handle(self, **options: object) -> None:
        from clinic import reading  # torch sits behind it

        _quiet()
        try:
            model = shelf.find_model(options["model"])
            for path in self._told(files(options["paths"])):
                found = reading.read_file(
                    path=path, model=model, scope=options["scope"]
                )
                self._print(path, found)
        except (ValueError, DamagedArtifact) as error:
            raise CommandError(str(error)) from error
        except BrokenPipeError:
            # Nobody listens any more; nor must Python complain when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None  # as a shell says: ended by SIGPIPE

    def _print(self, path: Path, found: "Reading") -> None:
        line = {
            "path": str(path),
            "state": found.state,
            "code": found.code,
            "reason": found.reason,
            "probability": found.probability,
            "threshold": found.threshold,
            "flagged": found.flagged,
            "confident_from": found.confident_from,
            "confident": found.confident,
            "views": [vars(view) for image in found.images for view in image.views],
            "milliseconds": found.milliseconds,
        }
        self.stdout.write(json.dumps(line))
        self.stdout.flush()

    def _told(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Pass `paths` on, telling a person at a terminal how far we are."""
        shown, count = time.monotonic(), 0
        for count, path in enumerate(paths, 1):
            yield path
            if self.stderr.isatty() and time.monotonic() - shown > EVERY:
                shown = time.monotonic()
                self.stderr.write(f"  {count} files read")


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file below `paths`, sorted; also what is no file and cannot be listed.

    A folder is entered once, however many links lead there.
    """
    entered: set[tuple[int, int]] = set()
    waiting = list(paths)[::-1]
    while waiting:
        path = waiting.pop()
        inside = _inside(path, entered)
        if inside is None:
            yield path
        else:
            waiting += inside[::-1]


def _inside(path: Path, entered: set[tuple[int, int]]) -> list[Path] | None:
    """What is in a folder, nothing the second time; None for all that is none."""
    try:
        if not path.is_dir():
            return None
        found = path.stat()
        if (found.st_dev, found.st_ino) in entered:
            return []
        entered.add((found.st_dev, found.st_ino))
        return sorted(path.iterdir())
    except OSError:
        return None


def _quiet() -> None:
    """What matters of what the libraries say is said again, as reasons."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
