"""The watcher while things around it end, and while it is ended itself."""

import signal
import time

import processes


def test_killed_again_and_again_it_loses_nothing_and_doubles_nothing(on_sqlite):
    for study in range(40):
        on_sqlite.push(study, images=1)
    for attempt in range(4):
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
    on_sqlite.until(lambda: on_sqlite.count("clinic_instance") == 80)
    assert on_sqlite.count("clinic_study") == 80
    assert on_sqlite.count("clinic_auditevent", "action = 'study.received'") == 80
    assert '"broken": []' in on_sqlite.manage("ledger", "--verify")


def test_asked_to_end_it_ends_at_once(on_sqlite):
    watcher = on_sqlite.watch()
    on_sqlite.until(lambda: on_sqlite.count("clinic_pacscursor") == 1)
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(3) == 0


def test_a_broker_that_is_away_delays_no_intake_and_is_told_once(on_sqlite):
    port = processes.free_port()
    on_sqlite.watch(BROKER_URL=f"redis://127.0.0.1:{port}/0")
    on_sqlite.push(1)
    on_sqlite.until(lambda: on_sqlite.count("clinic_instance") == 2)
    on_sqlite.until(lambda: "broker is away" in on_sqlite.log("watch"))
    begun = time.monotonic()
    on_sqlite.push(2)
    on_sqlite.until(lambda: on_sqlite.count("clinic_instance") == 4)
    assert time.monotonic() - begun < 3
    time.sleep(6)  # longer than the silence after a bell that did not ring
    assert on_sqlite.log("watch").count("broker is away") == 1
    assert on_sqlite.count("clinic_study", "state = 'waiting'") == 2
