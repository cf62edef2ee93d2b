"""Sub-networks learn with a supernet's weights and without: a table tells of both."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.preprocess import Recipe
from search import heirs
from search.evaluate import auroc
from search.heirs import Heirs, compared, drawn, rows
from search.spaces import SPACES
from search.spaces.ofa import LARGEST, SMALLEST
from search.supernet import Supernet
from search.supernet_file import save
from tests.search import specks

RECIPE = {"width": 32, "height": 32, "polarity": "none", "split": False, "align": False}


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Specks, and a supernet whose file says that it learnt from views of 32 × 32."""
    folder = tmp_path_factory.mktemp("heirs")
    specks.folder(folder / "images", 40)
    torch.manual_seed(0)
    plan = {"plan": {"recipe": RECIPE}}
    save(folder / "ours", Supernet(SPACES["ofa-1.0"], mean=0.1, std=0.5), plan)
    return folder


@pytest.fixture(scope="module")
def bench(room):
    return Heirs(room / "ours", room / "images", room / "work", 2, (0, 1), 1, 8)


@pytest.fixture(scope="module")
def told(bench):
    return rows(bench)


def test_architectures_span_the_space_from_small_to_large():
    space = SPACES["ofa-1.0"]
    found = drawn(space, 7)
    sizes = [space.parameters(one) for one in found]
    assert (found[0], found[-1]) == (SMALLEST, LARGEST)
    assert sizes == sorted(sizes) and len(set(found)) == 7
    quarters = np.histogram(sizes, 4, (sizes[0], sizes[-1]))[0]
    assert quarters.all()
    assert drawn(space, 7) == found and drawn(space, 2) == [SMALLEST, LARGEST]


@pytest.mark.timeout(300)
def test_a_row_an_architecture_and_one_of_all(bench, told):
    small, large, together = told
    space = SPACES["ofa-1.0"]
    for row, architecture in zip((small, large), (SMALLEST, LARGEST), strict=True):
        assert row.architecture == space.to_json(architecture)
        assert row.parameters == space.parameters(architecture)
        assert row.madds == space.madds(architecture, 32, 32)
    assert (together.architecture, together.parameters) == (None, None)
    for row in told:
        assert row.gain.value == pytest.approx(row.inherited.value - row.fresh.value)
        assert row.gain.low <= row.gain.value <= row.gain.high
    mean = (small.gain.value + large.gain.value) / 2
    assert together.gain.value == pytest.approx(mean)


@pytest.mark.timeout(300)
def test_studies_of_the_test_side_judge_by_their_most_suspicious_view(bench, told):
    """Counted anew: image by image, of both seeds."""
    test, found = bench.parts.test, []
    for seed in bench.seeds:
        logits = bench.answers(SMALLEST, seed, True)["logits"]
        assert len(logits) == len(test)  # these images are one view each
        studies = {}
        for example, logit in zip(test, logits, strict=True):
            label, score = studies.get(example.study, (0, -np.inf))
            studies[example.study] = max(label, example.label), max(score, logit)
        labels, scores = map(np.array, zip(*studies.values(), strict=True))
        found.append(auroc(labels, scores))
    assert told[0].inherited.value == pytest.approx(np.mean(found))
    patients = {example.patient for example in test}
    assert not patients & {e.patient for e in bench.parts.training}
    assert not patients & {e.patient for e in bench.parts.validation}


@pytest.mark.timeout(300)
def test_an_heir_begins_with_the_weights_and_learns_as_candidates_do(
    bench, monkeypatch
):
    asked = []

    def attempted(task, architecture, folder, epochs):
        asked.append((task, architecture, epochs))
        raise KeyboardInterrupt

    monkeypatch.setattr(heirs, "attempt", attempted)
    for inherits in (True, False):
        with pytest.raises(KeyboardInterrupt):
            replace(bench, epochs=2).answers(LARGEST, 1, inherits)
    (heir, *what), (fresh, *alike) = asked
    assert heir.supernet is not None and fresh.supernet is None
    assert replace(heir, supernet=None, material=fresh.material) == fresh
    assert what == alike == [LARGEST, 2]
    assert (heir.seed, heir.batch, heir.proposed) == (1, 8, None)
    assert replace(heir.recipe, mean=0, std=1) == Recipe(**RECIPE, mean=0, std=1)


@pytest.mark.timeout(300)
def test_what_was_trained_is_kept_but_no_stale_answer(bench, told, room, monkeypatch):
    first = rows(bench)
    assert first == told

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(heirs, "attempt", never)
    assert rows(replace(bench)) == told
    for changed in ({"epochs": 2}, {"batch": 4}, {"seeds": (7,)}, {"size": (40, 32)}):
        with pytest.raises(AssertionError):
            rows(replace(bench, **changed))
    made = Supernet(SPACES["ofa-1.0"], mean=0.1, std=0.5)
    save(room / "other", made, {"plan": {"recipe": RECIPE}})
    other = replace(bench, file=room / "other")
    with pytest.raises(AssertionError):
        other.answers(SMALLEST, 0, True)
    fresh = bench.answers(SMALLEST, 0, False)
    assert other.answers(SMALLEST, 0, False) == fresh  # knows no supernet
    assert not [path for path in (bench.work / "heirs").iterdir() if path.is_dir()]


@pytest.mark.timeout(300)
def test_relabelled_radiographs_take_no_stale_answer(bench, told, room, monkeypatch):
    table = room / "images" / "examples.csv"
    before, parts = table.read_text(), bench.parts
    one = parts.training[0]
    row = f"{one.image.name},{one.label},"
    table.write_text(before.replace(row, f"{one.image.name},{1 - one.label},"))

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(heirs, "attempt", never)
    try:
        with pytest.raises(AssertionError):
            replace(bench).answers(SMALLEST, 0, False)
    finally:
        table.write_text(before)


@pytest.mark.timeout(300)
def test_the_table_is_for_a_person_and_for_a_file(bench, told):
    found, text = compared(bench)
    assert json.dumps(found, allow_nan=False) and len(found) == 3
    assert "ofa-1.0, whole views of 32×32, 1 epoch(s) in batches of 8, 2 seed" in text
    studies = {e.study: 0 for e in bench.parts.test}
    assert f"AUROC of {len(studies)} test studies" in text
    assert text.count("\n| ") == 5 and "| all" in text
    assert f"{told[0].gain.value:+.3f} [" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": 1}, "architectures: 2 or more, not 1"),
        ({"epochs": 0}, "epochs: 1 or more, not 0"),
        ({"batch": 1}, "batch: 2"),
        ({"size": (16, 64)}, "size: 32 or more, not 16"),
        ({"seeds": (-1,)}, "seeds: 0 or more"),
        ({"seeds": (0, 0)}, "each once"),
        ({"seeds": ()}, "one or more"),
    ],
)
def test_nonsense_is_refused_in_words(bench, changes, words):
    with pytest.raises(ValueError, match=words):
        replace(bench, **changes)


def test_a_supernet_that_knows_no_size_asks_for_one(bench, room):
    made = Supernet(SPACES["ofa-1.0"])
    save(room / "published", made, {"file": "ofa"})
    sized = replace(bench, file=room / "published")
    with pytest.raises(ValueError, match="does not say at which size it learnt"):
        sized.material  # noqa: B018
    assert replace(sized, size=(40, 32)).material.ours.pixels.shape[1:] == (40, 32)


def test_one_kind_alone_cannot_be_judged(bench, tmp_path):
    images = specks.folder(tmp_path / "images", 2)
    with pytest.raises(ValueError, match="has not both fractured and sound patients"):
        replace(bench, images=images).parts  # noqa: B018


def test_a_folder_without_radiographs_is_named(bench, tmp_path):
    with pytest.raises(ValueError, match="holds no labelled radiographs"):
        replace(bench, images=tmp_path / "nowhere").parts  # noqa: B018
