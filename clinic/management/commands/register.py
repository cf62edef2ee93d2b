"""Keep a trained artifact as a candidate, from where it can be promoted."""

from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic import registry


class Command(BaseCommand):
    help = "Register an artifact (a folder that train, unite or calibrate wrote)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER")

    def handle(self, *, folder: Path, **options: object) -> None:
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder.")
        try:
            version = registry.register(folder=folder, by=None)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except OSError as error:
            raise CommandError(f"{folder} cannot be kept: {error}.") from error
        stage = version.get_stage_display().lower()
        self.stdout.write(
            f"{version.name} ({version.brief}) is registered: {stage}. "
            f"To be decided at /models/{version.pk}/."
        )
