"""A real search through the real tasks: phantoms, tiny views, networks of the space."""

import json
import shutil
from dataclasses import replace

import pytest

from clinic import candidates, jobs, learning, leavings, registry, search, tasks, trials
from clinic.models import AuditEvent, Job, ModelVersion
from clinic.pacs.embedded import EmbeddedPacs
from inference import artifact
from search import train as train_module
from tests.clinic.judged import PARENT, save_parent, take_in
from tests.clinic.searched import begin, boxes_of, draw


@pytest.fixture(autouse=True)
def kept(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"
    yield
    candidates._ground.cache_clear()


@pytest.fixture(scope="module")
def parent_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_parent(folder)
    return folder


@pytest.fixture
def parent(parent_folder, administrator):
    version = registry.register(folder=parent_folder, by=administrator)
    return registry.promote(version=version, by=administrator, reason="A test.")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn") / "phantoms")


@pytest.fixture
def job(parent, images, administrator):
    return begin(parent, images, administrator)


@pytest.fixture
def epochs(monkeypatch):
    """Those that were trained, each by the number of the epoch in its training."""
    trained, epoch = [], train_module._epoch

    def noted(*arguments):
        trained.append(arguments[3])
        return epoch(*arguments)

    monkeypatch.setattr(train_module, "_epoch", noted)
    return trained


def work_through(job):
    while due := trials.sweep():
        trials.work(trial_id=due[0], evaluate=candidates.evaluate)


@pytest.mark.timeout(900)
def test_a_bell_sees_a_search_through_to_a_registered_candidate(
    rings, job, parent, images
):
    rings(tasks.run_trial, job.trials.get().pk)
    job.refresh_from_db()
    assert (job.state, job.reason, job.holder) == ("done", "", "")
    rows = list(job.trials.order_by("number"))
    assert [row.stage for row in rows] == ["candidate"] * 3 + ["final"]
    assert {(row.state, row.attempts) for row in rows} == {("done", 1)}
    assert [len(row.measured["history"]) for row in rows] == [1, 1, 1, 2]
    best = max(rows[:3], key=lambda row: row.values)
    assert rows[3].architecture == best.architecture
    model = job.candidate
    assert (model.stage, model.name) == ("candidate", "ofa-1.0")
    card = model.card
    assert card["search"]["architecture"] == best.architecture
    assert card["history"] == rows[3].measured["history"]
    assert card["data"]["digest"] == job.parameters["evaluation"]["digest"]
    told = job.compared["candidate"]
    assert told["parameters"] == rows[3].measured["parameters"]
    assert told["madds"] == rows[3].measured["madds"]
    assert told["by_image"]["cases"] == card["test"]["cases"] == 2
    assert job.compared["incumbent"]["by_image"]["cases"] == 2
    assert job.compared["incumbent_digest"] == parent.digest
    judged = registry.judgement(model, parent)
    assert not [words for words in judged.blockers if "holdout" in words]
    assert not (leavings.room(job) / "trials").exists()
    assert AuditEvent.objects.filter(action="search.done").count() == 1
    before = Job.objects.values().get(), ModelVersion.objects.count()
    rings(tasks.conclude_search, job.pk)  # rung twice, and late
    assert (Job.objects.values().get(), ModelVersion.objects.count()) == before


@pytest.mark.timeout(900)
def test_what_broke_off_goes_on_from_its_last_epoch(job, epochs, monkeypatch):
    """A final, killed after one of two epochs; then the making of the model."""
    while (due := trials.sweep()) and len(epochs) < 3:
        trials.work(trial_id=due[0], evaluate=candidates.evaluate)
    final = job.trials.get(stage="final")
    assert epochs == [0, 0, 0]

    save = train_module.Trainee.save

    def save_and_die(trainee, folder, progress):
        save(trainee, folder, progress)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(train_module.Trainee, "save", save_and_die)
        trials.work(trial_id=final.pk, evaluate=candidates.evaluate)
    expire(final)
    work_through(job)
    assert epochs == [0, 0, 0, 0, 1]
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(candidates, "comparison", lambda *_: raise_(KeyboardInterrupt))
        candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, bool(job.holder)) == ("running", True)
    candidates.conclude(job_id=job.pk)  # another one has it, as far as anybody knows
    assert Job.objects.get().candidate is None
    expire(job)
    candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("done", 2)
    assert epochs == [0, 0, 0, 0, 1]  # the winner's weights were kept


def raise_(error):
    raise error


def expire(row):
    type(row).objects.filter(pk=row.pk).update(lease_until="2001-01-01T00:00:00Z")


@pytest.mark.timeout(900)
def test_weights_that_are_not_on_this_machine_are_trained_again(job, epochs):
    work_through(job)
    shutil.rmtree(leavings.room(job))
    candidates._ground.cache_clear()
    candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    final = job.trials.get(stage="final")
    assert epochs == [0, 0, 0, 0, 1, 0, 1]
    assert job.candidate.card["history"] == final.measured["history"]


@pytest.mark.timeout(900)
def test_a_second_objective_is_better_the_less_there_is_of_it(parent, images):
    job = begin(parent, images, objective=("auroc", "parameters"))
    trials.work(trial_id=job.trials.get().pk, evaluate=candidates.evaluate)
    first = job.trials.get(number=0)
    assert first.values == [first.measured["auroc"], -first.measured["parameters"]]
    second = job.trials.get(number=1)
    trials.work(trial_id=second.pk, evaluate=candidates.evaluate)
    folder = leavings.room(job) / "trials"
    assert [path.name for path in folder.iterdir()] == ["1"]  # one checkpoint at a time


@pytest.mark.timeout(900)
def test_a_search_on_patches_ends_in_a_model_of_whole_views(parent, images, tmp_path):
    detector = boxes_of(images, tmp_path / "results.json")
    asked = {"objective": ("aufroc", "parameters"), "patches": detector}
    job = begin(parent, images, budget=1, size=(40, 36), **asked)
    work_through(job)
    rows = list(job.trials.order_by("number"))
    assert [row.state for row in rows] == ["done"] * 2
    for row in rows:
        known = row.measured
        assert row.values == [known["aufroc"], -known["parameters"]]
        assert 0 <= known["aufroc"] <= 1 and 0 <= known["auroc"] <= 1
    ground = candidates._ground(job, leavings.room(job))
    assert ground.task.proposed.samples.pixels.shape[1:] == (40, 36)
    candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("done", "")
    folder = leavings.room(job) / "model"
    looks = artifact.load_spec(folder).recipe
    assert (looks.height, looks.width) == (96, 64) != (40, 36)
    assert PARENT.recipe == replace(
        looks, mean=PARENT.recipe.mean, std=PARENT.recipe.std
    )
    card = artifact.load_card(folder)
    assert card["search"]["patches"] == job.parameters["evaluation"]["patches_digest"]
    assert len(card["history"]) == 2
    assert card["test"]["cases"] == 2  # whole images
    assert "aufroc" not in card["history"][0]


def test_another_detector_than_at_the_start_ends_the_search_in_words(
    parent, images, tmp_path
):
    detector = boxes_of(images, tmp_path / "results.json")
    job = begin(parent, images, objective=("aufroc",), patches=detector)
    detector.write_text("[]")
    work_through(job)
    job.refresh_from_db()
    words = "results.json does not propose the patches this search began with."
    assert (job.state, job.reason) == ("failed", words)


def test_radiographs_that_were_changed_end_the_search_in_words(job, images, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(images, moved)
    said = job.parameters | {
        "evaluation": job.parameters["evaluation"] | {"images": str(moved)}
    }
    Job.objects.filter(pk=job.pk).update(parameters=said)
    kept = (moved / "0.png").read_bytes()
    (moved / "0.png").write_bytes((moved / "1.png").read_bytes())
    work_through(job)
    job.refresh_from_db()
    trial = job.trials.get()
    assert (job.state, trial.state, trial.attempts) == ("failed", "queued", 0)
    assert "not those this search began with" in job.reason
    (moved / "0.png").write_bytes(kept)
    jobs.resume(job=job, by=None)
    assert trials.sweep() == [trial.pk]


def test_a_supernet_that_was_changed_ends_the_search_in_words(job, tmp_path):
    other = tmp_path / "supernet"
    other.write_bytes(b"anything")
    said = job.parameters["evaluation"] | {
        "supernet": str(other),
        "supernet_digest": "0",
    }
    Job.objects.filter(pk=job.pk).update(
        parameters=job.parameters | {"evaluation": said}
    )
    work_through(job)
    job.refresh_from_db()
    assert (job.state, job.reason) == (
        "failed",
        "supernet is not the supernet this search began with.",
    )


@pytest.mark.timeout(900)
def test_a_search_on_verdicts_freezes_them_once(
    parent, radiologist, administrator, settings, monkeypatch
):
    take_in(EmbeddedPacs(settings.EMBEDDED_ROOT), radiologist)
    verdicts = learning.choose().to_json()
    agreed = candidates.Terms(epochs=1, final_epochs=1, batch=8)
    job = search.start(
        parent=parent,
        by=administrator,
        space="ofa-1.0",
        strategy="random",
        budget=2,
        finals=0,
        size=(96, 64),
        evaluation=json.loads(json.dumps(agreed.to_json())),
        verdicts=verdicts,
    )
    frozen, freeze = [], learning.freeze
    monkeypatch.setattr(
        learning, "freeze", lambda **said: frozen.append(1) or freeze(**said)
    )
    work_through(job)
    candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, frozen) == ("done", [1])
    folder = leavings.room(job) / f"verdicts-{job.pk}"
    assert learning.digest(folder) == job.data_digest
    assert artifact.load_card(leavings.room(job) / "model")["test"]["cases"] == 8


def test_a_pacs_that_is_away_costs_no_try(parent, administrator, radiologist, settings):
    take_in(EmbeddedPacs(settings.EMBEDDED_ROOT), radiologist)
    job = search.start(
        parent=parent,
        by=administrator,
        space="ofa-1.0",
        strategy="random",
        budget=1,
        size=(96, 64),
        evaluation=candidates.Terms().to_json(),
        verdicts=learning.choose().to_json(),
    )
    settings.PACS, settings.ORTHANC_URL = "orthanc", "http://127.0.0.1:9"
    trial = job.trials.get()
    trials.work(trial_id=trial.pk, evaluate=candidates.evaluate)
    trial.refresh_from_db()
    assert (trial.state, trial.attempts) == ("queued", 0)
    assert trials.sweep() == []  # not before a while
