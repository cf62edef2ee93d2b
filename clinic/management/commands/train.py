"""Train a network on a folder of labelled radiographs; no database is needed."""

import json
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference.artifact import DamagedArtifact

NETWORKS = ("squeezenet", "resnet18", "rx-lite", "rx-large")


class Command(BaseCommand):
    help = "Train a network on labelled radiographs and write it as an artifact."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        folder = {"type": Path, "metavar": "DIR"}
        parser.add_argument("--network", choices=NETWORKS, required=True)
        parser.add_argument("--images", **folder, required=True)
        parser.add_argument("--out", **folder, required=True)
        parser.add_argument("--teacher", **folder, help="An artifact to learn from")
        parser.add_argument(
            "--start",
            **folder,
            help="An artifact to go on from, or SqueezeNet's published weights (.npz)",
        )
        parser.add_argument("--rate", type=float, help="The highest learning rate")
        parser.add_argument("--optimizer", choices=("adamw", "sgd"), default="adamw")
        parser.add_argument(
            "--invert",
            type=float,
            default=0.0,
            metavar="SHARE",
            help="How often a view turns negative",
        )
        parser.add_argument(
            "--patience",
            type=int,
            default=0,
            metavar="EPOCHS",
            help="End when so many epochs scored the validation studies no better, and "
            "keep the best; 0 keeps the last",
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--epochs", type=int, nargs="+", help="One number a stage of the plan"
        )

    def handle(self, **options: object) -> None:
        from clinic import training  # torch sits behind it

        def chosen(*names: str) -> dict[str, object]:
            return {name: options[name] for name in names}

        try:
            plan = training.plan(
                **chosen("network", "epochs", "rate", "seed", "start"),
                **chosen("optimizer", "invert", "patience"),
            )
            verdict = training.train(
                plan=plan, **chosen("network", "images", "out", "teacher", "start")
            )
        except (OSError, ValueError, DamagedArtifact) as error:
            raise CommandError(str(error)) from error
        summary = {"digest": verdict.digest, "test": asdict(verdict.report)}
        self.stdout.write(json.dumps(summary, indent=2))
