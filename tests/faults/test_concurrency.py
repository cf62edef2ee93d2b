"""Several processes at once, on each database that Osteon supports."""

import json

import pytest

RECORD = """
from clinic import audit
for number in range(40):
    audit.record("thing.done", f"thing/{number}", by="NAME")
"""


def test_the_audit_chain_never_forks(installation):
    writers = [
        installation.script(RECORD.replace("NAME", name), f"writer-{name}")
        for name in "abcd"
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert installation.count("clinic_auditevent") == 160
    assert '"broken": []' in installation.manage("ledger", "--verify")


def test_two_watchers_take_each_object_in_once(installation):
    for study in range(12):
        installation.push(study)
    for name in ("one", "two", "three"):
        installation.watch(name)
    for study in range(12, 24):
        installation.push(study)
    installation.until(lambda: installation.count("clinic_instance") == 48, 40)
    assert installation.count("clinic_study") == 24
    received = "action = 'study.received'"
    rows = installation.rows(f"SELECT detail FROM clinic_auditevent WHERE {received}")
    assert sum(detail["objects"] for detail in map(parsed, rows)) == 48
    assert '"broken": []' in installation.manage("ledger", "--verify")


def parsed(row):
    return row[0] if isinstance(row[0], dict) else json.loads(row[0])


SUBMIT = """
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from clinic import review
from clinic.models import Prediction
user = User.objects.create(username="NAME")
prediction = Prediction.objects.get()
for _ in range(10):
    review.submit(prediction=prediction, radiologist=user, verdict="VERDICT")
"""
PREPARE = """
from tests.clinic.factories import make_prediction
make_prediction()
"""


def test_two_who_judge_at_once_both_stand_and_the_later_settles(installation):
    assert installation.script(PREPARE, "prepare").wait(30) == 0
    people = [
        installation.script(
            SUBMIT.replace("NAME", name).replace("VERDICT", verdict), name
        )
        for name, verdict in [("ada", "fracture"), ("bob", "unsure")]
    ]
    assert [person.wait(60) for person in people] == [0, 0]
    assert installation.count("clinic_review") == 20
    latest = "SELECT verdict FROM clinic_review ORDER BY id DESC LIMIT 1"
    assert installation.rows(latest) == installation.rows(
        "SELECT verdict FROM clinic_study"
    )


MODELS = """
from dataclasses import replace
from pathlib import Path
from clinic import registry
from clinic.models import ModelVersion
from tests.inference import tiny
for name in ("ada", "bob"):
    tiny.save(Path("FOLDER", name), replace(tiny.SPEC, name=name))
    registry.register(folder=Path("FOLDER", name), by=None)
ModelVersion.objects.update(served=True, stage="retired")
"""
BACK = """
from clinic import registry
from clinic.models import ModelVersion
version = ModelVersion.objects.get(name="NAME")
for _ in range(10):
    registry.rollback(version=version, by=None)
"""


def test_of_two_who_change_the_model_at_once_one_serves(installation, tmp_path):
    prepare = installation.script(MODELS.replace("FOLDER", str(tmp_path)), "prepare")
    assert prepare.wait(60) == 0, installation.log("prepare")
    people = [
        installation.script(BACK.replace("NAME", name), name) for name in ("ada", "bob")
    ]
    assert [person.wait(60) for person in people] == [0, 0]
    assert installation.count("clinic_modelversion", "stage = 'active'") == 1
    changes = installation.count("clinic_auditevent", "action = 'model.rolled_back'")
    assert 2 <= changes <= 20
    assert '"broken": []' in installation.manage("ledger", "--verify")


SEARCH = """
from tests.clinic.factories import make_search, make_user
make_search(make_user("administrator"), budget=24, workers=2, finals=2)
"""
TRY = """
import time
from clinic import search, trials
from clinic.models import Job, Trial
from clinic.trials import Outcome
while not search.is_over(Job.objects.get()):
    for pk in trials.sweep():
        trials.work(trial_id=pk, evaluate=lambda trial, tell: Outcome([trial.number]))
    time.sleep(0.01)
"""
PAUSE = """
import time
from django.core.exceptions import ValidationError
from clinic import jobs, search
from clinic.models import Job
paused = 0
while not search.is_over(job := Job.objects.get()):
    try:
        search.pause(job=job, by=None)
        time.sleep(0.02)
        jobs.resume(job=job, by=None)
        paused += 1
    except ValidationError as error:
        print(error)
    time.sleep(0.05)
assert paused > 3, paused
"""


@pytest.mark.parametrize("meddlers", [{}, {"pauser": PAUSE}], ids=["at once", "paused"])
def test_trials_that_end_at_once_each_count_once_though_their_search_is_paused(
    installation, meddlers
):
    """Whoever ends one asks for the next, and there are as many as were asked for."""
    begin = installation.script(SEARCH, "begin")
    assert begin.wait(120) == 0, installation.log("begin")
    running = {name: installation.script(code, name) for name, code in meddlers.items()}
    if running:  # it begins before there is anything to meddle with
        paused = "action = 'search.paused'"
        installation.until(lambda: installation.count("clinic_auditevent", paused), 120)
    running |= {name: installation.script(TRY, name) for name in ("one", "two")}
    for name, process in running.items():
        assert process.wait(200) == 0, installation.log(name)
    assert installation.count("clinic_trial", "state = 'done' AND attempts = 1") == 26
    assert installation.count("clinic_trial") == 26
    ((asked,),) = installation.rows("SELECT asked FROM clinic_job")
    log = asked if isinstance(asked, list) else json.loads(asked)
    told = [entry[1] for entry in log if entry[0] == "tell"]
    assert sorted(told) == list(range(24))
    assert installation.rows("SELECT done FROM clinic_job") == [(26.0,)]
    done = installation.count("clinic_auditevent", "action = 'trial.done'")
    assert done == 26
    assert '"broken": []' in installation.manage("ledger", "--verify")


def test_a_bootstrapped_database_refuses_to_forget(installation):
    installation.manage("bootstrap")
    assert installation.script(PREPARE, "prepare").wait(30) == 0
    judge = installation.script(SUBMIT.replace("VERDICT", "unsure"), "judge")
    assert judge.wait(30) == 0
    for table in ("clinic_auditevent", "clinic_review"):
        with pytest.raises(Exception, match="append-only"):
            installation.rows(f"DELETE FROM {table}")
        assert installation.count(table) > 0


HOSTILE = """
from clinic import audit, intake, review
from clinic.models import Prediction, Study
from tests.clinic.factories import HOSTILE, Shelf, make_prediction, make_user
shelf = Shelf()
for number, text in enumerate(HOSTILE):
    said = shelf.put(study=str(number), sop=f"{number}.1", PatientID=str(number)).tags
    said.update(dict.fromkeys([*said, "PatientSex", "StudyDescription"], text))
intake.sync(shelf)
assert Study.objects.count() == len(HOSTILE)
ada = make_user("radiologist")
for study, text in zip(Study.objects.order_by("pk"), HOSTILE):
    prediction = make_prediction(study)
    review.submit(prediction=prediction, radiologist=ada, verdict="unsure",
                  comment=text[:4000])
    audit.record("thing.done", text, ada, said=text, keys={text: -0.0, "n": 1e22})
assert audit.verify() == []
"""


def test_no_text_upsets_the_database(installation):
    script = installation.script(HOSTILE, "hostile")
    assert script.wait(60) == 0, installation.log("hostile")
