"""Does clinical reading wait for a search, and are two search workers twice as fast?

    python tests/benchmarks/searching.py [--pushes 40] [--window 40]

Starts a whole Osteon of its own (PACS, broker, workers, web) in a temporary folder
and a search in it that trains real networks. First single studies are pushed, in
blocks while the search worker works and while it is stopped in turn, so that whatever
else the machine does meets both: seconds from the last C-STORE response to the row of
the prediction, a second of which is the pause after the last image. Then the trials an
hour of one worker and of two, in windows in turn. 90 % intervals by drawing pushes.
"""

import argparse
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docker")]

import processes  # noqa: E402
from stack import Stack  # noqa: E402

from inference import phantom  # noqa: E402
from tests.benchmarks.arrival import send  # noqa: E402

BLOCK = 5  # pushes
QUIET = 1.0  # seconds after the last image: OSTEON_QUIET_SECONDS
DRAW = """from pathlib import Path; from tests.clinic import searched
searched.WANTED = dict(training=40, validation=12, test=4)  # patients of each kind
searched.draw(Path({!r}))"""
READ = """SELECT p.explanation FROM clinic_prediction p
JOIN clinic_study s ON p.study_id = s.id WHERE s.uid = ?"""
WORKED = "SELECT sum(done) FROM clinic_trial"


class Searching:
    """A stack that searches; its search workers can be stopped and let go on."""

    def __init__(self, folder: Path) -> None:
        self.stack, self.folder = Stack(folder, None), folder
        self.second = None

    def open(self) -> None:
        self.stack.open()
        self.stack.push(None, 2)  # warms the model
        self.stack.settle(300)
        images = self.folder / "phantoms"
        self.stack.manage("shell", "--no-imports", "-c", DRAW.format(str(images)))
        asked = ["--images", str(images), "--space", "ofa-1.0", "--hours", "1"]
        asked += ["--workers", "2", "--size", "128", "96", "--batch", "16"]
        self.stack.manage("search", "start", *asked, "--strategy", "random")
        deadline = time.monotonic() + 300
        while not self.rows(WORKED)[0][0]:
            assert time.monotonic() < deadline, "no trial has begun"
            time.sleep(0.2)

    def rows(self, query: str, *values: object) -> list[tuple]:
        path = self.folder / "osteon.sqlite3"
        with closing(sqlite3.connect(path, timeout=20)) as database:
            return database.execute(query, values).fetchall()

    def search(self, workers: int) -> None:
        """So many of its two workers work from now on."""
        for number, worker in enumerate((self.stack.running["search"], self.second)):
            if worker:
                go_on = number < workers
                worker.send_signal(signal.SIGCONT if go_on else signal.SIGSTOP)

    def begin_second(self) -> None:
        command = [part.replace("search@", "second@") for part in self._command()]
        log = self.folder / "log" / "second.log"
        env = self.stack.env
        self.second = processes.start(command, log, env, cwd=ROOT, patient=True)

    def _command(self) -> list[str]:
        return self.stack.commands["search"]

    def spent(self) -> float:
        """Processor seconds of the search worker so far."""
        stat = Path(f"/proc/{self.stack.running['search'].pid}/stat").read_text()
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def read(self, seed: int) -> float:
        """Seconds from the last C-STORE response to the reading; returns once it is
        explained as well."""
        datasets = phantom.study(seed)
        (sent,) = send([datasets], self.stack.dicom_port)
        found, uid = None, datasets[0].StudyInstanceUID
        while not (row := self.rows(READ, uid)) or row[0][0] == "waiting":
            if row and found is None:
                found = time.monotonic() - sent
            assert time.monotonic() - sent < 120, "not read after 120 s"
            time.sleep(0.01 if found is None else 0.1)
        return found or time.monotonic() - sent

    def close(self) -> None:
        self.search(workers=2)  # what is stopped does not hear that it should end
        if self.second:
            processes.stop(self.second)
        self.stack.close()


def pushes(stack: Searching, count: int) -> dict[str, object]:
    seconds = {0: [], 1: []}  # by search workers that work
    busy, before = 0.0, stack.spent()
    for number in range(2 * count):
        workers = number // BLOCK % 2
        stack.search(workers)
        if number % BLOCK == 0:
            time.sleep(1)
        started = time.monotonic()
        seconds[workers].append(stack.read(30_000 + number))
        busy += workers * (time.monotonic() - started)
    without, beside = np.array(seconds[0]), np.array(seconds[1])
    names = "p50", "p95", "max"
    told = {
        words: dict(zip(names, np.percentile(s, [50, 95, 100]).round(2).tolist()))
        for words, s in (("without, s", without), ("while it searches, s", beside))
    }
    return told | {
        "pushes of each": count,
        "of a processor the search had": round((stack.spent() - before) / busy, 2),
        "p95 ratio": ratio(beside, without),
        "p95 ratio less the quiet second": ratio(beside - QUIET, without - QUIET),
    }


def ratio(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """Of the 95th percentiles: value, low, high."""
    rng = np.random.default_rng(0)
    found = [p95(ours) / p95(theirs)]
    drawn = [
        p95(rng.choice(ours, len(ours))) / p95(rng.choice(theirs, len(theirs)))
        for _ in range(2000)
    ]
    return np.round([*found, *np.percentile(drawn, [5, 95])], 2).tolist()


def p95(seconds: np.ndarray) -> float:
    return float(np.percentile(seconds, 95))


def throughput(stack: Searching, window: float) -> dict[str, object]:
    """Trials, parts of one counted, an hour."""
    stack.search(workers=1)
    stack.begin_second()
    time.sleep(20)  # until it has imported and claimed its first
    rates = {1: [], 2: []}
    for workers in (1, 2, 2, 1):
        stack.search(workers)
        time.sleep(2)
        before, started = stack.rows(WORKED)[0][0], time.monotonic()
        time.sleep(window)
        done = stack.rows(WORKED)[0][0] - before
        rates[workers].append(3600 * done / (time.monotonic() - started))
    told = {
        f"trials an hour, {n} worker(s)": np.round(r).tolist() for n, r in rates.items()
    }
    return told | {"ratio": round(float(np.mean(rates[2]) / np.mean(rates[1])), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=40)
    parser.add_argument("--window", type=float, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = Searching(Path(folder))
        try:
            stack.open()
            sys.stderr.write("measuring\n")
            found = {
                "load": os.getloadavg(),
                "push to reading": pushes(stack, chosen.pushes),
            }
            sys.stdout.write(json.dumps(found, indent=2) + "\n")
            sys.stdout.flush()
            found = {"two workers against one": throughput(stack, chosen.window)}
            sys.stdout.write(
                json.dumps(found | {"load": os.getloadavg()}, indent=2) + "\n"
            )
        finally:
            stack.close()


if __name__ == "__main__":
    main()
