"""Blueprints become files that do as much as the network would."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from search import hardware, latency_agent, pieces
from search.spaces import SPACES

SPACE = SPACES["ofa-1.0"]


def madds(model):
    """Multiply-adds of every convolution and the last layer, by inferred shapes."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*inferred.value_info, *inferred.input, *inferred.output]
    }
    total = 0
    for node in inferred.node:
        if node.op_type == "Conv":
            weight = shapes[node.input[1]]
            total += int(np.prod(shapes[node.output[0]]) * np.prod(weight[1:]))
        elif node.op_type == "Gemm":
            total += int(np.prod(shapes[node.input[1]]))
    return total


@pytest.mark.parametrize("seed", range(3))
def test_the_file_of_a_network_has_its_multiply_adds(seed):
    architecture = SPACE.sample(np.random.default_rng(seed))
    model = pieces.network(SPACE.blueprint(architecture), 64, 96)
    assert madds(model) == SPACE.madds(architecture, 64, 96)


def test_activations_neither_fade_nor_grow(tmp_path):
    """Denormal numbers would be slow, and no part of any real network."""
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "network.onnx"
    onnx.save(pieces.network(SPACE.blueprint(SPACE.start), 32, 32), path)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (score,) = session.run(None, {"image": np.full((1, 1, 32, 32), 0.5, np.float32)})
    assert 1e-6 < abs(float(score[0, 0])) < 1e6
    assert path.stat().st_size < 100_000


def test_a_folder_goes_to_the_target_and_comes_back_as_a_table(tmp_path):
    pytest.importorskip("onnxruntime")
    folder = pieces.export(tmp_path / "pi", "ofa-1.0", 32, 32, networks=8)
    command = [sys.executable, "agent.py", "--runs", "2"]
    subprocess.run(command, cwd=folder, check=True)
    measured = json.loads((folder / "measured.json").read_text())
    assert len(measured["networks"]) == 8
    assert min(measured["pieces"].values()) > 0
    assert measured["machine"]["engine"] == "onnxruntime"
    assert measured["machine"]["noise"] >= 0
    table = hardware.fit(measured)
    assert len(table.times) == 93
    assert table.error > 0
    with pytest.raises(FileExistsError):
        pieces.export(folder, "ofa-1.0", 32, 32, networks=8)


def test_the_agent_takes_the_least_time():
    ticks = iter([0, 5, 10, 12, 20, 29])
    found = latency_agent.timed(lambda: None, 3, lambda: next(ticks) / 1000)
    assert found == pytest.approx((2, 5))


def test_processor_time_of_several_threads_is_no_latency(tmp_path):
    with pytest.raises(ValueError, match="one thread only"):
        latency_agent.measure(tmp_path, "onnxruntime", threads=2, clock="processor")


def test_the_agent_needs_nothing_of_osteon():
    source = Path(latency_agent.__file__).read_text()
    for room in ("inference", "search", "clinic"):
        assert f"from {room}" not in source
