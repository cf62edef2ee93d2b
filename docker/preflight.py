"""What must be so before anything is started; each refusal names its remedy."""

import argparse
import fcntl
import os
import shutil
from pathlib import Path
from typing import TextIO

import processes
from processes import CannotStart, free_port

NEEDED = 500  # MB for database, images, overlays and logs of the first days
PACKAGES = {"redis-server": "redis-server", "Orthanc": "orthanc"}  # of Debian


def port(words: str) -> int:
    """A port's number, for argparse."""
    number = int(words) if words.isascii() and words.isdigit() else 0
    if not 0 < number < 1 << 16:
        raise argparse.ArgumentTypeError(f"{words!r} is no port: 1 to 65535")
    return number


def first_free(ports: range) -> int:
    """The first port of `ports` that is free; any, if none is."""
    for number in ports:
        try:
            return free_port(number)
        except CannotStart:
            continue
    return free_port()


def room(data: Path) -> None:
    """Make the folder `data`, with space in it. CannotStart if that cannot be."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not os.access(data, os.W_OK | os.X_OK):
            raise PermissionError("it is not yours to write in")
        free = shutil.disk_usage(data).free >> 20
    except OSError as error:
        raise CannotStart(
            f"{data} cannot be used: {error.strerror or error}. "
            "Set OSTEON_DATA to a folder that you own."
        ) from error
    if free < NEEDED:
        raise CannotStart(
            f"{free} MB are free where {data} is; Osteon needs {NEEDED} MB. "
            "Make room, or set OSTEON_DATA to a folder on another disk."
        )


def alone(data: Path) -> TextIO:
    """Hold the data folder: two stacks on one database would fight."""
    lock = (data / "run.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise CannotStart(
            "Osteon already runs from this folder. Stop it (Ctrl-C in its terminal), "
            "or give another OSTEON_DATA."
        ) from error
    return lock


def wanted(variable: str, value: str, binary: str) -> bool:
    """Is the real server asked for (the default) and here?"""
    asked, here = os.environ.get(variable), processes.program(binary) is not None
    if asked == value and not here:
        raise CannotStart(
            f"{variable}={value} asks for {binary}, which is not installed. Install it "
            f"(apt-get install {PACKAGES[binary]}), or unset {variable} to do without."
        )
    return (asked or value) == value and here


def accepted() -> list[str]:
    """The calling titles that may store; none named: every one."""
    titles = os.environ.get("DICOM_ACCEPTED_AETS", "").split(",")
    return [title.strip() for title in titles if title.strip()]


def association() -> dict[str, object]:
    """The DICOM_… limits of associations in Orthanc's words, as far as they are set."""
    numbers = {
        "DICOM_MAX_ASSOCIATIONS": "DicomThreadsCount",
        "DICOM_MAX_PDU": "MaximumPduLength",
        "DICOM_TIMEOUT": "DicomScpTimeout",
    }
    limits: dict[str, object] = {
        key: _number(name) for name, key in numbers.items() if os.environ.get(name)
    }
    if title := os.environ.get("DICOM_AET"):
        limits["DicomAet"] = title
    if titles := accepted():
        known = {t: {"AET": t, "Host": "127.0.0.1", "Port": 104} for t in titles}
        limits |= {"DicomAlwaysAllowStore": False, "DicomModalities": known}
    return limits


def _number(name: str) -> int:
    words = os.environ[name]
    if not (words.isascii() and words.isdigit()):
        raise CannotStart(f"{name}={words} is no whole number.")
    return int(words)
