"""Wait for what another thread writes."""

import time
from collections.abc import Callable
from contextlib import suppress

from django.db import OperationalError


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        # Threads share SQLite's one memory here: its writers lock readers out.
        with suppress(OperationalError):
            if holds():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)
