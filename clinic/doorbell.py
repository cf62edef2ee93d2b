"""From primary keys to messages that wake a worker. Losing one loses nothing.

A broker that is away costs one short attempt, then silence for a while: intake
must go on meanwhile, and whoever rings again later rings for the same rows.
"""

import logging
import time
from collections.abc import Iterable

from celery import Task
from kombu.exceptions import OperationalError

SILENCE = 5.0  # seconds for which a bell that did not ring is left alone

log = logging.getLogger(__name__)


class Doorbell:
    """One process's way to the workers; tells once per outage that it is cut."""

    def __init__(self) -> None:
        self.quiet_until = 0.0
        self.cut = False

    def ring(
        self, task: Task, keys: Iterable[int], *, expires: float | None = None
    ) -> None:
        """Send one message a key, or none of the rest if the broker is away.

        expires: seconds after which nobody heeds it, for one that rings again.
        """
        if time.monotonic() < self.quiet_until:
            return
        try:
            for key in keys:
                task.apply_async((key,), expires=expires)
                self._note(cut=False)
        except OperationalError as error:
            self.quiet_until = time.monotonic() + SILENCE
            self._note(cut=True, why=error)

    def _note(self, *, cut: bool, why: object = "") -> None:
        if cut and not self.cut:
            log.warning("The broker is away; studies wait in the database: %s", why)
        if self.cut and not cut:
            log.info("The broker answers again")
        self.cut = cut
