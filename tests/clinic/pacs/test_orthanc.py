"""What the client library leaves open, against servers that misbehave."""

import json
import socket
import threading
from contextlib import suppress

import pytest

from clinic.pacs import GoneFromPacs, PacsUnavailable
from clinic.pacs.orthanc import OrthancPacs
from tests.clinic.pacs.radiographs import as_bytes, radiograph

JSON = "Content-Type: application/json\r\n"


def opened(pacs):
    with pacs.open("i") as stream:
        return stream.read()


CALLS = {
    "changes": lambda pacs: pacs.changes(0),
    "study": lambda pacs: pacs.study("s"),
    "instances": lambda pacs: list(pacs.instances("s")),
    "instance": lambda pacs: pacs.instance("i"),
    "open": lambda pacs: opened(pacs),
    "store": lambda pacs: pacs.store(as_bytes(radiograph())),
    "health": lambda pacs: pacs.health(),
}


@pytest.fixture
def server():
    """Serve each connection with `talk(connection)`; gives the server's address."""
    listener = socket.create_server(("127.0.0.1", 0))
    served = []

    def start(talk):
        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                served.append(connection)
                threading.Thread(target=talk, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    listener.close()
    for connection in served:
        connection.close()


def asked(connection) -> bytes:
    """The head of one request; b"" at the end."""
    connection.settimeout(5)
    head = b""
    with suppress(OSError):
        while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
            head += more
    return head


def answer(body, status="200 OK", headers=JSON, length=None):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status}\r\n{headers}Content-Length: {length or len(body)}\r\n\r\n"
    )
    return head.encode() + body


def saying(*answers):
    """A server that gives these answers in turn, then hangs up."""
    left = list(answers)

    def talk(connection):
        with suppress(OSError):
            while left and asked(connection):
                connection.sendall(left.pop(0))
        connection.close()

    return talk


def pacs_at(url, timeout=5.0):
    return OrthancPacs(url, "osteon", "secret", timeout)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_never_answers_is_given_up_at_once(server, call):
    """Once the time-out has passed: nobody asks a second time behind our back."""
    heard = []
    url = server(
        lambda connection: heard.append(asked(connection)) or asked(connection)
    )
    with pytest.raises(PacsUnavailable, match="gives no answer"):
        call(pacs_at(url, timeout=1.5))
    assert len(heard) == 1


NONSENSE = {
    "nothing": b"",
    "rubbish": b"rubbish\r\n\r\n",
    "gateway": answer({}, "502 Bad Gateway"),
    "cut short": answer(b'{"cut', length=1000),
    "bad chunks": answer(b"5\r\nab", headers="Transfer-Encoding: chunked\r\n"),
    "a page": answer(b"<html>hotel wifi</html>", headers=""),
    "a list": answer([1, 2]),
    "a number": answer(7),
    "an object": answer({"Changes": [{}]}),
}
FILES_TOO = ("a page", "a list", "a number", "an object")  # a file may say anything


@pytest.mark.parametrize("said", NONSENSE)
@pytest.mark.parametrize("call", CALLS)
def test_nonsense_is_no_answer(server, call, said):
    if call == "open" and said in FILES_TOO:
        return
    pacs = pacs_at(server(saying(*[NONSENSE[said]] * 3)), timeout=0.3)
    with pytest.raises(PacsUnavailable):
        CALLS[call](pacs)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_is_not_there_is_unavailable(call):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PacsUnavailable):
        call(pacs_at(f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("url", ["", "orthanc", "http://", "ftp://127.0.0.1"])
def test_a_misspelt_address_is_unavailable(call, url):
    with pytest.raises(PacsUnavailable):
        call(pacs_at(url))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_refused_credentials_are_told_as_such(orthanc, call):
    pacs = OrthancPacs(orthanc.url, orthanc.user, "wrong", timeout=5)
    with pytest.raises(PacsUnavailable, match="credentials were refused"):
        call(pacs)


def test_a_server_that_is_no_orthanc_is_not_an_empty_one(server):
    everything = [answer(b"", "404 Not Found")] * 3
    with pytest.raises(PacsUnavailable, match="no Orthanc"):
        pacs_at(server(saying(*everything))).changes(0)
    with pytest.raises(PacsUnavailable, match="no Orthanc"):
        pacs_at(server(saying(*everything))).store(as_bytes(radiograph()))


def test_an_address_below_a_path_keeps_it(server):
    heard = []

    def talk(connection):
        heard.append(asked(connection))
        connection.sendall(answer({"Version": "1.12.11", "DicomAet": "X"}))

    assert "1.12.11" in pacs_at(server(talk) + "/orthanc").health()
    assert heard[0].startswith(b"GET /orthanc/system ")
    assert b"Accept-Encoding: identity" in heard[0]


def test_an_idle_connection_closed_by_the_server_is_replaced_unseen(server):
    system = {"Version": "1.10.1", "DicomAet": "X"}

    def talk(connection):
        asked(connection)
        connection.sendall(answer(system))
        asked(connection)  # read the second request, and hang up without a word
        connection.close()

    pacs = pacs_at(server(talk))
    assert pacs.health() == pacs.health()


def test_a_store_is_never_sent_twice(server):
    heard = []

    def talk(connection):
        heard.append(asked(connection))
        connection.close()

    with pytest.raises(PacsUnavailable):
        pacs_at(server(talk)).store(as_bytes(radiograph()))
    assert len(heard) == 1


def test_a_download_that_breaks_off_is_no_short_file(server):
    talk = saying(answer(b"\0" * 5000, headers="", length=9000))
    with pytest.raises(PacsUnavailable), pacs_at(server(talk)).open("i") as stream:
        assert stream.size == 9000
        while stream.read(1000):
            pass


def test_a_download_that_stalls_is_given_up(server):
    def talk(connection):
        asked(connection)
        connection.sendall(answer(b"\0" * 5000, headers="", length=9000))
        asked(connection)

    pacs = pacs_at(server(talk), timeout=0.3)
    with pytest.raises(PacsUnavailable), pacs.open("i") as stream:
        stream.read()


def test_a_download_is_not_held_in_memory_before_it_is_read(server):
    """The head of the answer is enough to open it; the body is still to come."""
    go_on = threading.Event()

    def talk(connection):
        asked(connection)
        connection.sendall(answer(b"", headers="", length=4))
        go_on.wait(5)
        connection.sendall(b"DICM")

    with pacs_at(server(talk)).open("i") as stream:
        assert stream.size == 4
        go_on.set()
        assert stream.read() == b"DICM"


def test_an_instance_deleted_meanwhile_is_no_longer_of_its_study(orthanc):
    pacs = OrthancPacs(orthanc.url, orthanc.user, orthanc.password, timeout=10)
    first = radiograph("vanishing")
    ids = sorted(pacs.store(as_bytes(ds)) for ds in (first, radiograph("vanishing")))
    study = pacs.instance(ids[0]).study_id
    found = pacs.instances(study)
    assert next(found).id == ids[0]
    pacs._client.delete(f"instances/{ids[1]}")
    assert list(found) == []
    pacs._client.delete(f"studies/{study}")
    with pytest.raises(GoneFromPacs):
        pacs.instance(ids[0])


def test_a_stream_is_over_when_it_is_left(server):
    with pacs_at(server(saying(answer(b"DICM", headers="")))).open("i") as stream:
        pass
    with pytest.raises(ValueError, match="closed"):
        stream.read()
