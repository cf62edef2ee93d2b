"""Real search workers, one of them killed in the middle of a candidate."""

import json
import shutil
import signal
import time

import processes
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
    tell(0.1, 0.0)
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


SERVE = """
import os, time
from pathlib import Path
from types import SimpleNamespace
import clinic
from clinic import tasks, trials
from clinic.celery import app
from clinic.trials import Outcome

def train(trial, tell):
    while Path(os.environ["OSTEON_DATA"], "hang").exists():
        time.sleep(0.1)  # deaf: it tells nothing and hears nothing
    return Outcome([1.0])

clinic.candidates = SimpleNamespace(evaluate=train)  # no torch is needed
for due in trials.sweep():
    tasks.run_trial.delay(due)
worker = ["--pool", "solo", "--without-gossip", "--without-mingle", "-Q", "search"]
app.worker_main(["worker", *worker, "-n", "search@%h"])
"""
ONE = """
from tests.clinic.factories import make_search, make_user
make_search(make_user("administrator"), budget=1, workers=1, finals=0)
"""


@pytest.mark.timeout(200)
def test_restarts_take_no_try_from_the_trial_in_flight(on_postgres, redis):
    """The search worker is stopped as `./run` stops it, as often as a candidate has
    tries, and then finishes it."""
    clinic, hang = on_postgres, on_postgres.data / "hang"
    clinic.env["BROKER_URL"] = redis.url
    assert clinic.script(ONE, "one").wait(60) == 0, clinic.log("one")
    hang.touch()
    row = "SELECT state, attempts, tries FROM clinic_trial"
    due = "UPDATE clinic_trial SET due_at = '2001-01-01 00:00:00Z' RETURNING id"
    claimed = [("running", 1, 1)]
    for name in ("stopped", "stopped again"):
        clinic.rows(due)
        worker = clinic.script(SERVE, name)
        clinic.until(lambda: clinic.rows(row) == claimed, 60, "a claim")
        processes.stop(worker)
        assert clinic.rows(row) == [("queued", 0, 0)], clinic.log(name)
    hang.unlink()
    clinic.rows(due)
    clinic.script(SERVE, "last")
    clinic.until(lambda: clinic.rows(row) == [("done", 1, 1)], 60, "the end")


BEGIN = """
import os
from pathlib import Path
from clinic import registry
from tests.clinic.judged import save_parent
from tests.clinic.searched import begin, draw
data = Path(os.environ["OSTEON_DATA"])
save_parent(data / "tiny")
version = registry.register(folder=data / "tiny", by=None)
registry.promote(version=version, by=None, reason="A test.")
begin(version, draw(data / "phantoms"), budget=1, final_epochs=6)
"""
TRAIN = """
from clinic import candidates, trials
from clinic.models import Job
while due := trials.sweep():
    trials.work(trial_id=due[0], evaluate=candidates.evaluate)
for pk in Job.objects.over().values_list("pk", flat=True):
    candidates.conclude(job_id=pk)
"""


@pytest.mark.timeout(900)
def test_what_a_killed_worker_had_learnt_is_not_learnt_again(on_sqlite):
    """Real networks: killed in the best candidate's long training, taken up by another
    process, which then makes the model."""
    assert on_sqlite.script(BEGIN, "begin").wait(300) == 0, on_sqlite.log("begin")
    victim = on_sqlite.script(TRAIN, "victim")
    learnt = on_sqlite.data / "jobs" / "1" / "trials" / "1" / "checkpoint.safetensors"
    on_sqlite.until(learnt.exists, 400, "the first epoch at length")
    victim.kill()
    victim.wait()
    states = "SELECT stage, state, attempts FROM clinic_trial ORDER BY number"
    assert on_sqlite.rows(states) == [("candidate", "done", 1), ("final", "running", 1)]
    on_sqlite.let_leases_run_out()
    successor = on_sqlite.script(TRAIN, "successor")
    assert successor.wait(400) == 0, on_sqlite.log("successor")
    assert on_sqlite.rows(states) == [("candidate", "done", 1), ("final", "done", 2)]
    assert on_sqlite.rows("SELECT state, reason FROM clinic_job") == [("done", "")]
    ((measured,),) = on_sqlite.rows(
        "SELECT measured FROM clinic_trial WHERE stage = 'final'"
    )
    epochs = [entry["epoch"] for entry in json.loads(measured)["history"]]
    assert epochs == list(range(1, 7))
    assert "epoch 1:" in on_sqlite.log("victim")
    assert "epoch 1:" not in on_sqlite.log("successor")
    stages = "SELECT stage FROM clinic_modelversion ORDER BY id"
    assert on_sqlite.rows(stages) == [("active",), ("candidate",)]


MODEL = """
import os
from pathlib import Path
from clinic import registry
from tests.clinic.judged import save_parent
from tests.clinic.searched import draw
data = Path(os.environ["OSTEON_DATA"])
save_parent(data / "tiny")
version = registry.register(folder=data / "tiny", by=None)
registry.promote(version=version, by=None, reason="A test.")
draw(data / "phantoms")
"""
TRIALS = "SELECT stage, state, attempts FROM clinic_trial ORDER BY number"


def caught(installation, worker):
    """The number of the trial that `worker` is in the middle of, stopped there."""
    its = f"state = 'running' AND holder LIKE '%:{worker.pid}:%'"
    asked = f"SELECT number FROM clinic_trial WHERE {its}"
    while True:
        installation.until(lambda: installation.rows(asked), 200, "a trial of its own")
        worker.send_signal(signal.SIGSTOP)
        time.sleep(0.5)  # what it has sent to the database before may still arrive
        if found := installation.rows(asked):
            return found[0][0]
        worker.send_signal(signal.SIGCONT)


@pytest.mark.timeout(900)
def test_two_machines_of_which_one_dies_and_a_broker_that_does_too(on_postgres, redis):
    """`search start … --trials 6`: workers with disks of their own, the radiographs
    gone from where they lay; no candidate is lost, and the model is made."""
    clinic = on_postgres
    clinic.env["BROKER_URL"] = redis.url
    assert clinic.script(MODEL, "model").wait(300) == 0, clinic.log("model")
    phantoms = clinic.data / "phantoms"
    asked = ["--images", phantoms, "--space", "ofa-1.0", "--strategy", "random"]
    asked += ["--trials", 6, "--workers", 2, "--finals", 1, "--size", 64, 64]
    asked += ["--epochs", 1, "--final-epochs", 1, "--batch", 8]
    said = clinic.manage("search", "start", *map(str, asked))
    assert "MB in the artifact store" in said
    shutil.rmtree(phantoms)
    clinic.watch()
    clinic.worker("training")
    victim = clinic.worker("search", "victim", **clinic.machine("one"))
    clinic.worker("search", "survivor", **clinic.machine("two"))
    broken_off = caught(clinic, victim)
    victim.kill()
    victim.wait()
    redis.kill(forget=True)
    expire = "UPDATE clinic_trial SET lease_until = '2001-01-01 00:00:00Z'"
    clinic.rows(f"{expire} WHERE number = {broken_off} RETURNING id")
    redis.restart()
    state = "SELECT state, reason FROM clinic_job"
    clinic.until(lambda: clinic.rows(state)[0][0] != "running", 600, "the end")
    assert clinic.rows(state) == [("done", "")], clinic.log("survivor")
    wanted = [("candidate", "done", 1)] * 6 + [("final", "done", 1)]
    wanted[broken_off] = ("candidate", "done", 2)
    assert clinic.rows(TRIALS) == wanted
    stages = "SELECT stage FROM clinic_modelversion ORDER BY id"
    assert clinic.rows(stages) == [("active",), ("candidate",)]
    assert clinic.rows("SELECT seconds > 0 FROM clinic_job") == [(True,)]
    kept = {path.name for path in (clinic.data.parent / "two").iterdir()}
    assert {"cache", "jobs"} <= kept
    assert not kept & {"models", "phantoms", "store", "pacs"}
