"""Make a data set from an archive, tell who is in one, take a side out of it."""

import csv
import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic import findings, pseudonyms
from inference.anatomy import SCOPES
from search.build import Built, build, in_words
from search.dataset import MANIFEST, verify
from search.demographics import rows_of, summary
from search.demographics_page import write
from search.excerpt import excerpt
from search.excerpt import in_words as side_in_words


class Command(BaseCommand):
    help = "Build a data set from DICOM or pictures; tell, check or take apart one."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        folder = {"type": Path, "metavar": "DIR"}
        making = verbs.add_parser("build", help="8-bit PNG and tables, de-identified")
        making.add_argument("source", **folder)
        making.add_argument("out", **folder)
        making.add_argument("--labels", type=Path, metavar="CSV")
        making.add_argument("--scope", choices=[*SCOPES, "all"], default="upper_limb")
        making.add_argument(
            "--jobs", type=int, help="Processes; one a core if left out"
        )
        making.add_argument(
            "--burned-in", action="store_true", help="Take images with burned-in text"
        )
        making.add_argument(
            "--unnamed",
            action="store_true",
            help="Take images of unknown patients, each study as one of its own",
        )
        making.add_argument(
            "--dropped",
            type=findings.json_file,
            metavar="CSV",
            help="List the dropped files here; paths may hold names, so not in DIR",
        )
        telling = verbs.add_parser("report", help="age, sex, side, view and the like")
        telling.add_argument("source", type=Path, metavar="DIR|CSV")
        telling.add_argument("--out", **folder, required=True)
        taking = verbs.add_parser("part", help="one side of it, as evaluate reads it")
        taking.add_argument("side", choices=["training", "validation", "test"])
        taking.add_argument("source", **folder)
        taking.add_argument("--out", **folder, required=True)
        checking = verbs.add_parser("verify", help="is it what was frozen?")
        checking.add_argument("source", **folder)

    def handle(self, *, verb: str, **options: object) -> None:
        try:
            getattr(self, f"_{verb}")(**options)
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error

    def _build(
        self, *, source: Path, out: Path, dropped: Path | None, **options: object
    ) -> None:
        names = "labels", "scope", "burned_in", "unnamed", "jobs"
        chosen = {name: options[name] for name in names}
        findings.refuse_overwriting(dropped, options["labels"])
        if dropped and dropped.resolve().is_relative_to(out.resolve()):
            raise CommandError(f"{dropped} lies in the data set: name another file.")
        built = build(source, out, salt=pseudonyms.names().salt, **chosen)
        self.stdout.write(in_words(built.report) + f"Digest {built.digest}.")
        if dropped:
            _list(built, dropped)

    def _report(self, *, source: Path, out: Path, **_: object) -> None:
        if (source / MANIFEST).exists():
            verify(source)
        told = summary(rows_of(source))
        folder = source if source.is_dir() else source.parent
        write(out, told, f"Who is in {folder.resolve().name}")
        self.stdout.write(f"{told['images']} images: {out}")

    def _part(self, *, side: str, source: Path, out: Path, **_: object) -> None:
        found = excerpt(source, side, out)
        self.stdout.write(side_in_words(side, found))

    def _verify(self, *, source: Path, **_: object) -> None:
        manifest = verify(source)
        self.stdout.write(json.dumps({"digest": manifest["digest"]}))


def _list(built: Built, path: Path) -> None:
    # A path need not be UTF-8: it is listed by its bytes.
    told = {"encoding": "utf-8", "errors": "surrogateescape"}
    with path.open("w", newline="", **told) as file:
        rows = ((_path(name), why) for name, why in built.dropped)
        csv.writer(file).writerows([("file", "why"), *rows])


def _path(name: str) -> str:
    """The same path, and no spreadsheet takes it for a formula."""
    return f"./{name}" if name.startswith(tuple("=+-@")) else name
