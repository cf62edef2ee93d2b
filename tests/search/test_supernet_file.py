import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.artifact import file_digest
from search.spaces import SPACES
from search.spaces.ofa import SMALLEST
from search.supernet import Supernet
from search.supernet_file import load, save

VIEWS = torch.randn(2, 1, 32, 32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(0)
    made = Supernet(SPACES["ofa-1.2"], colours=3, mean=0.2, std=0.3).eval()
    path = tmp_path_factory.mktemp("supernet") / "ours.safetensors"
    return made, path, save(path, made, {"sha256": "abc", "of": "phantoms"})


def test_it_comes_back_with_all_that_is_known_of_it(saved):
    made, path, sha256 = saved
    again, source = load(path)
    assert source == {"sha256": "abc", "of": "phantoms"}
    assert sha256 == file_digest(path) and len(sha256) == 64
    for name in ("space", "colours", "mean", "std"):
        assert getattr(again, name) == getattr(made, name)
    with torch.no_grad():
        assert torch.equal(again(VIEWS, SMALLEST), made(VIEWS, SMALLEST))


def altered(change, state, notes):
    if change == "another kind of file":
        return state, {}
    if change == "a tensor less":
        state.pop("kernels.3.five")
    if change == "a space nobody knows":
        notes["space"] = "ofa-9"
    if change == "what is not asked":
        notes["colour"] = 1
    return state, {"osteon supernet": json.dumps(notes)}


@pytest.mark.parametrize(
    "change",
    [
        "another kind of file",
        "a tensor less",
        "a space nobody knows",
        "what is not asked",
    ],
)
def test_another_file_is_refused_in_words(change, saved, tmp_path):
    notes = {"space": "ofa-1.2", "colours": 3, "mean": 0.2, "std": 0.3, "source": {}}
    state, about = altered(change, load_file(saved[1]), notes)
    path = tmp_path / "other.safetensors"
    save_file(state, path, about)
    with pytest.raises(ValueError, match=r"other\.safetensors is no supernet"):
        load(path)


def test_bytes_are_refused_in_words(tmp_path):
    path = tmp_path / "noise"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="noise is no supernet, or damaged"):
        load(path)
