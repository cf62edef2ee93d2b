"""The embedded PACS: takes in what scanners send by C-STORE, until it is stopped."""

import logging
import signal
import threading
import warnings

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic.pacs import PacsUnavailable
from clinic.pacs.embedded import EmbeddedPacs
from clinic.pacs.storage_scp import Door, listen


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.DICOM_HOST)
        parser.add_argument("--port", type=int, default=settings.DICOM_PORT)
        parser.add_argument("--aet", default=settings.DICOM_AET)

    def handle(self, *, host: str, port: int, aet: str, **_: object) -> None:
        _keep_values_out_of_the_log()
        pacs = EmbeddedPacs(settings.EMBEDDED_ROOT)
        door = Door(
            aet=aet,
            host=host,
            port=port,
            accepted=tuple(settings.DICOM_ACCEPTED_AETS),
            max_associations=settings.DICOM_MAX_ASSOCIATIONS,
            timeout=settings.DICOM_TIMEOUT,
            max_pdu=settings.DICOM_MAX_PDU,
        )
        try:
            self.stdout.write(pacs.health())
            server = listen(pacs, door)
        except PacsUnavailable as error:
            raise CommandError(
                f"{error} Set OSTEON_DATA to a writable folder."
            ) from error
        except OSError as error:
            raise CommandError(_remedy(door, error)) from error
        self.stdout.write(f"{aet} listens on {host}:{port}")
        _wait_for_the_end()
        server.shutdown()


def _remedy(door: Door, error: OSError) -> str:
    return (
        f"Cannot listen on {door.host}:{door.port}: {error.strerror}. "
        "Stop the program that holds the port, or set DICOM_PORT (and DICOM_HOST) "
        "to another."
    )


def _wait_for_the_end() -> None:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    over.wait()


def _keep_values_out_of_the_log() -> None:
    """pydicom and pynetdicom quote what they find odd, patients' names included."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    logging.getLogger("pynetdicom").setLevel(logging.ERROR)
