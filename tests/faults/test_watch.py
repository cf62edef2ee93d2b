"""The watcher while things around it end, and while it is ended itself."""

import signal
import time

import processes

from tests.faults.conftest import MANAGE


def test_killed_again_and_again_it_loses_nothing_and_doubles_nothing(on_sqlite):
    for study in range(40):
        on_sqlite.push(study, images=1)
    for attempt in range(3):
        watcher = on_sqlite.watch(f"watch-{attempt}")
        taken = on_sqlite.count("clinic_instance")
        on_sqlite.until(
            lambda before=taken: on_sqlite.count("clinic_instance") > before
        )
        watcher.kill()
        watcher.wait()
        for study in range(40 + attempt * 10, 50 + attempt * 10):
            on_sqlite.push(study, images=1)
    on_sqlite.watch("watch-last")
    on_sqlite.until(lambda: on_sqlite.count("clinic_instance") == 70)
    assert on_sqlite.count("clinic_study") == 70
    assert on_sqlite.count("clinic_auditevent", "action = 'study.received'") == 70
    assert '"broken": []' in on_sqlite.manage("ledger", "--verify")


def test_asked_to_end_it_ends_at_once(on_sqlite):
    watcher = on_sqlite.watch()
    on_sqlite.until(lambda: on_sqlite.count("clinic_pacscursor") == 1)
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(15) == 0


def test_a_door_that_is_shut_is_told_until_it_opens(on_sqlite):
    """What was stored is taken in all the same, so that only a knock can tell."""
    port = processes.free_port()
    on_sqlite.push(1)
    on_sqlite.watch(DICOM_PORT=str(port))
    on_sqlite.until(lambda: on_sqlite.count("clinic_instance") == 2)
    shut = f"shut LIKE '%does not listen on 127.0.0.1:{port}%'"
    on_sqlite.until(lambda: on_sqlite.count("clinic_pacscursor", shut) == 1)
    assert on_sqlite.count("clinic_pacscursor", "trouble = ''") == 1
    on_sqlite.start([*MANAGE, "pacs"], "pacs", DICOM_PORT=str(port))
    on_sqlite.until(lambda: on_sqlite.count("clinic_pacscursor", "shut = ''") == 1)


def test_a_broker_that_is_away_stops_no_intake_and_is_told_once(on_sqlite):
    port = processes.free_port()
    on_sqlite.watch(BROKER_URL=f"redis://127.0.0.1:{port}/0")
    on_sqlite.push(1)
    on_sqlite.until(lambda: "broker is away" in on_sqlite.log("watch"))
    for study in range(2, 14):
        on_sqlite.push(study)
        on_sqlite.until(lambda n=study: on_sqlite.count("clinic_instance") == 2 * n)
        time.sleep(0.5)  # all in all longer than the silence after a lost bell
    assert on_sqlite.log("watch").count("broker is away") == 1
    assert on_sqlite.count("clinic_study", "state = 'waiting'") > 8


def test_a_database_that_throws_everybody_out_is_come_back_to(on_postgres):
    on_postgres.watch()
    on_postgres.push(1)
    on_postgres.until(lambda: on_postgres.count("clinic_instance") == 2)
    for study in (2, 3):
        on_postgres.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        on_postgres.push(study)
        on_postgres.until(lambda n=study: on_postgres.count("clinic_instance") == 2 * n)
