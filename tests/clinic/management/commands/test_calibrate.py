"""`manage.py calibrate`: asks for nothing impossible, says what came out."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from clinic import training
from search.evaluate import report
from search.run import Verdict


@pytest.fixture
def asked(monkeypatch):
    calls = []
    found = report(np.array([0, 1]), np.array([0.1, 0.9]), ["a", "b"], 0.5, draws=5)

    def calibrate(**options):
        calls.append(options)
        return Verdict(options["out"], "d" * 64, found)

    monkeypatch.setattr(training, "calibrate", calibrate)
    return calls


def test_the_artifact_is_rewritten_where_it_stands_unless_told(asked):
    said = StringIO()
    call_command("calibrate", "m", images=Path("x"), stdout=said)
    call_command("calibrate", "m", "--images", "x", "--out", "y", stdout=StringIO())
    assert [call["out"] for call in asked] == [Path("m"), Path("y")]
    assert asked[0]["uncertain"] == (0.0, 0.0)
    told = json.loads(said.getvalue())
    assert told["digest"] == "d" * 64 and told["test"]["cases"] == 2


@pytest.mark.parametrize("limits", [("0.6", "0.4"), ("-0.1", "0.5"), ("0.5", "1.5")])
def test_limits_that_are_no_probabilities_are_refused(asked, limits):
    with pytest.raises(CommandError, match="between 0 and 1"):
        call_command("calibrate", "m", "--images", "x", "--uncertain", *limits)
    assert not asked


def test_a_folder_that_is_no_artifact_is_told_in_words(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("calibrate", str(tmp_path), "--images", str(tmp_path))
