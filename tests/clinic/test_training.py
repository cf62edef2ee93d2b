"""From a folder of radiographs, or from verdicts, to a model."""

import csv
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from clinic import (
    diary,
    freezing,
    jobs,
    learning,
    leavings,
    measuring,
    registry,
    training,
)
from clinic.models import (
    AuditEvent,
    ImageReading,
    Instance,
    Job,
    ModelVersion,
    Review,
    Study,
)
from clinic.pacs import PacsUnavailable
from clinic.pacs.embedded import EmbeddedPacs
from clinic.pseudonyms import patient
from inference import artifact
from inference.artifact import Spec
from inference.networks import Arch, build
from inference.phantom import phantom
from search import contest
from search import train as train_module
from tests.clinic.judged import PARENT, people, save_parent, take_in
from tests.search import sides


@pytest.fixture
def images(tmp_path):
    """24 phantoms of 24 patients, half of them fractured."""
    folder = tmp_path / "phantoms"
    folder.mkdir()
    with (folder / "examples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "study", "patient", "boxes"])
        for seed in range(24):
            made = phantom(seed, fractured=seed % 2 == 0, rows=256, columns=200)
            pixels = (made.pixels >> 4).astype(np.uint8)
            cv2.imwrite(str(folder / f"{seed}.png"), pixels)
            boxes = json.dumps([made.box] if made.box else [])
            writer.writerow([f"{seed}.png", (seed + 1) % 2, seed, seed, boxes])
    return folder


@pytest.fixture
def data_root(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"


def train(images, out, *more):
    call_command(
        "train", "--network", "rx-lite", "--images", images, "--out", out, *more
    )


def test_a_folder_of_phantoms_becomes_an_artifact(images, tmp_path, data_root, capsys):
    train(images, tmp_path / "model", "--epochs", "1", "--seed", "3")
    said = json.loads(capsys.readouterr().out)
    assert said["digest"] == artifact.digest(tmp_path / "model")
    card = artifact.load_card(tmp_path / "model")
    assert card["plan"]["seed"] == 3
    assert said["test"]["cases"] == len(card["test_images"]) > 0
    assert artifact.load_spec(tmp_path / "model").name == "rx-lite"


def test_a_folder_without_examples_is_refused_in_a_sentence(tmp_path, data_root):
    with pytest.raises(CommandError, match=r"examples\.csv"):
        train(tmp_path, tmp_path / "model")


def test_epochs_must_match_the_stages_of_the_plan(images, tmp_path, data_root):
    with pytest.raises(CommandError, match="1 stage"):
        train(images, tmp_path / "model", "--epochs", "1", "1")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--epochs", "0"), "at least 1 of the last"),
        (("--epochs", "-1"), "at least 1 of the last"),
        (("--rate", "nan"), "rate is more than 0"),
        (("--rate", "-1"), "rate is more than 0"),
        (("--rate", "0"), "rate is more than 0"),
        (("--rate", "inf"), "rate is more than 0"),
        (("--invert", "5"), "between 0 and 1"),
        (("--invert", "nan"), "between 0 and 1"),
        (("--seed", "-1"), "0 or more"),
        (("--seed", str(2**70)), "seeds to 2147483647"),
        (("--patience", "-2"), "0 or more"),
    ],
)
def test_numbers_of_which_nothing_comes_are_refused(tmp_path, data_root, asked, words):
    with pytest.raises(CommandError, match=words):
        train(tmp_path, tmp_path / "model", *asked)


@pytest.mark.parametrize("content", ["other names", "no archive", "one array"])
def test_a_file_without_the_published_weights_is_refused_in_words(
    images, tmp_path, data_root, content
):
    path = tmp_path / "weights.npz"
    with path.open("wb") as file:
        if content == "other names":
            np.savez(file, other=np.zeros(3))
        elif content == "one array":
            np.save(file, np.zeros(3))
        else:
            file.write(b"PK")
    with pytest.raises(CommandError, match=r"weights\.npz does not hold SqueezeNet's"):
        call_command(
            *("train", "--network", "squeezenet", "--start", path),
            *("--images", images, "--out", tmp_path / "model"),
        )


def test_a_side_without_patients_is_named_before_anything_is_learnt(
    images, tmp_path, data_root, settings, monkeypatch
):
    lines = (images / "examples.csv").read_text().splitlines()
    (images / "examples.csv").write_text("\n".join(lines[:2]))
    monkeypatch.setattr(training.run, "prepared", None)
    with pytest.raises(CommandError, match=r"part has no .*radiograph"):
        train(images, tmp_path / "model")
    for command in ("calibrate", "benchmark models"):
        shipped = settings.SHIPPED_MODELS / "rx-lite"
        with pytest.raises(CommandError, match=r"part has no .*radiograph"):
            call_command(*command.split(), str(shipped), "--images", images)


@pytest.mark.parametrize("network", ["resnet18", "rx-lite"])
class TestEveryShippedModel:
    def test_is_whole_and_of_the_family_its_plan_trains(self, network, settings):
        folder = settings.SHIPPED_MODELS / network
        spec = artifact.load_spec(folder, artifact.digest(folder))
        artifact.load_network(folder)
        assert spec.name == network
        assert spec.arch.family == training.plan(network=network).arch.family

    def test_has_a_card_that_names_data_licence_and_who_was_never_seen(
        self, network, settings
    ):
        card = artifact.load_card(settings.SHIPPED_MODELS / network)
        assert card["data"]["licence"] == "CC BY 4.0"
        sides = {side: set(p["patients"]) for side, p in card["parts"].items()}
        assert not sides["test"] & (sides["training"] | sides["validation"])
        assert len(card["test_images"]) == card["test"]["cases"] > 100
        assert card["test"]["auroc"]["low"] < card["test"]["auroc"]["value"]


def test_no_network_goes_on_from_one_of_another_kind(settings):
    folder = settings.SHIPPED_MODELS / "squeezenet"
    with pytest.raises(ValueError, match="is a squeezenet: rx-lite cannot go on"):
        training.plan(network="rx-lite", start=folder)


def test_what_goes_on_from_an_artifact_keeps_its_architecture(settings):
    folder = settings.SHIPPED_MODELS / "rx-lite"
    plan = training.plan(network="rx-lite", epochs=[3], rate=1e-4, start=folder)
    assert plan.arch == artifact.load_spec(folder).arch
    assert [(stage.epochs, stage.rate) for stage in plan.stages] == [(3, 1e-4)]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"boxes": 2.5, "focus": 1.5, "batch": 6, "ema": 0.9}, (2.5, 1.5, 6, 0.9)),
        ({"seed": 3}, (3.0, 2.0, 16, 0.98)),  # as SqueezeNets usually learn
    ],
)
def test_a_committee_learns_on_with_the_weights_of_its_parents_loss(
    tmp_path, told, kept
):
    arch = Arch("committee", (("attention", 0.5), ("members", 2)))
    spec = Spec("board", arch, PARENT.recipe, "alo", threshold=0.5)
    artifact.save(tmp_path, spec, build(arch).state_dict(), {"plan": told})
    plan = training.fine_tuning(tmp_path, epochs=4, rate=1e-4, seed=7)
    assert (plan.boxes, plan.focus, plan.batch, plan.ema) == kept
    assert (plan.arch, plan.seed, plan.patience) == (arch, 7, 4)


# --- Jobs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parent_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_parent(folder)
    return folder


@pytest.fixture
def parent(parent_folder, administrator):
    version = registry.register(folder=parent_folder, by=administrator)
    return registry.promote(version=version, by=administrator, reason="A test.")


@pytest.fixture
def pacs(settings):
    return EmbeddedPacs(settings.EMBEDDED_ROOT)


@pytest.fixture
def job(parent, pacs, radiologist, administrator, data_root):
    """A training on the verdicts on 16 phantoms, started and not yet claimed."""
    take_in(pacs, radiologist)
    return jobs.start(parent=parent, by=administrator, epochs=2, seed=5)


def held_out():
    return {patient(name) for name, side, _ in people() if side == "test"}


def test_verdicts_become_a_registered_candidate(job, pacs, parent, settings):
    training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("done", "")
    assert (job.candidate.stage, job.candidate.name) == ("candidate", "tiny")
    card = job.candidate.card
    assert card["start"] == parent.digest == job.compared["incumbent_digest"]
    assert card["plan"]["seed"] == 5
    assert [entry["epoch"] for entry in job.history] == [1, 2]
    assert job.history == card["history"]
    for side in ("candidate", "incumbent"):
        told = job.compared[side]
        assert told["by_image"]["cases"] == card["test"]["cases"] == 8
        assert told["by_study"]["cases"] == card["test_by_study"]["cases"] == 4
    judged = registry.judgement(job.candidate, parent)
    assert not [words for words in judged.blockers if "holdout" in words]
    assert any("are too few to judge by: 2 studies of 2" in w for w in judged.blockers)
    assert {row.what for row in judged.rows} >= {"AUROC", "sensitivity"}
    assert len(job.commit) in (0, 40)
    assert job.seconds > 0
    assert "epoch 2 of 2" in job.log
    folder = settings.DATA_ROOT / "jobs" / str(job.pk) / f"verdicts-{job.pk}"
    assert freezing.digest(folder) == job.data_digest
    assert AuditEvent.objects.filter(action="job.done").count() == 1


def test_a_job_learns_from_its_training_part_alone(job, pacs, settings, monkeypatch):
    learnt, chosen = sides.watched(monkeypatch)
    training.work(job_id=job.pk, pacs=pacs)
    folder = settings.DATA_ROOT / "jobs" / str(job.pk) / f"verdicts-{job.pk}"
    sides.check(folder, PARENT.recipe, learnt, chosen)


@pytest.fixture
def measurement(job, parent_folder, tmp_path, monkeypatch):
    """Of another model that came from elsewhere, on the same verdicts; waits."""
    monkeypatch.setattr(learning, "FEWEST_HELD", 2)
    administrator = job.by
    jobs.cancel(job=job, by=administrator)
    folder = shutil.copytree(parent_folder, tmp_path / "fresh")
    (folder / artifact.CARD).write_text(json.dumps({"name": "fresh"}))
    fresh = registry.register(folder=folder, by=administrator)
    return measuring.start(version=fresh, by=administrator)


def test_a_model_is_measured_beside_the_one_in_service(measurement, pacs, parent):
    fresh = measurement.parent
    assert registry.judgement(fresh, parent).rows == ()
    training.work(job_id=measurement.pk, pacs=pacs)
    measurement.refresh_from_db()
    assert (measurement.state, measurement.reason) == ("done", "")
    told = measurement.compared
    assert told["candidate"]["by_image"] == told["incumbent"]["by_image"]
    assert told["candidate"]["by_image"]["cases"] == 8
    held = [name for name, side, _ in people() if side == "test"]
    images = Instance.objects.filter(series__study__patient_id__in=held)
    for side in measuring.HOLDOUTS.values():
        found = {int(Path(case["id"]).stem) for case in told[side]["cases"]}
        assert found == {image.pk for image in images}
        assert told[side]["abstentions"]["images"] == 8
    judged = registry.judgement(fresh, parent)
    assert {row.what for row in judged.rows} >= {"AUROC", "sensitivity"}
    assert not [words for words in judged.blockers if "holdouts differ" in words]
    assert not list(leavings.room(measurement).glob("work"))
    lines = [line[20:] for line in measurement.log.splitlines()[2:]]
    assert lines == [
        f"measuring {fresh.name} {fresh.brief}",
        f"measuring {parent.name} {parent.brief}",
        "both are measured",
    ]
    assert measurement.seconds > 0


@pytest.mark.parametrize("which", ["candidate", "incumbent"])
def test_a_model_of_which_a_byte_was_changed_is_not_measured(
    measurement, pacs, parent, settings, which
):
    version = parent if which == "incumbent" else measurement.parent
    weights = settings.MODEL_ROOT / version.folder / artifact.WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    training.work(job_id=measurement.pk, pacs=pacs)
    measurement.refresh_from_db()
    assert measurement.state == "failed"
    assert "digest" in measurement.reason


def test_a_study_that_came_into_doubt_since_the_start_is_left_out(job, pacs):
    name = next(n for n, side, _ in people() if side == "training")
    study = Study.objects.get(patient_id=name)
    study.notice("mixed_patients", "Of two patients.")
    study.save()
    training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert job.state == "done"
    assert "left out, whose images these are is in doubt" in job.log
    learnt = job.candidate.card["parts"]["training"]["patients"]
    assert patient(name) not in learnt and learnt


def test_what_is_frozen_and_came_into_doubt_since_is_not_gone_on_with(
    measurement, pacs, monkeypatch
):
    def broken(*_, **__):
        raise ValueError("It broke off.")

    with monkeypatch.context() as patch:
        patch.setattr(contest, "on_holdout", broken)
        training.work(job_id=measurement.pk, pacs=pacs)
    measurement.refresh_from_db()
    assert measurement.data_digest and measurement.state == "failed"
    name = next(name for name, side, _ in people() if side == "test")
    study = Study.objects.get(patient_id=name)
    study.notice("shared_study_number", "Of two patients.")
    study.save()
    jobs.resume(job=measurement, by=measurement.by)
    training.work(job_id=measurement.pk, pacs=pacs)
    measurement.refresh_from_db()
    assert measurement.state == "failed"
    assert measurement.reason.startswith("1 of the studies that it learns from may be")


def test_a_holdout_of_which_images_have_gone_is_fetched_anew_once_they_are_back(
    measurement, pacs
):
    held = [name for name, side, fractured in people() if side == "test" and fractured]
    gone = ImageReading.objects.filter(instance__series__study__patient_id__in=held)
    digests = dict(gone.values_list("pk", "digest"))
    gone.update(digest="replaced")
    training.work(job_id=measurement.pk, pacs=pacs)
    measurement.refresh_from_db()
    assert (measurement.state, measurement.data_digest) == ("failed", "")
    assert measurement.reason.startswith(
        "Of held-out patients are 0 studies with and 2"
    )
    assert "replaced in the PACS" in measurement.log
    for pk, digest in digests.items():
        ImageReading.objects.filter(pk=pk).update(digest=digest)
    jobs.resume(job=measurement, by=measurement.by)
    training.work(job_id=measurement.pk, pacs=pacs)
    measurement.refresh_from_db()
    assert (measurement.state, measurement.reason) == ("done", "")


def test_a_cancelled_measurement_ends_at_its_next_beat(measurement, pacs, monkeypatch):
    judge, went_on = contest.judge, []

    def cancelled(*asked):
        jobs.cancel(job=measurement, by=measurement.by)
        return judge(*asked)

    monkeypatch.setattr(diary, "OFTEN", 0)
    monkeypatch.setattr(contest, "judge", cancelled)
    monkeypatch.setattr(contest.card, "measured", lambda *_: went_on.append(1))
    training.work(job_id=measurement.pk, pacs=pacs)
    measurement.refresh_from_db()
    assert (measurement.state, went_on) == ("cancelled", [])


def test_one_that_went_into_service_meanwhile_is_not_measured(
    measurement, pacs, parent
):
    ModelVersion.objects.filter(pk=parent.pk).update(stage="retired")
    ModelVersion.objects.filter(pk=measurement.parent_id).update(
        stage="active", served=True
    )
    training.work(job_id=measurement.pk, pacs=pacs)
    measurement.refresh_from_db()
    assert (measurement.state, measurement.reason) == ("failed", measuring.NOBODY_ELSE)


def test_a_bell_for_a_finished_job_changes_nothing(job, pacs):
    training.work(job_id=job.pk, pacs=pacs)
    before = Job.objects.values().get()
    training.work(job_id=job.pk, pacs=pacs)
    assert Job.objects.values().get() == before


def forge(job, pacs, administrator, reviews):
    """A row in place of `job` that claims these reviews, past the verbs."""
    forged = Job.objects.create(
        parent=job.parent,
        parameters={"epochs": 1, "rate": 1e-4},
        verdicts={"chosen": [[review.pk, 1.0] for review in reviews]},
        by=administrator,
    )
    Job.objects.filter(pk=job.pk).delete()
    training.work(job_id=forged.pk, pacs=pacs)
    forged.refresh_from_db()
    return forged


def test_a_review_that_a_row_claims_twice_is_refused_in_words(job, pacs, administrator):
    forged = forge(job, pacs, administrator, [*Review.objects.all()] * 2)
    assert forged.state == "failed"
    assert re.search(r"names the picture .+ twice\.$", forged.reason)


def test_a_holdout_patient_never_trains_even_past_the_verbs(job, pacs, administrator):
    """Whatever a row claims: here every review, those of the holdout first."""
    every = Review.objects.order_by("prediction__study__patient_id")

    def is_held(review):
        return patient(review.prediction.study.patient_id) in held_out()

    forged = forge(job, pacs, administrator, sorted(every, key=is_held, reverse=True))
    assert forged.state == "done"
    parts = forged.candidate.card["parts"]
    assert set(parts["test"]["patients"]) == held_out()
    for side in ("training", "validation"):
        assert parts[side]["patients"]
        assert not set(parts[side]["patients"]) & held_out()


def test_a_cancelled_job_stops_within_an_epoch_and_goes_on_from_there(
    job, pacs, administrator, monkeypatch
):
    tell = training.Diary.tell

    def cancel_after_one(diary, history, done):
        if done == 1 and history:
            jobs.cancel(job=job, by=administrator)
        tell(diary, history, done)

    monkeypatch.setattr(training.Diary, "tell", cancel_after_one)
    training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert (job.state, job.candidate) == ("cancelled", None)
    monkeypatch.setattr(training.Diary, "tell", tell)
    trained = []
    monkeypatch.setattr(
        train_module, "_epoch", spy(train_module._epoch, lambda a: trained.append(a[3]))
    )
    jobs.resume(job=job, by=administrator)
    training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert job.state == "done"
    assert trained == [1]  # the second epoch alone
    assert [entry["epoch"] for entry in job.history] == [1, 2]


def spy(function, note):
    def noted(*args):
        note(args)
        return function(*args)

    return noted


def test_a_pacs_that_is_away_delays_a_job_and_no_more(job, shelf):
    shelf.away = "away"
    with pytest.raises(PacsUnavailable):
        training.work(job_id=job.pk, pacs=shelf)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.holder) == ("queued", 0, "")
    assert "PACS" in job.step


def test_patients_are_not_frozen_by_other_names_than_they_were_chosen_by(job, pacs):
    job.verdicts["names"] = "another"
    job.save()
    training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "bring its backup back, and resume the job" in job.reason


def test_frozen_data_that_were_changed_are_refused_in_words(job, pacs, settings):
    Job.objects.filter(pk=job.pk).update(data_digest="0" * 64)
    training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "changed" in job.reason


def test_sides_that_know_one_kind_only_are_refused_in_words(
    job, pacs, administrator, monkeypatch
):
    sound = [
        r.pk
        for r in Review.objects.all()
        if r.verdict == "no_fracture"
        or patient(r.prediction.study.patient_id) not in held_out()
    ]
    job.verdicts["chosen"] = [[pk, 1.0] for pk in sound]
    job.save()
    training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "holdout part has a usable label or verdict “a fracture”" in job.reason


def test_a_training_that_diverges_ends_in_words(job, pacs, caplog):
    Job.objects.update(parameters=job.parameters | {"rate": 1e30})
    training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert (job.state, job.history) == ("failed", [])
    assert job.reason.startswith("The training diverged in epoch 1: ")
    assert not [record for record in caplog.records if record.exc_info]


def test_an_error_nobody_foresaw_is_a_reason_not_a_silence(job, pacs, monkeypatch):
    monkeypatch.setattr(training.run, "run", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training.work(job_id=job.pk, pacs=pacs)
    job.refresh_from_db()
    assert job.state == "failed"
    assert job.reason == "The training ended with an error: ZeroDivisionError."
