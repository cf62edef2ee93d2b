"""Make a supernet, from which a search cuts its candidates, or tell what one is worth.

No database is needed.
"""

import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic import findings

COMPARED = ("file", "images", "architectures", "seeds", "epochs", "batch", "size")


class Command(BaseCommand):
    help = (
        "Take published weights, train a supernet of our own, or say what one is worth."
    )
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
        self._add_comparison(
            verbs.add_parser(
                "compare", help="Sub-networks from it against the same from scratch"
            )
        )

    def _add_comparison(self, verb: CommandParser) -> None:
        verb.add_argument("file", type=Path, metavar="FILE", help="The supernet")
        verb.add_argument("--images", type=Path, metavar="DIR", required=True)
        counts = {"architectures": 6, "epochs": 5, "batch": 32}
        for name, count in counts.items():
            verb.add_argument(f"--{name}", type=int, default=count, metavar="N")
        verb.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
        verb.add_argument(
            "--size", type=int, nargs=2, metavar=("H", "W"), help="If not its own"
        )
        verb.add_argument("--json", type=findings.json_file, metavar="OUT")

    def handle(self, *, verb: str, **options: object) -> None:
        try:
            self.stdout.write(getattr(self, f"_{verb}")(**options))
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _import(self, *, out: Path, published: Path, **_: object) -> str:
        from clinic import training  # torch sits behind it

        return json.dumps(training.supernet(out=out, published=published), indent=2)

    def _train(self, *, out: Path, phantoms: int, **options: object) -> str:
        from clinic import training  # torch sits behind it

        asked = {name: options[name] for name in ("images", "epochs", "size")}
        made = training.supernet(out=out, wrists=phantoms, **asked)
        return json.dumps(made, indent=2)

    def _compare(self, **options: object) -> str:
        from clinic import benchmarks  # torch sits behind it

        asked = {name: options[name] for name in COMPARED}
        found, table = benchmarks.inherited(**asked)
        if out := options["json"]:
            findings.write(out, found)
        return table
