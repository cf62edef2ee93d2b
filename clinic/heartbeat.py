"""Keep a claim while its holder works and says nothing; end a holder that is stuck."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, connection

PULSE = 6  # beats within one lease

log = logging.getLogger(__name__)


@contextmanager
def alive(what: str, keep: Callable[[], int]) -> Iterator[None]:
    """Beat from a thread of its own while the body works.

    keep: prolongs the lease; 0 if the claim has gone. A body that goes on then is
    stuck: no exception gets through to it, so the whole process ends, and the stack
    starts it again.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_beat_on, args=(what, keep, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
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
