"""A real search through the real tasks: phantoms, tiny views, networks of the space."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from django.conf import settings
from safetensors.torch import load_file

from clinic import (
    candidates,
    freezing,
    jobs,
    learning,
    leavings,
    provisions,
    pseudonyms,
    registry,
    search,
    standings,
    store,
    tasks,
    terms,
    trials,
)
from clinic.models import AuditEvent, Job, ModelVersion
from clinic.pacs import PacsUnavailable, open_pacs
from clinic.pacs.embedded import EmbeddedPacs
from inference import artifact
from search import candidate, closeup, data, dataset, patches
from search import train as train_module
from search.checkpoint import CHECKPOINT
from search.parts import Parts
from tests.clinic.judged import PARENT, save_parent, take_in
from tests.clinic.searched import begin, boxes_of, draw
from tests.search import sides


@pytest.fixture(autouse=True)
def kept(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"
    yield
    candidates._ground.cache_clear()


@pytest.fixture
def elsewhere(settings, tmp_path):
    """Go on on another machine, which shares the database and the store only."""

    def move(name):
        settings.DATA_ROOT = tmp_path / name
        candidates._ground.cache_clear()

    return move


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
    rings, parent, images, administrator, tmp_path
):
    salted = shutil.copytree(images, tmp_path / "salted")
    dataset.write_salt(salted, pseudonyms.names().mark)
    job = begin(parent, salted, administrator)
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
    assert card["salts"] == [pseudonyms.names().mark]
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
    assert store.size(rows[3].measured["weights"]) == 0  # nobody needs them now
    assert store.size(job.pack) > 0
    assert AuditEvent.objects.filter(action="search.done").count() == 1
    before = Job.objects.values().get(), ModelVersion.objects.count()
    rings(tasks.conclude_search, job.pk)  # rung twice, and late
    assert (Job.objects.values().get(), ModelVersion.objects.count()) == before


@pytest.mark.timeout(900)
def test_every_trial_learns_from_the_training_part_alone(
    parent, images, administrator, monkeypatch
):
    learnt, chosen = sides.watched(monkeypatch)
    job = begin(parent, images, administrator, budget=1)
    work_through(job)
    assert job.trials.filter(state="done").count() == 2
    recipe = replace(PARENT.recipe, height=96, width=64)
    sides.check(images, recipe, learnt, chosen)
    # What a supernet had met, the card of whoever began with it is to say.
    ground = candidates._ground(job, leavings.room(job))
    assert ground.behind == {}
    best = job.trials.get(stage="final")
    met = {"learnt_before": {"patients": ["a"], "unnamed": []}}
    assert met.items() <= candidates._facts(best, replace(ground, behind=met)).items()


@pytest.mark.timeout(900)
def test_on_patches_too(parent, images, administrator, tmp_path, monkeypatch):
    learnt, chosen = sides.watched(monkeypatch)
    detector = boxes_of(images, tmp_path / "results.json")
    asked = {"objective": ("aufroc",), "patches": detector}
    job = begin(parent, images, budget=1, size=(40, 36), **asked)
    work_through(job)
    recipe = replace(PARENT.recipe, height=40, width=36)

    def of(side, *most):
        found = getattr(Parts.of(data.examples(images)), side)
        given, _ = patches.prepare(found, detector, recipe, tmp_path / side, *most)
        return {pixels.tobytes() for pixels in given.samples.pixels}

    assert learnt and learnt <= of("training", None)
    assert chosen and chosen <= of("validation")
    for side in "validation", "test":
        assert not learnt & (of(side) | of(side, None))


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
def test_a_model_is_made_on_another_machine_than_that_which_trained(
    job, epochs, elsewhere, images, tmp_path
):
    """The paths of the start are of no use to either."""
    gone = tmp_path / "gone"
    said = job.parameters["evaluation"] | {"images": str(gone)}
    Job.objects.update(parameters=job.parameters | {"evaluation": said})
    elsewhere("trainer")
    work_through(job)
    elsewhere("clinic")
    candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("done", "")
    assert epochs == [0, 0, 0, 0, 1]  # nothing is learnt twice
    final = job.trials.get(stage="final")
    assert job.candidate.card["history"] == final.measured["history"]


@pytest.mark.timeout(900)
def test_weights_that_are_nowhere_are_trained_again(job, epochs, elsewhere):
    work_through(job)
    elsewhere("clinic")
    store.remove(job.trials.get(stage="final").measured["weights"])
    candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert epochs == [0, 0, 0, 0, 1, 0, 1]
    assert "has no" in job.log


def test_a_candidate_that_diverges_is_set_aside_in_words(job, monkeypatch, caplog):
    learning = candidate.learning

    def exploding(*asked):
        found = learning(*asked)
        return replace(found, stages=(replace(found.stages[0], rate=1e30),))

    monkeypatch.setattr(candidate, "learning", exploding)
    trial = job.trials.get()
    for _ in range(trials.TRIES):
        job.trials.update(due_at="2001-01-01T00:00:00Z")
        trials.work(trial_id=trial.pk, evaluate=candidates.evaluate)
    trial.refresh_from_db()
    assert (trial.state, trial.values, trial.measured) == ("failed", None, {})
    assert trial.reason.startswith("The training diverged in epoch 1: ")
    assert not [record for record in caplog.records if record.exc_info]
    job.refresh_from_db()
    assert ["tell", 0, None] in job.asked


def test_a_store_that_is_away_delays_and_costs_no_try(job, settings, tmp_path):
    (tmp_path / "store").rename(tmp_path / "unmounted")
    trial = job.trials.get()
    trials.work(trial_id=trial.pk, evaluate=candidates.evaluate)
    trial.refresh_from_db()
    assert (trial.state, trial.attempts) == ("queued", 0)
    assert "artifact store does not answer" in trial.reason
    assert trials.sweep() == []  # not before a while
    assert Job.objects.get().state == "running"
    (tmp_path / "unmounted").rename(tmp_path / "store")
    trial.job.trials.update(due_at="2001-01-01T00:00:00Z")
    trials.work(trial_id=trial.pk, evaluate=candidates.evaluate)
    trial.refresh_from_db()
    assert (trial.state, trial.reason) == ("done", "")


@pytest.mark.timeout(900)
def test_a_store_that_is_away_delays_the_making_of_the_model(job, tmp_path, elsewhere):
    work_through(job)
    elsewhere("clinic")
    (tmp_path / "store").rename(tmp_path / "unmounted")
    with pytest.raises(store.StoreUnavailable):
        candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.holder) == ("queued", 0, "")
    assert "waiting for the artifact store" in job.step
    (tmp_path / "unmounted").rename(tmp_path / "store")
    Job.objects.update(due_at="2001-01-01T00:00:00Z")
    candidates.conclude(job_id=job.pk)
    assert Job.objects.get().state == "done"


@pytest.mark.timeout(900)
def test_nothing_stays_on_a_machine_that_nobody_needs(
    job, elsewhere, parent, images, tmp_path
):
    elsewhere("trainer")
    work_through(job)
    elsewhere("clinic")
    candidates.conclude(job_id=job.pk)
    assert {path.name for path in (tmp_path / "clinic" / "cache").iterdir()} == {"lock"}
    elsewhere("trainer")
    left = tmp_path / "trainer" / "jobs" / str(job.pk)
    assert (left / "trials").exists() and (left / "work").exists()
    other = begin(parent, images)
    trials.work(trial_id=other.trials.get().pk, evaluate=candidates.evaluate)
    assert not (left / "trials").exists() and not (left / "work").exists()


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
def test_a_search_on_patches_ends_in_a_model_of_whole_views(
    parent, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(candidates, "WHOLE_VIEWS", 3)
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
    told = job.compared["patches"]
    assert told["candidate"]["madds"] == rows[1].measured["madds"]
    assert told["candidate"]["images"] == told["incumbent"]["images"] == 2
    assert told["candidate"]["fractures"] == told["incumbent"]["fractures"] == 1
    gain = told["candidate"]["area"]["value"] - told["incumbent"]["area"]["value"]
    assert told["difference"]["value"] == pytest.approx(gain)
    card = artifact.load_card(folder)
    assert card["search"]["patches"] == job.parameters["evaluation"]["patches_digest"]
    assert len(card["history"]) == 2
    assert card["test"]["cases"] == 2  # whole images
    assert card["plan"]["batch"] == 3 < ground.task.batch
    assert "aufroc" not in card["history"][0]


@pytest.mark.timeout(900)
def test_on_patches_the_weights_that_came_out_of_the_search_are_judged(
    parent, images, tmp_path, elsewhere, epochs, monkeypatch
):
    """On another machine than that which trained: they come out of the store, and what
    is learnt besides is of whole views."""
    detector = boxes_of(images, tmp_path / "results.json")
    job = begin(parent, images, budget=1, objective=("aufroc",), patches=detector)
    work_through(job)
    final = job.trials.get(stage="final")
    kept = load_file(candidates._folder(final) / CHECKPOINT)
    judged, compared = [], closeup.compared

    def noted(*asked):
        judged.append(asked)
        return compared(*asked)

    monkeypatch.setattr(closeup, "compared", noted)
    elsewhere("clinic")
    candidates.conclude(job_id=job.pk)
    ((test, tried, _, served),) = judged
    for name, weights in tried.weights.items():
        assert torch.equal(weights, kept[f"best/{name}"]), name
    assert tried.scores["aufroc"] == final.measured["aufroc"]
    sides = Parts.of(data.examples(images))
    names = [example.image.name for example in test.examples]
    assert names == [example.image.name for example in sides.test]
    assert served == Path(settings.MODEL_ROOT, parent.folder)
    assert epochs == [0, 0, 1, 0, 1]  # the last two of whole views


@pytest.mark.timeout(900)
def test_patch_weights_that_are_gone_are_said_and_nothing_else(
    parent, images, tmp_path, elsewhere, epochs
):
    detector = boxes_of(images, tmp_path / "results.json")
    job = begin(parent, images, budget=1, objective=("aufroc",), patches=detector)
    work_through(job)
    store.remove(job.trials.get(stage="final").measured["weights"])
    elsewhere("clinic")
    candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, epochs) == ("done", [0, 0, 1, 0, 1])
    assert list(job.compared["patches"]) == ["gone"]
    assert job.compared["patches"]["gone"] in job.log
    assert job.compared["candidate"] and job.compared["incumbent"]
    assert standings.on_patches(job).words.startswith(standings.NO_PATCHES)


def test_a_detector_is_that_of_the_start_whatever_becomes_of_its_file(
    parent, images, tmp_path, elsewhere
):
    detector = boxes_of(images, tmp_path / "results.json")
    job = begin(parent, images, objective=("aufroc",), patches=detector)
    kept = detector.read_text()
    detector.write_text("[]")
    elsewhere("trainer")
    found = provisions.proposers(job)
    assert found.read_text() == kept
    found.write_text("[]")
    assert provisions.proposers(job).read_text() == kept


def test_a_model_proposes_on_machines_that_have_no_models(parent, images, elsewhere):
    folder = Path(settings.MODEL_ROOT, parent.folder)
    job = begin(parent, images, objective=("aufroc",), patches=folder)
    elsewhere("trainer")
    source = provisions.proposers(job)
    assert source.is_dir() and not source.is_relative_to(settings.MODEL_ROOT)
    assert artifact.digest(source) == parent.digest


def test_radiographs_are_those_of_the_start_whatever_becomes_of_their_folder(
    parent, tmp_path
):
    folder = draw(tmp_path / "phantoms")
    job = begin(parent, folder)
    (folder / "0.png").write_bytes((folder / "1.png").read_bytes())
    trials.work(trial_id=job.trials.get().pk, evaluate=candidates.evaluate)
    assert job.trials.get(number=0).state == "done"


def test_radiographs_that_were_changed_on_this_machine_are_fetched_again(job):
    folder = store.folder(job.pack)
    kept = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes((folder / "1.png").read_bytes())
    assert provisions.images(job) == folder
    assert (folder / "0.png").read_bytes() == kept


@pytest.mark.parametrize("harm", ["cut", "change"])
def test_a_pack_that_was_cut_short_or_changed_ends_the_search_in_words(
    job, tmp_path, harm
):
    pack = tmp_path / "store" / job.pack[:2] / job.pack
    kept = pack.read_bytes()
    spoilt = kept[:-5000] if harm == "cut" else kept[:600] + b"?" + kept[601:]
    pack.write_bytes(spoilt)
    work_through(job)
    job.refresh_from_db()
    trial = job.trials.get()
    assert (job.state, trial.state, trial.attempts) == ("failed", "queued", 0)
    assert job.reason.startswith(f"{job.pack[:12]} in the artifact store")
    assert "cut short or changed" in job.reason
    pack.write_bytes(kept)
    jobs.resume(job=job, by=None)
    assert trials.sweep() == [trial.pk]
    assert provisions.images(job)


def test_a_machine_with_another_store_ends_the_search_in_words(job, settings, tmp_path):
    (tmp_path / "other").mkdir()
    settings.STORAGES = settings.STORAGES | {
        "artifacts": settings.STORAGES["artifacts"]
        | {"OPTIONS": {"location": tmp_path / "other"}}
    }
    work_through(job)
    assert "needs the same OSTEON_STORE" in Job.objects.get().reason


@pytest.mark.timeout(900)
def test_a_search_on_verdicts_freezes_them_once(
    parent, radiologist, administrator, settings, monkeypatch, elsewhere
):
    take_in(EmbeddedPacs(settings.EMBEDDED_ROOT), radiologist)
    verdicts = learning.choose().to_json()
    agreed = terms.settle(
        images=None,
        supernet=None,
        verdicts=verdicts,
        parent=parent,
        epochs=1,
        final_epochs=1,
        batch=8,
    )
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
    frozen, freeze = [], freezing.freeze
    monkeypatch.setattr(
        freezing, "freeze", lambda **said: frozen.append(1) or freeze(**said)
    )
    assert trials.sweep() == []  # first they are put where every machine finds them
    assert list(Job.objects.unprovided()) == [job]
    for _ in range(2):  # rung twice
        candidates.provide(job_id=job.pk, pacs=open_pacs())
    clinic_root = settings.DATA_ROOT
    elsewhere("trainer")
    work_through(job)
    settings.DATA_ROOT = clinic_root
    candidates.conclude(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, frozen) == ("done", [1])
    assert job.attempts == 1
    folder = leavings.room(job) / f"verdicts-{job.pk}"
    assert freezing.digest(folder) == job.data_digest
    assert artifact.load_card(leavings.room(job) / "model")["test"]["cases"] == 8


def test_a_pacs_that_is_away_delays_the_freezing(
    parent, administrator, radiologist, settings
):
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
    with pytest.raises(PacsUnavailable):
        candidates.provide(job_id=job.pk, pacs=open_pacs())
    job.refresh_from_db()
    assert (job.state, job.attempts, job.pack) == ("queued", 0, "")
    assert "waiting for the PACS" in job.step
    assert not Job.objects.unprovided().exists()  # not before a while
    assert trials.sweep() == []
