"""A supernet is told from any other file without its weights."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from search.supernet_header import NOTES, notes, refuse_other


def written(path, about):
    save_file({"weights": np.zeros(3, np.float32)}, path, about)
    return path


def test_it_says_of_which_space_it_is(tmp_path):
    said = {"space": "ofa-1.2", "colours": 1, "source": {"wrists": 4}}
    path = written(tmp_path / "ours", {NOTES: json.dumps(said)})
    assert notes(path) == said
    refuse_other(path, "ofa-1.2")
    with pytest.raises(ValueError, match=r"ours is a supernet of ofa-1\.2"):
        refuse_other(path, "ofa-1.0")


@pytest.mark.parametrize("said", ["{", "3", "null", "{}", '{"space": []}'])
def test_notes_that_are_none_are_refused_in_words(tmp_path, said):
    path = written(tmp_path / "other", {NOTES: said})
    with pytest.raises(ValueError, match="other is no supernet"):
        notes(path)


def test_another_file_or_one_cut_short_is_refused_in_words(tmp_path):
    plain = written(tmp_path / "plain", None)
    with pytest.raises(ValueError, match="plain is no supernet; import or train"):
        notes(plain)
    plain.write_bytes(plain.read_bytes()[:-1])
    with pytest.raises(ValueError, match="plain is no supernet, or damaged"):
        notes(plain)
    with pytest.raises(OSError):
        notes(tmp_path / "nowhere")
