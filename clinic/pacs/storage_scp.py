"""The DICOM door of the embedded PACS: C-ECHO, and C-STORE of whatever is stored.

Success is answered when file and index are on disk; a sender that hears anything
else keeps its copy and tries again. Log lines name objects by Orthanc's hashes,
never by what a patient is called.
"""

import logging
from dataclasses import dataclass

from pynetdicom import (
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    evt,
)
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

from clinic.pacs import PacsUnavailable
from clinic.pacs.embedded import EmbeddedPacs
from clinic.pacs.header import MissingIdentity

log = logging.getLogger(__name__)

# PS3.4 B.2.3
SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True)
class Door:
    """Where to listen, and to whom.

    accepted: calling titles; none means all. timeout: seconds a peer may say
    nothing, before or within an association. max_pdu: bytes.
    """

    aet: str
    host: str
    port: int
    accepted: tuple[str, ...] = ()
    max_associations: int = 10
    timeout: float = 30.0
    max_pdu: int = 131072


def listen(pacs: EmbeddedPacs, door: Door) -> ThreadedAssociationServer:
    """Serve in threads of its own until `.shutdown()`. OSError: the port is taken."""
    ae = AE(door.aet)
    ae.require_calling_aet = list(door.accepted)
    ae.maximum_associations = door.max_associations
    ae.maximum_pdu_size = door.max_pdu
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = door.timeout
    ae.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    handlers = [
        (evt.EVT_C_STORE, _keep, [pacs]),
        (evt.EVT_REJECTED, _tell, ["refused"]),
        (evt.EVT_ABORTED, _tell, ["aborted"]),
    ]
    address = (door.host, door.port)
    return ae.start_server(address, block=False, evt_handlers=handlers)


def _keep(event: evt.Event, pacs: EmbeddedPacs) -> int:
    try:
        id = pacs.store(event.encoded_dataset())
    except PacsUnavailable as error:
        log.error("Not stored: %s", error)
        return OUT_OF_RESOURCES
    except MissingIdentity as error:
        log.warning("Refused an object from %s: %s", _sender(event), error)
        return DOES_NOT_MATCH
    except ValueError as error:
        log.warning("Refused an object from %s: %s", _sender(event), error)
        return CANNOT_UNDERSTAND
    log.info("Stored %s from %s", id, _sender(event))
    return SUCCESS


def _tell(event: evt.Event, what: str) -> None:
    log.warning("Association with %s %s", _sender(event), what)


def _sender(event: evt.Event) -> str:
    requestor = event.assoc.requestor
    return f"{requestor.ae_title} at {requestor.address}"
