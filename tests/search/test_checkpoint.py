"""Checkpoints: whole, or as if they were not there."""

import pytest
import torch

from search import checkpoint
from search.checkpoint import CHECKPOINT
from search.train import fit
from tests.search.test_train import PLAN, made, material, same, weights  # noqa: F401

NOTES = {"plan": {"sizes": (1, 2)}, "history": []}


def test_what_is_written_is_read(tmp_path):
    weight = torch.arange(6.0).view(2, 3).T
    checkpoint.write(tmp_path, {"weight": weight}, NOTES)
    notes, tensors = checkpoint.read(tmp_path / CHECKPOINT, NOTES["plan"])
    assert notes["history"] == [] and torch.equal(tensors["weight"], weight)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_where_nothing_was_kept_there_is_none(tmp_path):
    assert checkpoint.read(tmp_path / CHECKPOINT, {}) is None


def test_one_of_another_plan_is_refused(tmp_path):
    checkpoint.write(tmp_path, {"weight": torch.ones(2)}, NOTES)
    with pytest.raises(ValueError, match="another plan"):
        checkpoint.read(tmp_path / CHECKPOINT, {"sizes": (1, 3)})


@pytest.mark.parametrize("left", [0, 5, 60, -1])
def test_a_damaged_one_is_as_good_as_none_and_the_log_is_told(tmp_path, caplog, left):
    checkpoint.write(tmp_path, {"weight": torch.ones(200)}, NOTES)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:left])
    assert checkpoint.read(path, NOTES["plan"]) is None
    assert "is damaged" in caplog.text


def test_a_training_whose_checkpoint_was_cut_short_begins_anew(
    material,  # noqa: F811
    tmp_path,
):
    whole = fit(PLAN, material, tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:3000])
    again = fit(PLAN, material, tmp_path)
    assert again.history == whole.history
    assert same(weights(again), weights(whole))
