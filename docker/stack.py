"""Osteon on this machine: PACS, broker, workers and web, until Ctrl-C.

Started by ./run, which has made the folder ready. Everything it keeps is in var/;
every process it starts ends with it.
"""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import preflight
import processes
from processes import CannotStart, free_port

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
WEB_PORTS = range(8600, 8620)
TRAINING_THREADS = os.environ.get("OSTEON_TRAINING_THREADS", "1")
PATIENCE = 600  # seconds for the samples to be read
RESTARTS, WHILE = 5, 600  # more of them within so many seconds help nobody
PATIENT = {"shadow", "training", "search"}  # clinical reading waits for none
ROLES = ("radiologist", "administrator")


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class Stack:
    """The processes of one running Osteon, restarted when one of them ends."""

    def __init__(self, data: Path, web_port: int | None) -> None:
        self.data, self.log = data, data / "log"
        self.web_port = free_port(web_port) if web_port else None
        self.dicom_port = free_port()
        self.env = os.environ | {
            "OSTEON_DATA": str(data),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            "DICOM_PORT": str(self.dicom_port),
            "PYTHONUNBUFFERED": "1",
        }
        self.commands: dict[str, list[str]] = {}
        self.running: dict[str, subprocess.Popen] = {}
        self.restarts: dict[str, list[float]] = {}

    def manage(self, *arguments: str) -> str:
        """Run one `manage.py` verb to its end and give what it printed."""
        done = self._managed(*arguments, stderr=subprocess.PIPE)
        # `ledger` ends with 1 when it does not add up, and prints that.
        if done.returncode and arguments[0] != "ledger":
            raise CannotStart(
                f"`manage.py {arguments[0]}` failed:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def _managed(
        self, *arguments: str, stderr: int | None
    ) -> subprocess.CompletedProcess:
        command = [PYTHON, str(ROOT / "manage.py"), *arguments]
        return subprocess.run(
            command, env=self.env, stdout=subprocess.PIPE, stderr=stderr, text=True
        )

    def open(self) -> None:
        self._start_broker()
        self._start_orthanc()
        self.manage("migrate", "--verbosity", "0")
        self.logins = _logins(self.data)
        for role, password in self.logins.items():
            self.env[f"OSTEON_{role.upper()}_PASSWORD"] = password
        self.manage("bootstrap")
        if self.env["OSTEON_PACS"] == "embedded":
            self._start("pacs", [PYTHON, "manage.py", "pacs"])
            self._wait("pacs", self.dicom_port)
        celery = [PYTHON, "-m", "celery", "-A", "clinic", "worker", "--pool", "solo"]
        celery += ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        training = ["env", f"OMP_NUM_THREADS={TRAINING_THREADS}", *celery]
        for queue in ("reading", "explaining", "shadow", "training", "search"):
            worker = training if queue in ("training", "search") else celery
            self._start(queue, [*worker, "-Q", queue, "-n", f"{queue}@%h"])
        self._start("watch", [PYTHON, "manage.py", "watch"])
        # Chosen as late as can be: another Osteon may start here meanwhile.
        self.web_port = self.web_port or preflight.first_free(WEB_PORTS)
        web = [PYTHON, "-m", "gunicorn", "clinic.wsgi", "--threads", "8"]
        web += ["--bind", f"127.0.0.1:{self.web_port}", "--timeout", "60"]
        self._start("web", web)
        self._wait("web", self.web_port)

    def _start_broker(self) -> None:
        if not preflight.wanted("OSTEON_BROKER", "redis", "redis-server"):
            self.env["BROKER_URL"] = "filesystem://"
            return
        redis = processes.start_redis(self.data / "redis")
        self.running["redis"] = redis.process
        self.commands["redis"] = list(redis.process.args)
        self.env["BROKER_URL"] = redis.url

    def _start_orthanc(self) -> None:
        if not preflight.wanted("OSTEON_PACS", "orthanc", "Orthanc"):
            self.env["OSTEON_PACS"] = "embedded"
            return
        orthanc = processes.start_orthanc(
            self.data / "orthanc",
            password=secrets.token_urlsafe(16),
            dicom_port=self.dicom_port,
            RemoteAccessAllowed=False,
            **preflight.association(),
        )
        self.running["orthanc"] = orthanc.process
        self.commands["orthanc"] = list(orthanc.process.args)
        self.env |= {
            "OSTEON_PACS": "orthanc",
            "ORTHANC_URL": orthanc.url,
            "ORTHANC_USER": orthanc.user,
            "ORTHANC_PASSWORD": orthanc.password,
        }

    def _start(self, name: str, command: list[str]) -> None:
        self.commands[name] = command
        log = self.log / f"{name}.log"
        self.running[name] = processes.start(
            command, log, self.env, cwd=ROOT, patient=name in PATIENT
        )

    def _wait(self, name: str, port: int) -> None:
        processes.wait_for(
            lambda: processes.listens(port),
            self.running[name],
            f"The {name} process",
            self.log / f"{name}.log",
            seconds=60,
        )

    def mend(self) -> None:
        """Start again whatever ended; give up on what ends over and over."""
        for name, process in list(self.running.items()):
            if process.poll() is None:
                continue
            now, log = time.monotonic(), self.log / f"{name}.log"
            recent = [at for at in self.restarts.get(name, []) if now - at < WHILE]
            self.restarts[name] = [*recent, now]
            if len(recent) >= RESTARTS:
                raise CannotStart(f"The {name} process keeps ending; see {log}.")
            say(f"The {name} process ended ({process.returncode}); starting it again.")
            self._start(name, self.commands[name])

    def push(self, studies: Path | None, phantoms: int) -> bool:
        """Whether the PACS took all that was sent."""
        to = ["--host", "127.0.0.1", "--port", str(self.dicom_port)]
        for title in preflight.accepted()[:1]:
            to += ["--calling-aet", title]
        taken = True
        if phantoms:
            say(f"Pushing {phantoms} phantom studies by C-STORE…")
            taken = self._pushed(*to, "--phantoms", str(phantoms), "--seed", "1")
        if studies:
            say(f"Pushing {studies} by C-STORE…")
            taken = self._pushed(*to, str(studies)) and taken
        return taken

    def _pushed(self, *arguments: str) -> bool:
        done = self._managed("push", *arguments, stderr=None)
        say(done.stdout)
        return not done.returncode

    def ledger(self) -> dict:
        return json.loads(self.manage("ledger"))

    def settle(self, seconds: float) -> dict:
        """Wait until nothing waits; the ledger as it then is, or as it got."""
        deadline = time.monotonic() + seconds
        while True:
            self.mend()
            ledger = self.ledger()
            if ledger["settled"] or time.monotonic() > deadline:
                return ledger
            say(f"  {_progress(ledger)}")
            time.sleep(1)

    def close(self) -> None:
        for name in reversed(self.running):
            if self.running[name].poll() is None:
                self.running[name].terminate()
        for process in reversed(self.running.values()):
            processes.stop(process)


def _progress(ledger: dict) -> str:
    studies, explanations = ledger["studies"], ledger["explanations"]
    return (
        f"{studies['received']} studies received, {studies['waiting']} to be read, "
        f"{explanations['waiting']} to be explained…"
    )


def _logins(data: Path) -> dict[str, str]:
    """Passwords given or made up once for this machine, for its owner alone."""
    kept = data / "logins.json"
    if not kept.exists():
        given = {r: os.environ.get(f"OSTEON_{r.upper()}_PASSWORD") for r in ROLES}
        made = {r: given[r] or secrets.token_urlsafe(9) for r in ROLES}
        kept.touch(mode=0o600)
        kept.write_text(json.dumps(made))
    return json.loads(kept.read_text())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--once",
        action="store_true",
        help="read the samples, print the ledger as JSON and stop; "
        "non-zero unless all were taken and every study is accounted for",
    )
    parser.add_argument(
        "--studies",
        type=Path,
        metavar="DIR",
        help="also push this folder of DICOM, PNG or JPEG radiographs",
    )
    parser.add_argument("--phantoms", type=int, default=8, help="sample studies")
    parser.add_argument("--port", type=preflight.port, help="of the web pages")
    chosen = parser.parse_args()
    if chosen.studies and not chosen.studies.exists():
        parser.error(f"there is no {chosen.studies}")
    return chosen


def _serve(stack: Stack) -> None:
    print(f"\nOsteon is ready: http://127.0.0.1:{stack.web_port}/")
    for role, password in stack.logins.items():
        print(f"  sign in as {role} with password {password}")
    print(
        f"Scanners push to 127.0.0.1:{stack.dicom_port}. Ctrl-C stops it.", flush=True
    )
    while True:
        stack.mend()
        time.sleep(1)


def main() -> int:
    chosen = _arguments()
    data = Path(os.environ.get("OSTEON_DATA", ROOT / "var")).resolve()
    preflight.room(data)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as closing:
        closing.enter_context(preflight.alone(data))
        stack = Stack(data, chosen.port)
        closing.callback(stack.close)
        say("Starting PACS, broker, workers and web…")
        stack.open()
        taken = stack.push(chosen.studies, chosen.phantoms)
        ledger = stack.settle(PATIENCE)
        if not chosen.once:
            _serve(stack)
        print(json.dumps(ledger, indent=2))
        return 0 if taken and ledger["settled"] and ledger["balanced"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotStart as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        say("Stopped.")
