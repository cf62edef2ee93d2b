"""`manage.py latency`: only a table that can be relied on is kept."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from clinic.management.commands import latency
from search import hardware, pieces
from search.spaces import SPACES

SPACE = SPACES["ofa-1.0"]


@pytest.fixture
def measured(tmp_path):
    """What a folder's agent writes; `off`: how far every second network is."""

    def write(off):
        rng = np.random.default_rng(0)
        found = hardware.every_piece("ofa-1.0", 64, 64)
        times = {piece.key: float(rng.uniform(0.1, 1)) for piece in found}
        networks = []
        for number, chosen in enumerate(hardware.examples("ofa-1.0", 8)):
            parts = hardware.pieces(SPACE.blueprint(chosen), 64, 64)
            whole = sum(times[piece.key] for piece in parts)
            networks.append(
                {
                    "architecture": SPACE.to_json(chosen),
                    "ms": whole * (1 + off * (number % 2)),
                }
            )
        machine = {"name": "pi", "engine": "onnxruntime", "threads": 1}
        machine |= {"clock": "wall", "load": [0.1, 0.2], "noise": 0.03}
        said = {"space": "ofa-1.0", "size": [64, 64], "machine": machine}
        path = tmp_path / "measured.json"
        path.write_text(json.dumps(said | {"pieces": times, "networks": networks}))
        return path

    return write


def test_a_good_table_is_kept_and_says_how_good(measured, tmp_path, capsys):
    out = tmp_path / "table.json"
    call_command("latency", "fit", measured(0.05), "--out", out)
    said = capsys.readouterr().out
    assert "off by 4.8%" in said
    assert "load 0.1 to 0.2, median 3% above" in said
    assert (
        hardware.Table.from_json(json.loads(out.read_text())).predict(SPACE.start) > 0
    )


def test_a_bad_table_is_told_and_not_kept(measured, tmp_path, capsys):
    out = tmp_path / "table.json"
    with pytest.raises(CommandError, match="above 10%"):
        call_command("latency", "fit", measured(0.5), "--out", out)
    assert "off by 33.3%" in capsys.readouterr().out
    assert not out.exists()


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"nothing\.json"):
        call_command(
            "latency", "fit", tmp_path / "nothing.json", "--out", tmp_path / "t.json"
        )
    (tmp_path / "plan.json").write_text(
        '{"size": 1, "pieces": 1, "networks": 1, "machine": 1}'
    )
    with pytest.raises(CommandError, match="space missing"):
        call_command(
            "latency", "fit", tmp_path / "plan.json", "--out", tmp_path / "t.json"
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda said: "", r"measured\.json is not what an agent wrote \(JSON\)"),
        (lambda said: "[" * 60_000, r"is not what an agent wrote \(JSON\)"),
        (lambda said: json.dumps([said]), "no object of JSON"),
        (lambda said: json.dumps(said | {"space": "mars"}), "space is none of ofa"),
        (lambda said: json.dumps(said | {"networks": [1] * 8}), "network 0"),
        (lambda said: json.dumps(said | {"machine": {}}), "of its machine"),
        (lambda said: json.dumps(said | {"machine": {"load": 3}}), "of its machine"),
    ],
)
def test_what_no_agent_wrote_is_refused_in_words(measured, tmp_path, change, words):
    path = measured(0.05)
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(CommandError, match=words):
        call_command("latency", "fit", path, "--out", tmp_path / "table.json")
    assert not (tmp_path / "table.json").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--networks", "0"), "0 whole networks; at least 8"),
        (("--networks", "7"), "7 whole networks; at least 8"),
        (("--size", "8", "8"), "size: from 32 to 2048 a side"),
        (("--size", "32", "4096"), "size: from 32 to 2048 a side"),
    ],
)
@pytest.mark.parametrize("verb", ["export", "measure"])
def test_what_no_table_comes_of_is_refused_before_it_is_measured(
    tmp_path, monkeypatch, verb, more, words
):
    monkeypatch.setattr(latency, "measure", lambda *asked: pytest.fail("measured"))
    out = tmp_path / "out"
    place = [out] if verb == "export" else ["--out", out]
    with pytest.raises(CommandError, match=words):
        call_command("latency", verb, *more, *place)
    assert not out.exists()


def test_what_it_exports_needs_only_what_every_installation_has():
    """./run and the image install requirements.txt and nothing else."""
    root = Path(pieces.__file__).parent.parent
    tree = ast.parse(Path(pieces.__file__).read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    roots = {name.name.split(".")[0] for node in found for name in node.names}
    said = (root / "requirements.txt").read_text().splitlines()
    pinned = {line.split("==")[0] for line in said if "==" in line}
    assert "onnx" in roots and roots - sys.stdlib_module_names <= pinned


def test_an_engine_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CommandError, match=r"onnxruntime is not installed\. Remedy"):
        size, few = ("--size", "32", "32"), ("--networks", "8")
        call_command(
            "latency",
            "measure",
            *size,
            *few,
            "--engine",
            "onnxruntime",
            "--out",
            tmp_path / "t.json",
        )
