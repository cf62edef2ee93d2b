"""Servers on this machine, each on its own free port and folder.

Used by the launcher (stack.py) and by the tests. Whatever is started here dies
with the process that started it, even when that is killed.
"""

import ctypes
import errno
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
FORBIDDEN_PORTS = {4242, 8042, 6379, 5432}  # somebody else's, by custom
PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """Says in a sentence what is missing or in the way, and the remedy."""


def free_port(wanted: int | None = None) -> int:
    """A port on loopback that nobody holds; `wanted` itself or CannotStart."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CannotStart(
                    f"Port {wanted} cannot be had: {error.strerror}. Choose another."
                ) from error
            raise CannotStart(
                f"Port {wanted} is in use by another program. "
                "Stop that program, or choose another port."
            ) from error
        port = probe.getsockname()[1]
    return free_port() if port in FORBIDDEN_PORTS else port


def start(
    command: list[str],
    log: Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    cwd: Path | None = None,
    patient: bool = False,
) -> subprocess.Popen:
    """Start `command` in its own session, its words appended to `log`.

    patient: it gets what all others leave of the processors.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as words:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            start_new_session=True,
            preexec_fn=_patiently if patient else _die_with_parent,
            user=user,
            cwd=cwd,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _patiently() -> None:
    """Linux weighs sessions against each other, not their processes: `nice` alone
    counts for nothing between them (autogroup), so the session itself is made light.
    """
    _die_with_parent()
    os.nice(19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for _ in range(20):  # one change in 0.1 s is let through
        try:
            Path("/proc/self/autogroup").write_text("19")
        except FileNotFoundError:  # this Linux does not
            return
        except OSError:
            time.sleep(0.05)
        else:
            return


def stop(
    process: subprocess.Popen, patience: float = 8.0, ask: int = signal.SIGTERM
) -> None:
    """Ask the process to end; insist, with its whole group, after `patience` s."""
    if process.poll() is not None:
        return
    process.send_signal(ask)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(
    ready: Callable[[], bool],
    process: subprocess.Popen,
    what: str,
    log: Path,
    seconds: float = 30,
) -> None:
    """Return once `ready()`; CannotStart if the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotStart(f"{what} ended at once; its last words are in {log}.")
        if ready():
            return
        time.sleep(0.05)
    stop(process)
    raise CannotStart(f"{what} did not answer within {seconds:.0f} s; see {log}.")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def program(name: str) -> str | None:
    """Where a server's binary is; Debian keeps some off an ordinary user's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")


@dataclass
class Redis:
    process: subprocess.Popen
    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


def start_redis(folder: Path, port: int | None = None) -> Redis:
    """Redis on loopback, its append-only file under `folder`."""
    if (binary := program("redis-server")) is None:
        raise CannotStart("redis-server is not installed: apt-get install redis-server")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "daemonize": "no",
    }
    command = [binary]
    for key, value in options.items():
        command += [f"--{key}", value]
    process = start(command, folder / "redis.log")
    wait_for(lambda: listens(port), process, "Redis", folder / "redis.log")
    return Redis(process, port)


@dataclass
class Orthanc:
    process: subprocess.Popen
    port: int
    dicom_port: int
    user: str
    password: str
    aet: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start_orthanc(
    folder: Path,
    *,
    password: str,
    dicom_port: int | None = None,
    port: int | None = None,
    **changes: object,
) -> Orthanc:
    """Orthanc as docker/orthanc.json configures it; `changes` override its keys."""
    if (binary := program("Orthanc")) is None:
        raise CannotStart("Orthanc is not installed: apt-get install orthanc")
    folder.mkdir(parents=True, exist_ok=True)
    port, dicom_port = port or free_port(), dicom_port or free_port()
    settings = json.loads((HERE / "orthanc.json").read_text()) | {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "DicomPort": dicom_port,
        "RegisteredUsers": {"osteon": password},
        **changes,
    }
    configuration = folder / "orthanc.json"
    configuration.touch(mode=0o600)
    configuration.write_text(json.dumps(settings, indent=2))
    log = folder / "orthanc.log"
    process = start([binary, str(configuration)], log)
    wait_for(lambda: _answers(port), process, "Orthanc", log)
    return Orthanc(
        process, port, dicom_port, "osteon", password, str(settings["DicomAet"])
    )


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=1)
    except urllib.error.HTTPError as answer:
        return answer.code == 401
    except OSError:
        return False
    return True


@dataclass
class Postgres:
    process: subprocess.Popen
    port: int

    @property
    def url(self) -> str:
        return f"postgres://osteon@127.0.0.1:{self.port}/postgres"


def start_postgres(folder: Path) -> Postgres:
    """A throw-away PostgreSQL cluster: no fsync, trust on loopback."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise CannotStart("PostgreSQL is not installed: apt-get install postgresql")
    user = _unprivileged()
    folder.mkdir(parents=True, exist_ok=True)
    if user:
        shutil.chown(folder, user)
    data, port, log = folder / "data", free_port(), folder / "postgres.log"
    initdb = [found[-1].with_name("initdb"), "-D", data, "-A", "trust", "-U", "osteon"]
    subprocess.run(
        [*initdb, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
        check=True,
        user=user,
        cwd=folder,
        capture_output=True,
    )
    options = ["-p", str(port), "-k", str(folder), "-c", "fsync=off"]
    process = start(
        [str(found[-1]), "-D", str(data), *options, "-c", "listen_addresses=127.0.0.1"],
        log,
        user=user,
        cwd=folder,
    )
    ask = [found[-1].with_name("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    wait_for(lambda: not subprocess.run(ask).returncode, process, "PostgreSQL", log)
    return Postgres(process, port)


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root: who it runs as instead."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
