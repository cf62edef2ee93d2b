"""Compare models on the held-out part of a data set; no PACS, no database needed."""

import json
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference.artifact import DamagedArtifact


class Command(BaseCommand):
    help = "Print a table of models, each measured on the test part of a data set."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["models"])
        parser.add_argument(
            "folders",
            nargs="*",
            type=Path,
            metavar="FOLDER",
            help="artifacts; those that are shipped if none is named",
        )
        parser.add_argument(
            "--images",
            type=Path,
            metavar="DIR",
            default=settings.SAMPLE_DATA / "fracatlas",
        )
        parser.add_argument("--json", type=Path, metavar="OUT")

    def handle(self, **options: object) -> None:
        from clinic import training  # torch sits behind it

        shipped = sorted(p.parent for p in settings.SHIPPED_MODELS.glob("*/spec.json"))
        try:
            found, table = training.compare(
                folders=options["folders"] or shipped, images=options["images"]
            )
        except (OSError, ValueError, DamagedArtifact) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            text = json.dumps(found, indent=1, allow_nan=False)
            options["json"].write_text(text + "\n")
        self.stdout.write(table)
