"""`manage.py search` in words: what it costs, what it refuses, what it shows."""

import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from safetensors.numpy import save_file

from clinic import headroom, registry, store
from clinic.models import AuditEvent, Job
from search.hardware import every_piece
from search.supernet_header import NOTES
from tests.clinic.judged import save_parent
from tests.clinic.searched import draw

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn") / "phantoms")


@pytest.fixture
def parent(tmp_path):
    save_parent(tmp_path / "tiny")
    version = registry.register(folder=tmp_path / "tiny", by=None)
    return registry.promote(version=version, by=None, reason="A test.")


def say(*arguments):
    out = StringIO()
    call_command("search", *map(str, arguments), stdout=out)
    return out.getvalue()


def start(images, *more):
    return say("start", "--images", images, "--trials", 6, "--workers", 2, *more)


def test_a_search_is_started_shown_stopped_and_resumed(parent, images):
    said = start(images, "--strategy", "pareto", "--objective", "auroc", "madds")
    cost, stored, started = said.splitlines()
    assert " MB in the artifact store (" in stored
    assert cost.startswith("6 candidates of 5 epochs and 3 of 20, 8 views an epoch")
    job = Job.objects.get()
    assert started == f"Search {job.pk} waits for its workers."
    assert job.parameters["size"] == [96, 64]  # the parent's views
    assert (job.parameters["objectives"], job.parameters["budget"]) == (2, 6)
    assert (job.parent, job.trials.count()) == (parent, 2)
    assert "0 of 9 trials ended" in say("status")
    assert "cancelled" in say("stop", job.pk)
    assert "waiting" in say("resume")
    with pytest.raises(CommandError, match="no model yet"):
        say("report", job.pk)


def test_costs_are_told_without_starting(parent, images, tmp_path):
    before = AuditEvent.objects.count()
    told = start(images, "--dry-run")
    assert "candidates" in told and told.count("\n") == 1
    assert not Job.objects.exists() and AuditEvent.objects.count() == before
    assert not list((tmp_path / "store").rglob("*"))  # nothing was put


def test_batches_beyond_this_machine_are_told_with_the_costs(
    parent, images, monkeypatch
):
    monkeypatch.setattr(headroom, "memory", lambda: 1_000_000_000)
    _, memory = start(images, "--dry-run").splitlines()
    assert memory.startswith("A batch of 128 views of 96×64 takes about 1 GB")
    assert start(images, "--dry-run", "--batch", 64).count("\n") == 1


def test_limits_keep_out_what_is_too_large(parent, images):
    start(images, "--most-parameters", 3.5e6)
    assert Job.objects.get().parameters["most"] == {"parameters": 3.5e6}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--trials", 0], "budget: from 1"),
        (["--workers", 0], "workers: from 1"),
        (["--finals", 11], "finals: from 0"),
        (["--seed", -1], "seed: from 0"),
        (["--objective", "auroc", "madds"], "follows one objective only"),
        (["--most-parameters", 1], "No candidate keeps within"),
        (["--most-parameters", "nan"], "limit of parameters is no finite number"),
        (["--most-madds", "inf"], "limit of madds is no finite number"),
        (["--most-latency", 10], "No limit is known by the name latency"),
        (["--objective", "auroc", "latency", "--strategy", "pareto"], "latency table"),
        (["--parent", "nobody"], "No model nobody"),
        (["--supernet", "nowhere"], "nowhere"),
        (["--epochs", 0], "epochs: from 1"),
        (["--objective", "aufroc"], "AUFROC is of patches"),
        (["--patches", "nowhere"], "nowhere"),
        (["--size", 96, 5], "size: from 32 to 2048"),
        (["--size", 4096, 4096], "size: from 32 to 2048"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["start", "dry"])
def test_nonsense_is_refused_in_words(parent, images, tmp_path, dry, more, words):
    with pytest.raises(CommandError, match=words):
        start(images, *more, *dry)
    assert not Job.objects.exists()
    assert not list((tmp_path / "store").rglob("*"))  # nothing stays of it


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["start", "dry"])
def test_a_store_that_is_away_is_said_before_anything_begins(
    parent, images, monkeypatch, dry
):
    def away(digest):
        raise store.StoreUnavailable("The artifact store does not answer.")

    monkeypatch.setattr(store, "size", away)
    with pytest.raises(CommandError, match="does not answer"):
        start(images, *dry)
    assert not Job.objects.exists()


def test_candidates_may_look_at_patches(parent, images):
    start(images, "--patches", "parent", "--objective", "aufroc")
    said = Job.objects.get().parameters
    assert said["size"] == [64, 64]
    assert said["evaluation"]["objective"] == ["aufroc"]
    assert said["evaluation"]["patches_digest"] == parent.digest
    assert "patches an epoch" in start(images, "--patches", "parent", "--dry-run")
    assert "AUFROC of patches" in say("status")


def supernet(path, **notes):
    about = {NOTES: json.dumps(notes)} if notes else {}
    save_file({"weights": np.zeros(3, np.float32)}, path, about)
    return path


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["start", "dry"])
@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({}, "any is no supernet; import or train one first"),
        ({"space": "ofa-9"}, "no supernet of a space known here"),
        ({"space": "ofa-1.0"}, r"of ofa-1\.0, .* of ofa-1\.2 are not cut"),
    ],
)
def test_a_file_that_is_no_supernet_of_the_space_starts_nothing(
    parent, images, tmp_path, notes, words, dry
):
    with pytest.raises(CommandError, match=words):
        start(images, "--supernet", supernet(tmp_path / "any", **notes), *dry)
    with pytest.raises(CommandError, match="is no supernet, or damaged"):
        start(images, "--supernet", images / "0.png", *dry)
    assert not Job.objects.exists()
    assert not list((tmp_path / "store").rglob("*"))


def test_a_supernet_of_the_space_is_begun_with(parent, images, tmp_path):
    start(images, "--supernet", supernet(tmp_path / "ours", space="ofa-1.2"))
    said = Job.objects.get().parameters["evaluation"]
    assert store.size(said["supernet_digest"]) > 0


def test_a_table_that_is_none_is_refused_in_words(parent, images, tmp_path):
    table = tmp_path / "table.json"
    table.write_text("{")
    with pytest.raises(CommandError, match=r"no latency table \(JSON\)"):
        start(images, "--latency", table)
    table.write_text(json.dumps({"pieces": 1}))
    with pytest.raises(CommandError, match="no latency table"):
        start(images, "--latency", table)
    times = {piece.key: 1.0 for piece in every_piece("ofa-1.2", 64, 48)}
    said = {"space": "ofa-1.2", "height": 64, "width": 48, "times": times}
    said |= {"slope": 1.0, "intercept": 0.0, "error": 0.05, "ranking": 1.0}
    table.write_text(json.dumps(said | {"machine": {}}))
    with pytest.raises(CommandError, match=r"at 64×48.*--space \S+ --size 96 64$"):
        start(images, "--latency", table)
    assert not Job.objects.exists()


def test_without_a_model_verdicts_or_search_there_is_a_sentence(images, parent):
    with pytest.raises(CommandError, match="0 studies with and 0 without"):
        say("start")
    for verb in ("status", "stop", "resume", "report"):
        with pytest.raises(CommandError, match="no such search"):
            say(verb)
    type(parent).objects.update(stage="retired")
    with pytest.raises(CommandError, match="in service"):
        start(images)


def test_hours_take_the_place_of_trials(parent, images):
    cost, *_ = say("start", "--images", images, "--hours", 0.5).splitlines()
    assert " fit into 0.5 h and 3 of 20" in cost
    job = Job.objects.get()
    assert (job.parameters["budget"], job.parameters["hours"]) == (None, 0.5)
    assert job.parameters["planned"] == int(cost.split()[0])
    with pytest.raises(CommandError, match=r"hours: from 0\.01"):
        say("start", "--images", images, "--hours", 0)
