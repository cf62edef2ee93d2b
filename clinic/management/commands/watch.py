"""`manage.py watch`: takes in what the PACS received, and rings for what is due.

A process of its own rather than a periodic task: intake goes on while the broker
is away, and the sweeper rings again for whatever nobody has begun.
"""

import logging
import signal
import threading
import time
from collections.abc import Iterable

from celery import Task
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections

from clinic import intake, shadows, tasks, trials
from clinic.doorbell import Doorbell
from clinic.models import Job, Prediction
from clinic.pacs import Pacs, open_pacs

PAUSE = 0.25  # seconds between two looks at the feed
# Seconds between two looks for what can wait: the door, explanations, learning.
SWEEP = 5.0
AT_ONCE = 16  # explanations, shadows or trials rung for in one sweep
# Seconds in which a sweep's bell counts. Each sweep rings anew for what still waits: a
# worker busy for hours would find thousands. Clocks may differ by less than this.
HEARD = 60.0

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Take in what the PACS receives and have it read, until told to stop."

    def handle(self, **_: object) -> None:
        stop = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        watcher = Watcher(open_pacs())
        while not stop.is_set():
            watcher.look()
            stop.wait(PAUSE)


class Watcher:
    def __init__(self, pacs: Pacs) -> None:
        self.pacs, self.bell = pacs, Doorbell()
        self.swept = time.monotonic()

    def look(self) -> None:
        """Take in, ring. A database that is away is waited for, like the others."""
        close_old_connections()
        try:
            due = intake.sync(self.pacs)
            self.bell.ring(tasks.read_study, [study.pk for study in due])
            if time.monotonic() - self.swept > SWEEP:
                self.sweep()
        except (OperationalError, InterfaceError) as error:
            log.warning("The database is away or busy: %s", error)

    def sweep(self) -> None:
        """Ring for explanations whose bell was lost, for the shadow, jobs and trials.

        Only here: who reads for a person knows nothing of the shadow.
        """
        intake.knock(pacs=self.pacs)
        self.swept = time.monotonic()
        lost = Prediction.objects.unexplained().values_list("pk", flat=True)
        self._ring(tasks.explain_prediction, lost[:AT_ONCE])
        unseen = shadows.due().values_list("pk", flat=True)
        self._ring(tasks.shadow_prediction, unseen[:AT_ONCE])
        due = Job.objects.due().values_list("pk", flat=True)
        self._ring(tasks.run_job, due[:1])
        self._ring(tasks.run_trial, trials.sweep()[:AT_ONCE])
        unprovided = Job.objects.unprovided().values_list("pk", flat=True)
        self._ring(tasks.provide_search, unprovided[:1])
        over = Job.objects.over().values_list("pk", flat=True)
        self._ring(tasks.conclude_search, over[:1])

    def _ring(self, task: Task, keys: Iterable[int]) -> None:
        self.bell.ring(task, keys, expires=HEARD)
