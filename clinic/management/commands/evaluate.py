"""Measure a model on labelled radiographs; no PACS and no database are needed."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic import findings, shelf
from inference.artifact import DamagedArtifact
from inference.spelling import line

NAMED = 20  # files that could not be read


class Command(BaseCommand):
    help = (
        "Read labelled DICOM, PNG or JPEG files and tell how good the model is. "
        "Studies are judged by every fixed rule; the learned aggregation has to be "
        "fitted, and is measured by `benchmark aggregation`."
    )
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
        parser.add_argument(
            "--boxes",
            type=Path,
            metavar="COCO.json",
            help="of a file's name with its folders, or without where only one has it",
        )
        parser.add_argument("--json", type=findings.json_file, metavar="OUT")

    def handle(self, **options: object) -> None:
        from clinic import training  # torch sits behind it

        findings.refuse_overwriting(*(options[n] for n in ("json", "labels", "boxes")))
        if not options["images"].is_dir():
            raise CommandError(f"{options['images']} is no folder.")
        try:
            found = training.examine(
                model=shelf.find_model(options["model"]),
                **{name: options[name] for name in ("images", "labels", "boxes")},
            )
        except (OSError, ValueError, DamagedArtifact) as error:
            raise CommandError(line(error, 1000)) from error
        self.stdout.write("\n".join(told(found)))
        if options["json"]:
            findings.write(options["json"], found)


def told(found: dict) -> list[str]:
    """What a person wants to see of it, line by line."""
    images = found["images"]
    lines = [
        f"{found['model']} ({found['digest'][:12]}), threshold "
        f"{found['threshold']:.3f}, confident from {found['confident_from']:.3f}",
        f"{images['read']} of {images['asked']} images were read.",
        *(f"  {count} × {why}" for why, count in images["not_read"].items()),
        *_named(images["named"]),
        _left(found["studies_left_to_people"]),
        *_lines(found, ""),
        *_lines(found["confident"], ", confident"),
        _line("studies, at one half", found["even"]),
    ]
    for method in ("lrp", "gradcam") if "pointing" in found else ():
        shares = found["pointing"][method]
        for among in ("all", "detected"):
            hits, count = shares[among]["hits"], shares[among]["images"]
            words = "not measured" if hits is None else f"{100 * hits:.1f} % hit a box"
            lines.append(f"{method}, {among} {count} fractured: {words}")
    return lines


def _named(aside: list[dict[str, str]]) -> list[str]:
    lines = [f"    {line(row['file'], 200)}: {row['reason']}" for row in aside[:NAMED]]
    more = len(aside) - len(lines)
    return [*lines, f"    … and {more} more; --json names them all"] if more else lines


def _left(studies: dict[str, int]) -> str:
    return (
        f"studies left to people, in no figure below: {sum(studies.values())} "
        f"({studies['fractured']} fractured, {studies['sound']} sound)"
    )


def _lines(found: dict, at: str) -> list[str]:
    by = found["study"].items()
    studies = [_line(f"studies, {name}{at}", report) for name, report in by]
    return [_line(f"images{at}", found["instance"]), *studies]


def _line(of: str, report: dict | None) -> str:
    if report is None:
        return f"{of}: not measured, nothing was read"
    area = _interval(report["auroc"])
    return (
        f"{of} ({report['cases']}, {report['fractured']} fractured): AUROC {area}, "
        f"accuracy {_interval(report['accuracy'])}, "
        f"sensitivity {_share(report['sensitivity'])}, "
        f"specificity {_share(report['specificity'])}, "
        + ", ".join(f"{name} {count}" for name, count in report["confusion"].items())
    )


def _share(found: float | None) -> str:
    return "not measurable" if found is None else f"{found:.3f}"


def _interval(found: dict | None) -> str:
    if found is None:
        return "not measurable"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
