"""`manage.py ledger`: prints every study's whereabouts as JSON.

balanced: nothing is lost among the rows. settled: also nothing waits, and the PACS
holds no object that was not taken in. Ends with 1 when something is lost.
"""

import json

from django.core.management.base import BaseCommand, CommandParser

from clinic import audit, ledger
from clinic.pacs import PacsUnavailable, open_pacs


class Command(BaseCommand):
    help = "Print as JSON what became of every study received."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--verify",
            action="store_true",
            help="also follow the whole audit chain and name what is broken in it",
        )

    def handle(self, *, verify: bool, **_: object) -> None:
        found = ledger.balance() | {"pacs": _pacs(), "audit": {"head": audit.head()}}
        if verify:
            found["audit"]["broken"] = audit.verify()
        found["settled"] = _settled(found)
        self.stdout.write(json.dumps(found, indent=2))
        if not found["balanced"] or found["audit"].get("broken"):
            raise SystemExit(1)


def _pacs() -> dict[str, object]:
    """An embedded PACS can be looked through while nobody takes in what is sent."""
    pacs, found = open_pacs(), {"missing": None, "trouble": ""}
    try:
        found["missing"] = len(ledger.missing(pacs))
        pacs.health()
    except PacsUnavailable as error:
        found["trouble"] = str(error) or "The PACS does not answer."
    return found


def _settled(found: dict) -> bool:
    waiting = found["studies"]["waiting"] + found["explanations"]["waiting"]
    return found["balanced"] and not waiting and found["pacs"]["missing"] == 0
