"""bfloat16 where a machine has it, and GPUs that always sum alike."""

import ast
from pathlib import Path

import pytest
import torch
from torch.backends import cudnn

from search import precision, together, train
from search.group import CPU
from search.precision import halved, knows_bfloat16, replayable
from search.trainee import Progress


@pytest.mark.parametrize("able", [True, False])
def test_a_product_is_in_bfloat16_where_the_machine_has_it(monkeypatch, able):
    monkeypatch.setattr(precision, "knows_bfloat16", lambda kind: able)
    with halved(CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if able else torch.float32)


def test_the_machine_is_asked_what_it_has(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert not knows_bfloat16("cuda")
    assert not knows_bfloat16("mps")
    assert knows_bfloat16("cpu") == torch.ops.mkldnn._is_mkldnn_bf16_supported()


def test_nobody_lowers_the_precision_without_asking():
    for path in Path(precision.__file__).parent.rglob("*.py"):
        if path.name != "precision.py":
            nodes = ast.walk(ast.parse(path.read_text()))
            names = {getattr(node, "attr", "") for node in nodes}
            assert not {"autocast", "bfloat16"} & names, path.name


def flags():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
    )


@pytest.mark.parametrize(("kind", "alike"), [("cuda", True), ("cpu", False)])
def test_gpus_sum_alike_while_they_train_and_no_longer(monkeypatch, kind, alike):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = flags()
    with pytest.raises(KeyboardInterrupt), replayable(torch.device(kind)):
        assert flags() == ((True, True, True) if alike else before)
        raise KeyboardInterrupt
    assert flags() == before


def test_a_lone_gpu_trains_so(monkeypatch, tmp_path):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    seen = []

    def fit(*given):
        seen.append((given[-1].device.type, flags()))
        return Progress()

    monkeypatch.setattr(train, "fit", fit)
    together.fit(None, None, tmp_path, members=1)
    assert seen == [("cuda", (True, True, True))]
