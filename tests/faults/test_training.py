"""A real training, killed in its middle: a worker's, and one without a clinic."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.search.test_run import folder_of_phantoms

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


LEARN = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from safetensors.torch import save_file
from search.data import examples
from search.parts import Parts
from search.run import prepared
from search.together import fit
from search.trainee import Stage
from tests.search.test_run import PLAN, RECIPE
room = Path(sys.argv[1])
stages = Stage(2, 1.0, True, 1e-3), Stage(2, 1.0, False, 1e-3)

def learn(name, last):
    told = []

    def tell(history, done):
        told.append(done)
        if done > last:  # in the middle of an epoch, without a word
            os.kill(os.getpid(), signal.SIGKILL)

    parts = Parts.of(examples(room / "phantoms"))
    material, _ = prepared(parts, RECIPE, room / "work")
    progress = fit(replace(PLAN, stages=stages), material, room / name, tell=tell)
    best = {k: v.contiguous() for k, v in progress.best.items()}
    save_file(best, room / f"{name}.safetensors")
    print(name, "from epoch", int(told[0]), flush=True)

ends = []
for name, last in ("killed", 2.2), ("killed", 99), ("whole", 99):
    child = os.fork()  # a process each, for no more than one start of Python
    if not child:
        learn(name, last)
        os._exit(0)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("ends", ends)
"""
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_a_killed_training_ends_in_the_weights_of_one_that_never_was(tmp_path):
    folder_of_phantoms(tmp_path / "phantoms", 40)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    asked = [sys.executable, "-c", LEARN, str(tmp_path)]
    said = subprocess.run(asked, cwd=ROOT, env=env, capture_output=True, check=True)
    assert said.stdout.decode().splitlines() == [
        "killed from epoch 2",
        "whole from epoch 0",
        f"ends [{-signal.SIGKILL}, 0, 0]",
    ]
    killed = load_file(tmp_path / "killed.safetensors")
    whole = load_file(tmp_path / "whole.safetensors")
    assert whole and all(torch.equal(killed[name], whole[name]) for name in whole)


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
