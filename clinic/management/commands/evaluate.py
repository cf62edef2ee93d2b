"""Measure a model on labelled radiographs; no PACS and no database are needed."""

import json
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic import shelf
from inference.artifact import DamagedArtifact


class Command(BaseCommand):
    help = "Read labelled DICOM, PNG or JPEG files and tell how good the model is."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--model",
            default=settings.FIRST_MODEL,
            metavar="DIGEST",
            help="beginning of a digest, or the name of a shipped model",
        )
        parser.add_argument("--images", type=Path, required=True, metavar="DIR")
        parser.add_argument(
            "--labels",
            type=Path,
            required=True,
            metavar="FILE.csv",
            help="columns image and label (0, 1), if known study and patient",
        )
        parser.add_argument("--boxes", type=Path, metavar="COCO.json")
        parser.add_argument("--json", type=Path, metavar="OUT")

    def handle(self, **options: object) -> None:
        from clinic import training  # torch sits behind it

        if not options["images"].is_dir():
            raise CommandError(f"{options['images']} is no folder.")
        try:
            found = training.examine(
                model=shelf.find_model(options["model"]),
                **{name: options[name] for name in ("images", "labels", "boxes")},
            )
        except (OSError, ValueError, DamagedArtifact) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            options["json"].write_text(json.dumps(found, indent=1) + "\n")
        self.stdout.write("\n".join(told(found)))


def told(found: dict) -> list[str]:
    """What a person wants to see of it, line by line."""
    images = found["images"]
    lines = [
        f"{found['model']} ({found['digest'][:12]}), threshold "
        f"{found['threshold']:.3f}, confident from {found['confident_from']:.3f}",
        f"{images['read']} of {images['asked']} images were read.",
        *(f"  {count} × {why}" for why, count in images["not_read"].items()),
        _line("images", found["instance"]),
        *(_line(f"studies, {name}", r) for name, r in found["study"].items()),
        _line("studies, confident", found["confident"]),
        _line("studies, at one half", found["even"]),
    ]
    for method in ("lrp", "gradcam") if "pointing" in found else ():
        shares = found["pointing"][method]
        for among in ("all", "detected"):
            hits, count = shares[among]["hits"], shares[among]["images"]
            words = "not measured" if hits is None else f"{100 * hits:.1f} % hit a box"
            lines.append(f"{method}, {among} {count} fractured: {words}")
    return lines


def _line(of: str, report: dict | None) -> str:
    if report is None:
        return f"{of}: not measured, nothing was read"
    area = _interval(report["auroc"])
    return (
        f"{of} ({report['cases']}, {report['fractured']} fractured): AUROC {area}, "
        f"accuracy {_interval(report['accuracy'])}, "
        f"sensitivity {report['sensitivity']:.3f}, "
        f"specificity {report['specificity']:.3f}, "
        + ", ".join(f"{name} {count}" for name, count in report["confusion"].items())
    )


def _interval(found: dict | None) -> str:
    if found is None:
        return "not measurable"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
