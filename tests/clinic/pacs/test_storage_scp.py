"""Who may send to the embedded PACS, how much at a time, and what is answered."""

import logging
import socket
import time

import pytest
from pydicom.uid import SecondaryCaptureImageStorage
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from clinic.pacs.embedded import EmbeddedPacs
from clinic.pacs.storage_scp import Door, listen
from clinic.pacs.storage_scu import Peer, Sender
from tests.clinic.pacs.radiographs import as_bytes, radiograph


@pytest.fixture
def pacs(tmp_path):
    return EmbeddedPacs(tmp_path / "pacs")


@pytest.fixture
def door(pacs):
    servers = []

    def open_door(**limits):
        server = listen(pacs, Door("OSTEON", "127.0.0.1", 0, **limits))
        servers.append(server)
        return server.server_address[1]

    yield open_door
    for server in servers:
        server.shutdown()


@pytest.fixture
def associate():
    made = []

    def request(port, calling="SCANNER", contexts=None, handlers=()):
        ae = AE(calling)
        ae.acse_timeout = ae.network_timeout = 10
        contexts = contexts or [build_context(Verification)]
        made.append(
            ae.associate("127.0.0.1", port, contexts, evt_handlers=list(handlers))
        )
        return made[-1]

    yield request
    for association in made:
        association.abort()


def soon_welcome(associate, port):
    """The place of one who left is free as soon as the thread that held it ends."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if associate(port).is_established:
            return True
        time.sleep(0.1)
    return False


def test_a_foreign_calling_title_is_rejected(door, associate):
    port = door(accepted=("SCANNER", "ROOM2"))
    assert associate(port, "SCANNER").is_established
    assert associate(port, "ROOM2").is_established
    stranger = associate(port, "STRANGER")
    assert stranger.is_rejected
    reason = stranger.acceptor.primitive.reason_str
    assert "Calling AE title not recognised" in reason


def test_every_title_is_welcome_where_none_is_named(door, associate):
    port = door()
    assert associate(port, "STRANGER").is_established


def test_no_more_associations_than_allowed(door, associate):
    port = door(max_associations=2)
    first, second, third = (associate(port) for _ in range(3))
    assert (first.is_established, second.is_established) == (True, True)
    assert third.is_rejected
    assert "limit exceeded" in third.acceptor.primitive.reason_str
    first.release()
    assert soon_welcome(associate, port)


def test_a_peer_that_falls_silent_is_shown_out(door, associate):
    port = door(max_associations=1, timeout=1.5)
    ended = []
    silent = associate(port, handlers=[(evt.EVT_ABORTED, ended.append)])
    silent.join(20)
    assert ended
    assert soon_welcome(associate, port)


def test_a_connection_that_never_speaks_dicom_is_closed(door, associate):
    port = door(max_associations=1, timeout=0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
        assert silent.recv(1) == b""
    assert soon_welcome(associate, port)


def test_the_largest_pdu_is_told_to_the_peer(door, associate):
    assert associate(door(max_pdu=32768)).acceptor.maximum_length == 32768


def test_every_kind_of_object_and_encoding_is_taken(door, associate):
    port = door()
    kinds = AllStoragePresentationContexts[:60]
    syntaxes = ["1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"]
    syntaxes += ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"]
    contexts = [
        build_context(one.abstract_syntax, syntaxes[number % 4])
        for number, one in enumerate(kinds)
    ]
    association = associate(port, contexts=contexts)
    assert len(association.accepted_contexts) == len(kinds)
    assert {
        (one.abstract_syntax, one.transfer_syntax[0])
        for one in association.accepted_contexts
    } == {(one.abstract_syntax, one.transfer_syntax[0]) for one in contexts}


def answered(port, file, tmp_path):
    """The status of the answer to one C-STORE of these bytes."""
    path = tmp_path / "sent.dcm"
    path.write_bytes(file)
    sender = Sender(Peer("127.0.0.1", port, "OSTEON"))
    sender._wanted = [(radiograph().SOPClassUID, "1.2.840.10008.1.2.1")]
    sender._wanted += [(SecondaryCaptureImageStorage, "1.2.840.10008.1.2.1")]
    try:
        return sender._store(path)
    finally:
        sender.close()


SECRET = b"Geheim^Gerda"


@pytest.fixture
def ds():
    return radiograph(name=SECRET.decode(), PatientID="SECRET-ID")


def damaged(file):
    """The file meta information is whole; the rest is a sequence without items."""
    end = file.index(b"\x08\x00\x05\x00CS")
    return file[:end] + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + SECRET * 99


def test_success_is_answered_for_what_is_stored(door, pacs, ds, tmp_path):
    assert answered(door(), as_bytes(ds), tmp_path) == 0x0000
    assert len(pacs.changes(0).changes) == 4


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (
            lambda file: file.replace(b"\x20\x00\x0d\x00UI", b"\x21\x00\x0d\x00UI"),
            0xA900,
        ),
        (damaged, 0xC000),
    ],
    ids=["no study", "damaged"],
)
def test_what_cannot_be_kept_is_refused_without_naming_the_patient(
    door, pacs, ds, tmp_path, caplog, spoil, status
):
    caplog.set_level(logging.DEBUG, "clinic")
    assert answered(door(), spoil(as_bytes(ds)), tmp_path) == status
    assert pacs.changes(0).changes == ()
    (line,) = [one.getMessage() for one in caplog.records if one.name.startswith("cl")]
    assert "Refused an object from OSTEON-PUSH at 127.0.0.1" in line
    assert "Geheim" not in caplog.text
    assert "SECRET" not in caplog.text


def test_a_folder_that_cannot_be_written_is_out_of_resources(
    door, pacs, ds, tmp_path, caplog
):
    pacs.root.mkdir()
    (pacs.root / "files").write_text("in the way")
    port = door()
    assert answered(port, as_bytes(ds), tmp_path) == 0xA700
    assert "cannot be written" in caplog.text
    (pacs.root / "files").unlink()
    assert answered(port, as_bytes(ds), tmp_path) == 0x0000


def test_a_stored_object_is_logged_by_its_hash_alone(door, ds, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "clinic")
    answered(door(), as_bytes(ds), tmp_path)
    assert "Stored " in caplog.text
    assert "Geheim" not in caplog.text
    assert "SECRET" not in caplog.text
