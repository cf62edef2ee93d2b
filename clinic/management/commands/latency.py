"""Tables of how long a network takes on a machine; no PACS, no database needed."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from search.hardware import Table, UnfitTable, fit
from search.latency_agent import CLOCKS, ENGINES, RUNS, measure
from search.spaces import SPACES

MISSING = "{0} is not installed. Remedy: pip install {0}"


class Command(BaseCommand):
    help = (
        "Measure a latency table on this machine; or export a folder for another one "
        "(copy it there, run its agent.py), and fit what comes back."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        here = verbs.add_parser("measure", help="on this machine")
        there = verbs.add_parser("export", help="a folder for another machine")
        back = verbs.add_parser("fit", help="a table of what its agent wrote")
        for verb in here, there:
            verb.add_argument("--space", choices=sorted(SPACES), default="ofa-1.2")
            verb.add_argument(
                "--size",
                nargs=2,
                type=int,
                metavar=("H", "W"),
                default=[224, 224],
                help="that of the search it is for; no other search takes the table",
            )
            verb.add_argument("--networks", type=int, default=24, metavar="N")
        here.add_argument("--engine", choices=sorted(ENGINES), default="openvino")
        here.add_argument("--threads", type=int, default=1)
        here.add_argument("--runs", type=int, default=RUNS)
        here.add_argument(
            "--clock",
            choices=sorted(CLOCKS),
            default="wall",
            help="processor: where the machine cannot be idle",
        )
        there.add_argument("folder", type=Path)
        back.add_argument("measured", type=Path, help="measured.json")
        for verb in here, back:
            verb.add_argument("--out", type=Path, required=True, metavar="TABLE.json")

    def handle(self, *, verb: str, **options: object) -> None:
        try:
            getattr(self, verb)(**options)
        except ImportError as error:
            raise CommandError(MISSING.format(error.name)) from error
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def export(self, *, folder: Path, **what) -> None:
        self._export(folder, **what)
        self.stdout.write(f"Copy {folder} to the target; there: python agent.py")

    def measure(self, *, out: Path, engine: str, threads, runs, clock, **what) -> None:
        with tempfile.TemporaryDirectory() as room:
            folder = Path(room, "target")
            self._export(folder, **what)
            measured = measure(folder, engine, threads, runs, clock)
            self.fit(measured=measured, out=out)

    def fit(self, *, measured: Path, out: Path, **_: object) -> None:
        """Whatever comes out is told; only a good table is kept."""
        table = fit(_read(measured))
        self.stdout.write(
            f"{_told(table.machine)}\n"
            f"held-out networks: off by {table.error:.1%}, Kendall's tau "
            f"{table.ranking:.2f}; whole = {table.slope:.2f} × sum of pieces "
            f"{table.intercept:+.2f} ms"
        )
        said = table.to_json()
        Table.from_json(said)  # refuses
        out.write_text(json.dumps(said, indent=1))

    def _export(self, folder: Path, space: str, size, networks: int, **_) -> None:
        from search.pieces import export  # onnx takes a moment

        export(folder, space, *size, networks)


def _read(measured: Path) -> object:
    try:
        return json.loads(measured.read_bytes())
    except (ValueError, RecursionError) as error:
        words = f"{measured.name} is not what an agent wrote (JSON)."
        raise UnfitTable(words) from error


def _told(machine: Mapping[str, object]) -> str:
    """What it was, and how busy."""
    try:
        begun, ended = machine["load"]
        return (
            f"{machine['name']}, {machine['engine']}, {machine['threads']} thread(s), "
            f"{machine['clock']} time, load {begun:.1f} to {ended:.1f}, "
            f"median {machine['noise']:.0%} above the least time"
        )
    except (KeyError, TypeError, ValueError) as error:
        words = f"This is not what an agent wrote: of its machine, {error!r}."
        raise UnfitTable(words) from error
