"""Real workers reading real studies while the broker, or they themselves, die."""

import json
import socket
import threading

import pytest

from tests.inference import tiny

SERVE = """
from pathlib import Path
from clinic import registry
version = registry.register(folder=Path("FOLDER"), by=None)
registry.promote(version=version, by=None, reason="A test.")
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny.save(folder)
    return folder


@pytest.fixture
def serving(on_sqlite, artifact):
    """An installation with a small model in service."""
    script = SERVE.replace("FOLDER", str(artifact))
    assert on_sqlite.script(script, "serve").wait(60) == 0
    return on_sqlite


@pytest.fixture
def mute_pacs():
    """An address that takes every question and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def listen():
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()


def push(installation, seeds):
    for seed in seeds:
        for file in tiny.images(seed):
            installation.pacs.store(file)


def settled(installation):
    return json.loads(installation.manage("ledger"))["settled"]


def test_a_broker_killed_in_a_burst_delays_and_loses_nothing(serving, redis):
    serving.env["BROKER_URL"] = redis.url
    serving.watch()
    for name in ("one", "two"):
        serving.worker("reading,explaining", name)
    push(serving, range(4))
    serving.until(lambda: serving.count("clinic_prediction") > 1, 90)
    redis.kill(forget=True)
    push(serving, range(4, 6))
    serving.until(lambda: serving.count("clinic_instance") == 12, 60)
    redis.restart()
    read = "state = 'read'"
    serving.until(lambda: serving.count("clinic_study", read) == 6, 120)
    serving.until(lambda: serving.count("clinic_overlay") == 24, 120)
    assert serving.count("clinic_prediction") == 6
    assert serving.count("clinic_auditevent", "action = 'study.read'") == 6
    assert serving.count("clinic_auditevent", "action = 'prediction.explained'") == 6
    assert settled(serving)


def test_a_worker_killed_while_it_reads_is_replaced_by_another(serving, mute_pacs):
    serving.watch()
    hanging = {"OSTEON_PACS": "orthanc", "ORTHANC_URL": mute_pacs}
    victim = serving.worker(name="victim", OSTEON_PACS_TIMEOUT="60", **hanging)
    push(serving, [1])
    reading = "state = 'reading'"
    serving.until(lambda: serving.count("clinic_study", reading) == 1, 60)
    victim.kill()
    victim.wait()
    serving.let_leases_run_out()
    serving.worker(name="successor")
    serving.until(lambda: serving.count("clinic_study", "state = 'read'") == 1, 90)
    assert serving.rows("SELECT attempts, revision FROM clinic_study") == [(2, 1)]
    assert serving.count("clinic_prediction") == 1


BESIDE = """
from dataclasses import replace
from pathlib import Path
from clinic import registry
from tests.inference import tiny
tiny.save(Path("FOLDER"), replace(tiny.SPEC, name="beside"))
version = registry.register(folder=Path("FOLDER"), by=None)
registry.shadow(version=version, by=None, reason="A test.")
"""


def test_the_shadow_reads_in_a_worker_of_its_own_and_holds_up_nobody(serving, tmp_path):
    script = BESIDE.replace("FOLDER", str(tmp_path / "beside"))
    assert serving.script(script, "beside").wait(60) == 0
    serving.watch()
    serving.worker("reading,explaining", "clinical")
    push(serving, range(2))
    serving.until(lambda: serving.count("clinic_overlay") == 8, 120)
    assert settled(serving)  # though nobody has read for the shadow yet
    assert serving.count("clinic_shadowreading") == 0
    serving.worker("shadow")
    read = "state = 'read'"
    serving.until(lambda: serving.count("clinic_shadowreading", read) == 2, 120)
    assert serving.count("clinic_prediction") == 2
    assert settled(serving)
