"""Choose a model's operating points and limits anew; no database is needed."""

import json
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference.artifact import DamagedArtifact


class Command(BaseCommand):
    help = (
        "Rewrite an artifact with temperature, operating points and limits chosen on "
        "the validation part of a folder of labelled radiographs."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="The artifact")
        parser.add_argument("--images", type=Path, metavar="DIR", required=True)
        parser.add_argument("--out", type=Path, metavar="DIR", help="Default: FOLDER")
        parser.add_argument(
            "--uncertain",
            type=float,
            nargs=2,
            default=(0.0, 0.0),
            metavar=("FROM", "TO"),
            help="Probabilities about which nothing is to be said",
        )

    def handle(self, **options: object) -> None:
        from clinic import training  # torch sits behind it

        low, high = options["uncertain"]
        if not 0 <= low <= high <= 1:
            raise CommandError("Probabilities lie between 0 and 1, the lower one first")
        try:
            verdict = training.calibrate(
                folder=options["folder"],
                images=options["images"],
                out=options["out"] or options["folder"],
                uncertain=(low, high),
            )
        except (OSError, ValueError, DamagedArtifact) as error:
            raise CommandError(str(error)) from error
        summary = {"digest": verdict.digest, "test": asdict(verdict.report)}
        self.stdout.write(json.dumps(summary, indent=2))
