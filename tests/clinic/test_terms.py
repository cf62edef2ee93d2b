"""What is settled before a search starts: data and files by digest, and the cost."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from safetensors.numpy import save_file

from clinic import pseudonyms, terms
from clinic.models import Job, ModelVersion, Trial
from clinic.terms import Terms, settle
from inference import artifact
from search import data, dataset
from search.data import Example
from search.parts import Parts, is_held_out
from search.spaces import SPACES
from search.supernet_header import NOTES
from tests.clinic.factories import make_search, make_study
from tests.clinic.judged import save_parent
from tests.clinic.searched import boxes_of, draw, people

pytestmark = pytest.mark.django_db

RECIPE = {"height": 96, "width": 64}
VERDICTS = {"chosen": [[n, 1.0] for n in range(10)], "fractured": 4}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn") / "phantoms")


@pytest.fixture(autouse=True)
def shelf_of_the_parent(monkeypatch):
    shelf = SimpleNamespace(spec=lambda folder: {"recipe": RECIPE})
    monkeypatch.setattr(terms, "shelf", shelf)


def settled(**asked):
    said = {"images": None, "supernet": None, "verdicts": VERDICTS}
    return settle(**said | {"parent": ModelVersion(folder="0")} | asked)


def test_radiographs_and_supernet_are_bound_by_their_digests(images, tmp_path):
    file = supernet(tmp_path / "supernet")
    found = settled(images=images, supernet=file)
    assert found.images == str(images)
    assert len(found.digest) == len(found.supernet_digest) == 64
    assert found.recipe == RECIPE
    assert found.drawn == 8  # four of each kind learn
    supernet(file, mean=0.25)
    again = settled(images=images, supernet=file)
    assert again.digest == found.digest
    assert again.supernet_digest != found.supernet_digest
    assert settled().drawn == 8  # of ten verdicts, four of fractures


def test_who_proposes_patches_is_bound_by_a_digest(images, tmp_path):
    detector = boxes_of(images, tmp_path / "results.json")
    asked = {"images": images, "patches": detector, "objective": ("aufroc",)}
    found = settled(**asked)
    assert found.patches == str(detector)
    marked = sum(bool(e.boxes) for e in Parts.of(data.examples(images)).training)
    assert found.drawn == 2 * terms.HITS * marked
    detector.write_text("[]")
    assert settled(**asked).patches_digest != found.patches_digest
    save_parent(tmp_path / "model")
    model = settled(**asked | {"patches": tmp_path / "model"})
    assert model.patches_digest == artifact.digest(tmp_path / "model")
    (tmp_path / "model/spec.json").unlink()
    with pytest.raises(ValidationError, match=r"spec\.json cannot be read"):
        settled(**asked | {"patches": tmp_path / "model"})


def supernet(path, mean=0.5, **source):
    """As much of one as can be asked before a search: what its header says."""
    notes = {"space": "ofa-1.2", "mean": mean, "source": source}
    save_file({"x": np.zeros(1)}, path, {NOTES: json.dumps(notes)})
    return path


@pytest.fixture
def copied(images, tmp_path, settings):
    """The radiographs, in the data folder of a house."""
    settings.DATA_ROOT = tmp_path / "data"
    folder = settings.DATA_ROOT / "datasets" / "built"
    shutil.copytree(images, folder)
    return folder


def test_a_data_set_that_was_built_with_another_salt_is_refused(copied):
    """Another salt holds out other patients: those of this house would be learnt."""
    before = settled(images=copied).digest
    dataset.write_salt(copied, pseudonyms.names().mark)
    assert settled(images=copied).digest == before
    dataset.write_salt(copied, "another")
    with pytest.raises(ValidationError) as refused:
        settled(images=copied)
    (words,) = refused.value.message_dict["images"]
    assert words.startswith("The data set built names patients by another")
    assert "Make it anew with this salt" in words


@pytest.mark.parametrize("said", ["", "[]", "{", "3"])
def test_a_data_set_that_does_not_tell_its_salt_any_more_is_refused(copied, said):
    (copied / dataset.OPTIONS).write_text(said)
    with pytest.raises(ValidationError, match=r"options\.json cannot be read"):
        settled(images=copied)


def test_a_folder_that_people_made_asks_for_no_salt(copied, settings):
    (settings.DATA_ROOT / pseudonyms.SALT).write_text("short")
    assert settled(images=copied).digest
    dataset.write_salt(copied, "mine")
    with pytest.raises(ValidationError, match="bring its backup back"):
        settled(images=copied)


def test_a_folder_of_people_that_would_have_held_out_patients_train_is_refused(copied):
    """By their IDs others are on its sides than by their pseudonyms."""
    parts = Parts.of(data.examples(copied))
    taught = {e.patient for e in (*parts.training, *parts.validation)}
    held = [name for name in taught if is_held_out(pseudonyms.patient(name))]
    assert held
    make_study(patient_id=next(iter(taught - {*held})))
    make_study(patient_id="somebody else")
    assert settled(images=copied).digest
    make_study(patient_id=held[0])
    with pytest.raises(ValidationError, match="built, 1 held out here would be"):
        settled(images=copied)
    dataset.write_salt(copied, pseudonyms.names().mark)
    assert settled(images=copied).digest


def test_a_supernet_that_learnt_under_another_salt_is_refused(tmp_path, settings):
    settings.DATA_ROOT = tmp_path
    mine = supernet(tmp_path / "mine", salts=[pseudonyms.names().mark])
    assert settled(supernet=mine).supernet
    other = supernet(tmp_path / "other", salts=["another"])
    with pytest.raises(ValidationError, match="The supernet other names patients by"):
        settled(supernet=other)


def test_patches_need_marked_fractures(images, tmp_path):
    with (images / "examples.csv").open(newline="") as file:
        rows = [row | {"boxes": "[]"} for row in csv.DictReader(file)]
    for row in rows:
        (tmp_path / row["image"]).symlink_to(images / row["image"])
    with (tmp_path / "examples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    detector = boxes_of(images, tmp_path / "results.json")
    assert settled(images=tmp_path).digest
    with pytest.raises(ValidationError, match="Nobody has marked a fracture by a box"):
        settled(images=tmp_path, patches=detector)


def test_terms_come_back_from_their_row(db, administrator):
    found = settled(objective=("auroc", "madds"), epochs=7)
    job = make_search(administrator, evaluation=found.to_json())
    assert Terms.of(Job.objects.get(pk=job.pk)) == found


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"objective": ("madds", "auroc")}, "aufroc, and after it"),
        ({"objective": ()}, "aufroc, and after it"),
        ({"objective": ("auroc", "beauty")}, "aufroc, and after it"),
        ({"objective": ("madds", "aufroc")}, "auroc or aufroc, and after it"),
        ({"objective": ("auroc", "aufroc")}, "auroc or aufroc, and after it"),
        ({"objective": ("aufroc",)}, "AUFROC is of patches"),
        ({"epochs": 0}, "epochs: from 1 to 200"),
        ({"final_epochs": 201}, "final_epochs: from 1 to 200"),
        ({"batch": 1}, "batch: from 2"),
    ],
)
def test_nonsense_is_refused_in_words(asked, words):
    with pytest.raises(ValidationError, match=words):
        settled(**asked)


def test_a_folder_or_file_that_cannot_be_used_is_refused_in_words(images, tmp_path):
    with pytest.raises(ValidationError, match=r"examples\.csv"):
        settled(images=tmp_path)
    with pytest.raises(ValidationError, match="nowhere"):
        settled(supernet=tmp_path / "nowhere")
    with (images / "examples.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "0"]
    with (tmp_path / "examples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(ValidationError, match="“a fracture”"):
        settled(images=tmp_path)


def test_each_side_has_to_know_both_kinds():
    known = [Example(None, broken, name, name) for name, broken in people()]
    terms.refuse_one_sided(known)
    sound = [e for e in known if not e.label]
    with pytest.raises(ValueError, match=r"training part .* “a fracture”"):
        terms.refuse_one_sided(sound)


def cost(found, budget=10, finals=2, **more):
    size = (96, 64)
    return terms.estimate(
        found, space="ofa-1.2", size=size, budget=budget, finals=finals, **more
    )


def test_hours_say_how_many_candidates_fit(db, administrator):
    """Five epochs of 72 seconds: ten an hour and worker."""
    found = settled(epochs=5, final_epochs=20)
    job = make_search(administrator, evaluation=found.to_json(), size=(96, 64))
    answer(job, seconds=5 * 72.0)
    told = cost(found, budget=None, hours=1.5, workers=2)
    assert (told.fits, told.seconds) == (30, (30 * 5 + 2 * 20) * 72.0)
    assert cost(found, budget=4, hours=1.5).fits == 4
    assert cost(found, budget=None, hours=0.02).fits == 1
    for hours in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValidationError, match=r"hours: from 0\.01 to 10000"):
            cost(found, hours=hours)


def test_the_cost_is_assumed_until_it_was_measured(db, administrator):
    found = settled(epochs=5, final_epochs=20)
    madds = SPACES["ofa-1.2"].madds(SPACES["ofa-1.2"].start, 96, 64)
    assumed = cost(found)
    epochs = 10 * 6 + 2 * 21
    assert assumed.seconds == pytest.approx(epochs * 8 * madds / terms.ASSUMED)
    assert "assumed" in assumed.basis
    said = {"evaluation": found.to_json(), "size": (96, 64)}
    other = make_search(administrator, **said | {"size": (128, 96)})
    answer(other, seconds=1.0)
    assert cost(found) == assumed  # other views say nothing of these
    job = make_search(administrator, **said)
    answer(job, seconds=35.0)
    measured = cost(found)
    assert measured.seconds == pytest.approx((10 * 5 + 2 * 20) * 7.0)
    assert measured.basis == f"measured in search {job.pk}"


def test_the_cost_grows_with_the_verdicts(db, administrator):
    """What was measured was measured on four of each kind; now there are twelve."""
    job = make_search(administrator, evaluation=settled().to_json(), size=(96, 64))
    answer(job, seconds=35.0)
    more = {"chosen": [[n, 1.0] for n in range(30)], "fractured": 12}
    now, then = cost(settled(verdicts=more)), cost(settled())
    assert then.seconds == pytest.approx((10 * 5 + 2 * 20) * 7.0)
    assert now.seconds == pytest.approx(3 * then.seconds)
    assert now.basis == then.basis == f"measured in search {job.pk}"


def answer(job, seconds):
    """Its first candidate, trained for five epochs in so many seconds."""
    job.trials.filter(number=0).update(
        state=Trial.State.DONE,
        values=[0.5],
        measured={"history": [{}] * 5},
        seconds=seconds,
        attempts=1,
    )
