"""A real training worker, killed in the middle of a job."""

import json
import time

import pytest

EPOCHS = 60
START = f"""
import tempfile
from pathlib import Path
from clinic import jobs, registry
from clinic.pacs import open_pacs
from tests.clinic.factories import make_user
from tests.clinic.judged import save_parent, take_in
administrator = make_user("administrator")
folder = Path(tempfile.mkdtemp(), "tiny")
save_parent(folder)
version = registry.register(folder=folder, by=administrator)
registry.promote(version=version, by=administrator, reason="A test.")
take_in(open_pacs(), make_user("radiologist"))
jobs.start(parent=version, by=administrator, epochs={EPOCHS}, rate=1e-3)
"""


@pytest.mark.timeout(300)
def test_a_killed_training_goes_on_in_another_worker(on_sqlite):
    assert on_sqlite.script(START, "start").wait(120) == 0, on_sqlite.log("start")
    on_sqlite.watch()
    victim = on_sqlite.worker("training", "victim")

    def job(column):
        return on_sqlite.rows(f"SELECT {column} FROM clinic_job")[0][0]

    on_sqlite.until(lambda: len(json.loads(job("history"))) >= 2, 120, "an epoch")
    victim.kill()
    victim.wait()
    assert job("state") == "running"
    assert on_sqlite.count("clinic_modelversion") == 1
    on_sqlite.let_leases_run_out()
    on_sqlite.worker("training", "successor")
    on_sqlite.until(lambda: job("state") != "running", 200, "the end")
    # Every new epoch counts the attempts anew.
    assert (job("state"), job("reason"), job("attempts")) == ("done", "", 1)
    epochs = [entry["epoch"] for entry in json.loads(job("history"))]
    assert epochs == list(range(1, EPOCHS + 1))
    # What the first worker had learnt was not learnt again.
    assert "epoch 1:" in on_sqlite.log("victim")
    assert "epoch 1:" not in on_sqlite.log("successor")
    assert f"epoch {EPOCHS}:" in on_sqlite.log("successor")
    stages = "SELECT stage FROM clinic_modelversion ORDER BY id"
    assert on_sqlite.rows(stages) == [("active",), ("candidate",)]


MAKE = """
from clinic.models import Job
from tests.clinic.factories import make_job, make_user
administrator = make_user("administrator")
for _ in range(2):
    make_job(by=administrator)
"""
CLAIM = """
import time
from clinic import jobs
time.sleep(max(0, START - time.time()))
print("had", [pk for pk in PKS if jobs.claim(pk=pk)], flush=True)
"""
HANG = """
import time
from clinic import jobs
from clinic.models import Job
from django.contrib.auth.models import User
held = jobs.claim(pk=Job.objects.order_by("pk").first().pk)
with jobs.alive(held):
    jobs.cancel(job=held, by=User.objects.first())
    time.sleep(60)
print("outlived its claim", flush=True)
"""


@pytest.mark.timeout(120)
def test_of_many_workers_one_gets_one_job(installation):
    assert installation.script(MAKE, "make").wait(60) == 0, installation.log("make")
    pks = [row[0] for row in installation.rows("SELECT id FROM clinic_job")]
    code = CLAIM.replace("START", str(time.time() + 12)).replace("PKS", str(pks))
    names = [f"claim-{n}" for n in range(4)]
    for process in [installation.script(code, name) for name in names]:
        assert process.wait(60) == 0
    had = [installation.log(name).split("had ")[1].strip() for name in names]
    assert sorted(had) == [f"[{pks[0]}]", "[]", "[]", "[]"]
    assert installation.count("clinic_job", "state = 'running'") == 1


@pytest.mark.timeout(120)
def test_work_that_is_stuck_after_its_job_was_taken_ends_with_its_process(installation):
    installation.env["OSTEON_LEASE_SECONDS"] = "1"
    assert installation.script(MAKE, "make").wait(60) == 0, installation.log("make")
    assert installation.script(HANG, "hang").wait(40) == 1
    assert "outlived" not in installation.log("hang")
    assert "goes on though it was taken away" in installation.log("hang")
    assert installation.count("clinic_job", "state = 'cancelled'") == 1
