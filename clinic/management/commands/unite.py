"""Make one model of several that were trained alike from different seeds."""

import json
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference.artifact import DamagedArtifact


class Command(BaseCommand):
    help = "Unite trained SqueezeNets into a committee, calibrated and measured anew."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        folder = {"type": Path, "metavar": "DIR"}
        parser.add_argument("members", nargs="+", **folder, help="Artifacts")
        parser.add_argument("--images", **folder, required=True)
        parser.add_argument("--out", **folder, required=True)
        parser.add_argument("--name", default="committee")

    def handle(self, **options: object) -> None:
        from clinic import training  # torch sits behind it

        chosen = {name: options[name] for name in ("name", "members", "images", "out")}
        try:
            verdict = training.unite(**chosen)
        except (OSError, ValueError, DamagedArtifact) as error:
            raise CommandError(str(error)) from error
        summary = {"digest": verdict.digest, "test": asdict(verdict.report)}
        self.stdout.write(json.dumps(summary, indent=2))
