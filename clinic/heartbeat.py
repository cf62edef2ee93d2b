"""Keep a claim while its holder works and says nothing; end a holder that is stuck;
give the claim back when the process is asked to stop."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, connection

PULSE = 6  # beats within one lease
GLANCE = 0.5  # seconds between two looks whether the process is to stop

log = logging.getLogger(__name__)
_stopping = False


def stop_soon(**_: object) -> None:
    """The process was asked to stop: it claims nothing more and gives back what it
    holds. Called by a signal's handler, perhaps within itself: it takes no lock."""
    global _stopping
    _stopping = True


def stopping() -> bool:
    return _stopping


@contextmanager
def alive(
    what: str, keep: Callable[[], int], leave: Callable[[], object]
) -> Iterator[None]:
    """Beat from a thread of its own while the body works.

    keep: prolongs the lease; 0 if the claim has gone. A body that goes on then is
    stuck: no exception gets through to it, so the whole process ends, and the stack
    starts it again. leave: gives the claim back, from another thread, within the
    seconds that a process has before it is killed; the body may be at anything.
    """
    stop = threading.Event()
    threads = [
        threading.Thread(target=work, args=(what, verb, stop), daemon=True)
        for work, verb in ((_beat_on, keep), (_leave_early, leave))
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _beat_on(what: str, keep: Callable[[], int], stop: threading.Event) -> None:
    pause, lost_at = settings.LEASE_SECONDS / PULSE, None
    while not stop.wait(pause):
        try:
            kept = keep()
        except DatabaseError as error:
            log.warning("%s: the database is away or busy: %s", what, error)
            continue
        finally:
            connection.close()
        lost_at = None if kept else lost_at or time.monotonic()
        if lost_at and time.monotonic() - lost_at > settings.LEASE_SECONDS:
            log.error("%s goes on though it was taken away; ending", what)
            os._exit(1)


def _leave_early(what: str, leave: Callable[[], object], stop: threading.Event) -> None:
    while not stop.wait(GLANCE):
        if not _stopping:
            continue
        try:
            leave()
        except DatabaseError as error:
            log.warning("%s: the database is away or busy: %s", what, error)
        else:
            log.info("%s is given back: this process is to stop", what)
            return
        finally:
            connection.close()
