"""Train a network on a folder of labelled radiographs; no database is needed."""

import json
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference.artifact import DamagedArtifact

NETWORKS = ("resnet18", "rx-lite")


class Command(BaseCommand):
    help = "Train a network on labelled radiographs and write it as an artifact."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--network", choices=NETWORKS, required=True)
        parser.add_argument("--images", type=Path, required=True, metavar="DIR")
        parser.add_argument("--out", type=Path, required=True, metavar="DIR")
        parser.add_argument(
            "--teacher", type=Path, metavar="DIR", help="An artifact to learn from"
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--epochs", type=int, nargs="+", help="One number a stage of the plan"
        )

    def handle(self, **options: object) -> None:
        from clinic import training  # torch sits behind it

        network, out = options["network"], options["out"]
        try:
            plan = training.plan(
                network=network, epochs=options["epochs"], seed=options["seed"]
            )
            verdict = training.train(
                network=network,
                plan=plan,
                images=options["images"],
                out=out,
                teacher=options["teacher"],
            )
        except (FileNotFoundError, ValueError, DamagedArtifact) as error:
            raise CommandError(str(error)) from error
        summary = {"digest": verdict.digest, "test": asdict(verdict.report)}
        self.stdout.write(json.dumps(summary, indent=2))
