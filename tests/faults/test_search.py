"""Real search workers, one of them killed in the middle of a candidate."""

import pytest

START = """
from tests.clinic.factories import make_search, make_user
make_search(make_user("administrator"), budget=5, workers=2, finals=1)
"""
WORK = """
import os, time
from pathlib import Path
from clinic import trials
from clinic.models import Job
from clinic.trials import Outcome

def train(trial, tell):
    tell(0.1)
    while Path(os.environ["OSTEON_DATA"], "hang").exists():
        time.sleep(0.1)
    return Outcome([float(trial.number)])

while due := trials.sweep():
    trials.work(trial_id=due[0], evaluate=train)
"""


@pytest.mark.timeout(300)
def test_a_killed_worker_loses_its_trial_only_and_that_runs_again(on_sqlite):
    assert on_sqlite.script(START, "start").wait(120) == 0, on_sqlite.log("start")
    hang = on_sqlite.data / "hang"
    hang.touch()
    victim = on_sqlite.script(WORK, "victim")
    on_sqlite.until(
        lambda: on_sqlite.count("clinic_trial", "done > 0") == 1, 120, "a trial"
    )
    victim.kill()
    victim.wait()
    hang.unlink()
    assert on_sqlite.count("clinic_trial", "state = 'running'") == 1
    on_sqlite.let_leases_run_out()
    successor = on_sqlite.script(WORK, "successor")
    assert successor.wait(200) == 0, on_sqlite.log("successor")
    rows = on_sqlite.rows("SELECT state, attempts FROM clinic_trial ORDER BY number")
    assert rows == [("done", 2)] + [("done", 1)] * 5
