"""Background work against clinical work, on one processor."""

import os
import sys
import time
from pathlib import Path

import processes

SPIN = "while True: pass"


def spent(process):
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shares(tmp_path, patient):
    """What the second of two that want one processor gets, of what both get."""
    processor = str(min(os.sched_getaffinity(0)))
    command = ["taskset", "-c", processor, sys.executable, "-c", SPIN]
    log = tmp_path / "log"
    both = [
        processes.start(command, log, os.environ),
        processes.start(command, log, os.environ, patient=patient),
    ]
    try:
        time.sleep(1)  # both are at it
        before = [spent(process) for process in both]
        time.sleep(4)
        first, second = (spent(p) - b for p, b in zip(both, before))
    finally:
        for process in both:
            processes.stop(process)
    return second / (first + second)


def test_what_is_patient_gets_what_the_others_leave(tmp_path):
    assert shares(tmp_path, patient=False) > 0.3
    assert shares(tmp_path, patient=True) < 0.1
