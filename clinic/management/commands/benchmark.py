"""Compare models, or ways of using or training them, on a held-out part of the data.

No PACS is needed, and no database but to name a search.
"""

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic import findings
from inference.artifact import DamagedArtifact

WEIGHTS = "squeezenet_v1.0_imagenet/squeezenet_v1.0_imagenet_fp32.npz"


class Command(BaseCommand):
    help = "Print a table of models, or of ways of training, measured on a test part."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        whats = parser.add_subparsers(dest="what", required=True)
        models = whats.add_parser("models", help="artifacts side by side")
        ways = whats.add_parser(
            "aggregation",
            help="ways from images to a study, among them an Aggregator of each seed",
        )
        for verb in models, ways:
            verb.add_argument(
                "folders",
                nargs="*",
                type=Path,
                metavar="FOLDER",
                help="artifacts; those that are shipped if none is named",
            )
        recipes = whats.add_parser(
            "recipes", help="ways of training, one question a row; hours on two cores"
        )
        recipes.add_argument(
            "rows", nargs="*", metavar="ROW", help="rows; all if none is named"
        )
        recipes.add_argument(
            "--published",
            type=Path,
            metavar="NPZ",
            default=settings.SAMPLE_DATA / "weights" / WEIGHTS,
            help="SqueezeNet v1.0, trained on ImageNet",
        )
        networks = whats.add_parser(
            "search", help="networks on the same patches, FractNet's Table 1"
        )
        self._add_patches(networks)
        for verb in ways, recipes, networks:
            verb.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        for verb in models, ways, recipes, networks:
            verb.add_argument(
                "--images",
                type=Path,
                metavar="DIR",
                default=settings.SAMPLE_DATA / "fracatlas",
            )
            verb.add_argument("--json", type=findings.json_file, metavar="OUT")

    def _add_patches(self, networks: CommandParser) -> None:
        networks.add_argument(
            "names",
            nargs="*",
            metavar="ARCHITECTURE",
            help="networks, files of architectures, numbers of searches; else all",
        )
        networks.add_argument(
            "--patches",
            type=Path,
            metavar="MODEL|JSON",
            default=settings.SHIPPED_MODELS / "squeezenet",
            help="who proposes: an artifact, or a detector's results in COCO's form",
        )
        networks.add_argument("--size", nargs=2, type=int, metavar=("H", "W"))
        known = {"epochs": "5", "batch": "128", "proposals": "54, an image"}
        for name, words in known.items():
            networks.add_argument(f"--{name}", type=int, metavar="N", help=words)

    def handle(self, *, what: str, **options: object) -> None:
        try:
            found, table = getattr(self, f"_{what}")(**options)
        except (OSError, ValueError, DamagedArtifact) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(table)
        if options["json"]:
            findings.write(options["json"], found)

    def _models(
        self, *, folders: Sequence[Path], images: Path, **_: object
    ) -> tuple[list[dict[str, object]], str]:
        from clinic import benchmarks  # torch sits behind it

        return benchmarks.compare(folders=folders or _shipped(), images=images)

    def _aggregation(
        self,
        *,
        folders: Sequence[Path],
        seeds: Sequence[int],
        images: Path,
        **_: object,
    ) -> tuple[list[dict[str, object]], str]:
        from clinic import benchmarks  # torch sits behind it

        return benchmarks.aggregations(
            folders=folders or _shipped(), images=images, seeds=seeds
        )

    def _recipes(
        self,
        *,
        rows: Sequence[str],
        seeds: Sequence[int],
        images: Path,
        published: Path,
        **_: object,
    ) -> tuple[list[dict[str, object]], str]:
        from clinic import benchmarks  # torch sits behind it

        return benchmarks.ablation(
            names=rows, seeds=seeds, images=images, published=published
        )

    def _search(
        self,
        *,
        names: Sequence[str],
        seeds: Sequence[int],
        images: Path,
        patches: Path,
        proposals: int | None,
        **options: object,
    ) -> tuple[list[dict[str, object]], str]:
        from clinic import benchmarks  # torch sits behind it

        asked = {name: options[name] for name in ("size", "epochs", "batch")}
        asked |= {"most": proposals}
        return benchmarks.lined_up(
            names=names,
            seeds=seeds,
            images=images,
            source=patches,
            **{name: value for name, value in asked.items() if value is not None},
        )


def _shipped() -> list[Path]:
    return sorted(p.parent for p in settings.SHIPPED_MODELS.glob("*/spec.json"))
