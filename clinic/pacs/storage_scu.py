"""Sending DICOM objects to a PACS by C-STORE, each as it is encoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.dsutils import encode, split_dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from clinic.pacs import PacsUnavailable

# A file goes out byte for byte, and is never decoded on its way.
_config.STORE_SEND_CHUNKED_DATASET = True

MOST_CONTEXTS = 127  # and one for C-ECHO; PS3.8 9.3.2.2: odd numbers up to 255
WARNINGS = range(0xB000, 0xC000)  # stored, with remarks
REASONS = {  # PS3.4 B.2.3
    0xA7: "the PACS is out of resources",
    0xA9: "the PACS misses what an object of its class must say",
    0xC0: "the PACS cannot understand the object",
}


class Refused(Exception):
    """The PACS answered, and does not take this one object; says why."""


class NothingToSend(Exception):
    """The file is none that could be sent; says why."""


@dataclass(frozen=True)
class Peer:
    """Who to send to. calling_aet is who we say we are. timeout: seconds."""

    host: str
    port: int
    aet: str
    calling_aet: str = "OSTEON-PUSH"
    timeout: float = 30.0


class Sender:
    """One association, made anew when an object needs a context it lacks."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self._wanted: list[tuple[UID, UID]] = []
        self._association: Association | None = None

    def send(self, item: Path | Dataset) -> None:
        """Returns when the PACS has it. May raise Refused, NothingToSend,
        or PacsUnavailable."""
        item = _even(item)
        context = _context(item)
        if context not in self._wanted:
            self.close()
            self._wanted = [*self._wanted, context][-MOST_CONTEXTS:]
        status = self._store(item)
        if status is None:  # the association was lost: once more on a new one
            self.close()
            status = self._store(item)
        if status is None:
            raise Refused("the PACS breaks the connection off when it is sent this")
        if status and status not in WARNINGS:
            raise Refused(_sentence(status))

    def close(self) -> None:
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._association = None

    def _store(self, item: Path | Dataset) -> int | None:
        """The answer's status; None when there was no answer."""
        try:
            return self._established().send_c_store(item).get("Status")
        except ValueError as error:  # no context was accepted for it
            raise Refused(_not_accepted(item)) from error
        except RuntimeError:  # not established any more
            return None

    def _established(self) -> Association:
        if self._association is None:
            ae = AE(self.peer.calling_aet)
            ae.maximum_pdu_size = 0
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = self.peer.timeout
            ae.connection_timeout = self.peer.timeout
            # C-ECHO is always accepted: an association that was granted nothing
            # would be aborted, whatever else is still to be sent.
            contexts = [build_context(Verification)]
            contexts += [build_context(kind, syntax) for kind, syntax in self._wanted]
            self._association = ae.associate(
                self.peer.host, self.peer.port, contexts, self.peer.aet
            )
            if not self._association.is_established:
                raise PacsUnavailable(self._why_not(self._association))
        return self._association

    def _why_not(self, association: Association) -> str:
        self._association = None
        if association.is_rejected:
            answer = association.acceptor.primitive
            return (
                f"{self._name()} refused the association: {answer.reason_str}. "
                f"We call ourselves {self.peer.calling_aet}."
            )
        return f"Nothing answers DICOM at {self._name()}. Is the PACS running?"

    def _name(self) -> str:
        return f"{self.peer.aet} at {self.peer.host}:{self.peer.port}"


@contextmanager
def sending(peer: Peer) -> Iterator[Sender]:
    sender = Sender(peer)
    try:
        yield sender
    finally:
        sender.close()


def _context(item: Path | Dataset) -> tuple[UID, UID]:
    """SOP class and transfer syntax."""
    meta = split_dataset(item)[0] if isinstance(item, Path) else item.file_meta
    return meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID


def _even(item: Path | Dataset) -> Path | Dataset:
    """Mend a file whose pixels lack their padding byte.

    Fragments are of even length (PS3.8 9.3.5.1); a peer that gets an odd one is
    silent until it times out.
    """
    if not isinstance(item, Path):
        return item
    meta, offset = split_dataset(item)
    length = item.stat().st_size - offset
    if length % 2 == 0:
        return item
    ds, words = _encoded_anew(item, meta.TransferSyntaxUID)
    if len(words) != length + 1 and not meta.TransferSyntaxUID.is_deflated:
        raise NothingToSend("it is of odd length, as if it were cut short")
    return ds


def _encoded_anew(path: Path, syntax: UID) -> tuple[Dataset, bytes]:
    try:
        ds = dcmread(path)
        list(ds)  # converts every element, and only those are padded on their way
        form = syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated
        return ds, encode(ds, *form) or b""
    except Exception as error:
        # Damaged files make pydicom raise anything.
        raise NothingToSend("it is of odd length, and damaged") from error


def _not_accepted(item: Path | Dataset) -> str:
    kind, syntax = _context(item)
    return f"the PACS does not accept {kind.name} as {syntax.name}"


def _sentence(status: int) -> str:
    reason = REASONS.get(status >> 8, "the PACS refused it")
    return f"{reason} (status 0x{status:04X})"
