"""Make a supernet, from which a search cuts its candidates; no database is needed."""

import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Take Once-For-All's published weights, or train a supernet of our own."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        file = {"type": Path, "metavar": "FILE", "required": True}
        taken = verbs.add_parser("import", help="The published file as a supernet")
        taken.add_argument("published", type=Path, help="As its authors publish it")
        taken.add_argument("--out", **file)
        trained = verbs.add_parser("train", help="By progressive shrinking")
        trained.add_argument("--out", **file)
        trained.add_argument("--images", type=Path, metavar="DIR")
        trained.add_argument(
            "--phantoms", type=int, default=0, metavar="N", help="Wrists to draw"
        )
        trained.add_argument(
            "--epochs", type=int, nargs="+", default=(), help="One number a phase"
        )
        trained.add_argument(
            "--size", type=int, nargs=2, metavar=("H", "W"), help="Of the views"
        )

    def handle(self, **options: object) -> None:
        from clinic import training  # torch sits behind it

        if options["verb"] == "import":
            asked = {"published": options["published"]}
        else:
            asked = {name: options[name] for name in ("images", "epochs", "size")}
            asked["wrists"] = options["phantoms"]
        try:
            made = training.supernet(out=options["out"], **asked)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(made, indent=2))
