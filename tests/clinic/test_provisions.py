"""What a search needs lies in the store while it needs it, and no longer."""

import shutil

import pytest
from django.core.exceptions import ValidationError

from clinic import leavings, provisions, search, store, trials
from clinic.models import Job
from clinic.trials import Outcome
from tests.clinic.factories import make_model, make_search
from tests.clinic.searched import draw

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_root(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn") / "phantoms")


@pytest.fixture
def supernet(tmp_path):
    path = tmp_path / "supernet.safetensors"
    path.write_bytes(b"weights")
    return path


def terms_of(images, supernet=None):
    found = store.put(supernet) if supernet else ""
    return provisions.Terms(
        images=str(images), supernet=str(supernet or ""), supernet_digest=found
    )


def begin(by, images, supernet=None, **asked):
    terms = terms_of(images, supernet)
    pack = provisions.put(terms).pack
    return make_search(by, evaluation=terms.to_json(), pack=pack, **asked)


def cancelled(job):
    Job.objects.filter(pk=job.pk).update(state="cancelled")
    job.refresh_from_db()
    return job


def test_what_is_put_is_told_with_its_size(images, supernet):
    found = provisions.put(terms_of(images, supernet))
    assert found.bytes == store.size(found.pack) + len(b"weights")
    assert str(found).endswith(f"in the artifact store ({found.seconds:.1f} s)")
    assert provisions.put(provisions.Terms()).pack == ""


def test_what_cannot_be_put_is_refused_in_words(images, supernet, tmp_path):
    terms = terms_of(images, supernet)
    supernet.write_bytes(b"others")
    with pytest.raises(ValidationError, match="changed just now"):
        provisions.put(terms)
    with pytest.raises(ValidationError, match="nowhere"):
        provisions.put(terms_of(tmp_path / "nowhere"))
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(ValidationError, match="does not answer"):
        provisions.put(terms_of(images))


def test_a_picture_outside_the_folder_is_refused_before_anything_begins(
    images, tmp_path
):
    folder = shutil.copytree(images, tmp_path / "inner")
    table = folder / "examples.csv"
    table.write_text(table.read_text().replace("0.png", "../0.png", 1))
    (folder / "0.png").rename(tmp_path / "0.png")
    with pytest.raises(ValidationError, match="lies outside of inner"):
        provisions.rehearse(terms_of(folder), lambda found: pytest.fail("begun"))


def test_removed_with_the_leavings_unless_another_search_needs_it(
    images, supernet, administrator
):
    first = cancelled(begin(administrator, images, supernet))
    second = cancelled(begin(administrator, images))
    weights = {provisions.WEIGHTS: store.put(images / "0.png")}
    held = trials.claim(pk=resumed(second).trials.first().pk)
    trials.finish(trial=held, outcome=Outcome([0.5], weights))
    second = cancelled(second)
    pack, kept = first.pack, first.parameters["evaluation"]["supernet_digest"]
    assert leavings.size(first) == store.size(pack) + 7
    leavings.clear(job=first, by=administrator)
    assert store.size(pack) > 0
    assert store.size(kept) == 0
    assert leavings.size(Job.objects.get(pk=first.pk)) == 0
    leavings.clear(job=second, by=administrator)
    assert store.size(pack) == store.size(weights[provisions.WEIGHTS]) == 0


def test_weights_are_released_once_no_other_search_needs_them(images, administrator):
    """Two of the same terms learn the same."""
    weights = {provisions.WEIGHTS: store.put(images / "0.png")}
    first, second = begin(administrator, images), begin(administrator, images)
    for job in (first, second):
        held = trials.claim(pk=job.trials.first().pk)
        trials.finish(trial=held, outcome=Outcome([0.5], weights))
        search.pause(job=job, by=administrator)
    digest = weights[provisions.WEIGHTS]
    provisions.release_weights(first)
    assert store.size(digest) > 0
    model = make_model("won", stage="candidate")
    Job.objects.filter(pk=second.pk).update(state="done", candidate=model)
    provisions.release_weights(first)
    assert store.size(digest) == 0


def resumed(job):
    Job.objects.filter(pk=job.pk).update(state="queued")
    job.refresh_from_db()
    return job


def test_a_store_that_is_away_keeps_the_leavings(images, administrator, tmp_path):
    job = cancelled(begin(administrator, images))
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_text("no folder")
    assert leavings.size(job) == 0
    with pytest.raises(ValidationError, match="does not answer"):
        leavings.clear(job=job, by=administrator)
    assert not Job.objects.get(pk=job.pk).cleared


def test_only_searches_that_may_go_on_need_anything_on_this_machine(
    images, supernet, administrator
):
    job = begin(administrator, images, supernet)
    digest = job.parameters["evaluation"]["supernet_digest"]
    assert provisions.needed() == {job.pack, digest}
    cancelled(job)
    assert provisions.needed() == set()


def test_a_search_that_is_not_provided_begins_nothing(administrator):
    job = make_search(administrator, pack="")
    first = job.trials.first()
    assert trials.sweep() == [] and trials.claim(pk=first.pk) is None
    with pytest.raises(ValidationError, match="was stopped"):
        search.provide(job=job, pack="1" * 64)
