"""Read again every reading that was shown of a study, and say whether it is the same.

Prints one JSON line a reading, the current one and those it superseded, each by the
model that gave it then. Ends with 1 when one differs, with 2 when none differs but
one cannot be had again (its images or its model are gone, or the PACS is away).
"""

import json
from functools import partial

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from clinic import replay
from clinic.models import Prediction, Study
from clinic.pacs import open_pacs

CODES = {replay.DIFFERENT: 1, replay.IMPOSSIBLE: 2}


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "study", metavar="STUDY", help="its number, its UID or an accession number"
        )
        parser.add_argument(
            "--tolerance",
            type=float,
            default=replay.TOLERANCE,
            help="of a probability (default: %(default)s)",
        )

    def handle(self, *, study: str, tolerance: float, **_: object) -> None:
        from clinic import reading  # torch sits behind it

        shown = Prediction.objects.filter(study=_found(study)).order_by("pk")
        pacs, outcomes = open_pacs(), set()
        for prediction in shown.select_related("model", "study"):
            found = replay.replay(
                prediction,
                partial(reading.again, pacs=pacs),
                partial(reading.drawn, pacs=pacs),
                tolerance,
            )
            outcomes.add(found.outcome)
            self.stdout.write(json.dumps(found.line()))
        if not outcomes:
            raise CommandError("Nothing was read of this study yet.")
        for outcome, code in CODES.items():
            if outcome in outcomes:
                raise SystemExit(code)


def _found(wanted: str) -> Study:
    known = Q(uid=wanted) | Q(accession=wanted)
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        known |= Q(pk=int(wanted))
    rows = list(Study.objects.filter(known)[:2]) if wanted else []
    if len(rows) != 1:
        what = "Several studies are" if rows else "No study is"
        raise CommandError(f"{what} known by {wanted!r}.")
    return rows[0]
