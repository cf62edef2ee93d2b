"""What the watcher rings for, and for how long a bell of its counts."""

import time

import pytest

from clinic import tasks
from clinic.management.commands.watch import HEARD, SWEEP, Watcher
from clinic.pacs.embedded import EmbeddedPacs
from tests.clinic.factories import make_search

pytestmark = pytest.mark.django_db


@pytest.fixture
def watcher(settings):
    return Watcher(EmbeddedPacs(settings.EMBEDDED_ROOT))


def test_a_bell_that_is_rung_again_expires(watcher, administrator, monkeypatch):
    """Who comes back after hours of training finds no thousands of them."""
    trial, sent = make_search(administrator, workers=1).trials.get(), []

    def send(args, **options):
        sent.append((args, options["expires"]))

    monkeypatch.setattr(tasks.run_trial, "apply_async", send)
    for _ in range(2):
        watcher.swept = time.monotonic() - SWEEP - 1
        watcher.look()
    assert sent == [((trial.pk,), HEARD)] * 2
    assert HEARD > 2 * SWEEP
