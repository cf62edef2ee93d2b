"""A model that is kept is kept whole, however many keep it."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest
from django.core.exceptions import ValidationError

from clinic import shelf
from inference import artifact


@pytest.fixture
def model(settings, tmp_path):
    settings.MODEL_ROOT = tmp_path / "kept"
    folder = settings.SHIPPED_MODELS / "rx-lite"
    return folder, artifact.digest(folder)


def test_of_several_who_keep_one_model_at_once_one_copies_it(
    model, settings, monkeypatch
):
    folder, digest = model
    copied, whole = [], shelf.whole

    def slowly(*told):
        copied.append(told)
        sleep(0.2)
        return whole(*told)

    monkeypatch.setattr(shelf, "whole", slowly)
    with ThreadPoolExecutor(3) as pool:
        kept = [pool.submit(shelf.keep_copy, folder, digest) for _ in range(3)]
        assert [one.result() for one in kept] == [None] * 3
    assert len(copied) == 1
    assert artifact.digest(settings.MODEL_ROOT / digest) == digest


def test_a_damaged_copy_is_replaced_and_nothing_is_left_beside_it(model, settings):
    folder, digest = model
    shelf.keep_copy(folder, digest)
    (settings.MODEL_ROOT / digest / artifact.SPEC).write_text("{}")
    shelf.keep_copy(folder, digest)
    assert artifact.digest(settings.MODEL_ROOT / digest) == digest
    assert [path.name for path in settings.MODEL_ROOT.glob("[!.]*")] == [digest]
    assert shelf.find_model(digest[:8])[1] == digest


@pytest.mark.parametrize("text", ["", "[" * 60_000])
def test_a_spec_that_is_none_is_refused_in_words(tmp_path, text):
    (tmp_path / artifact.SPEC).write_text(text)
    with pytest.raises(ValidationError, match="cannot be read"):
        shelf.spec(tmp_path)
