"""Who is trained on, who is chosen by, who is judged on: it never changes."""

import pytest

from search import parts
from search.data import Example
from search.parts import Parts, refuse_lacking


def test_other_body_parts_are_learned_from_but_never_judged(tmp_path):
    found = [
        Example(tmp_path, 0, str(i), str(i // 2), part=("leg", "wrist", "foot")[i % 3])
        for i in range(80)
    ]
    parts = Parts.of(found)
    for side in parts.validation, parts.test:
        assert {example.part for example in side} == {"wrist"}
    assert {example.part for example in parts.training} == {"wrist", "leg", "foot"}


def test_nobody_changes_sides_from_one_release_to_the_next(tmp_path):
    """Whoever changes this test trains on the patients of an earlier test."""
    assert (parts.SALT, parts.TEST_SHARE, parts.VALIDATION_SHARE) == (
        "osteon-6",
        0.25,
        0.2,
    )
    sides = Parts.of([Example(tmp_path, 0, str(i), str(i)) for i in range(12)])
    assert [e.patient for e in sides.test] == ["1", "3"]


def example(tmp_path, label):
    return Example(tmp_path, label, "s", "p")


def test_a_side_that_lacks_what_it_is_needed_for_is_named(tmp_path):
    broken, sound = (example(tmp_path, label) for label in (1, 0))
    sides = Parts([broken, sound], [broken], [])
    refuse_lacking(sides, some=("validation",), both=("training",))
    with pytest.raises(ValueError, match=r"The test part has no radiograph: .*more"):
        refuse_lacking(sides, some=("training", "test"))
    with pytest.raises(ValueError, match="The validation part has no sound radiograph"):
        refuse_lacking(sides, both=("training", "validation"))
    with pytest.raises(ValueError, match="The test part has no radiograph"):
        refuse_lacking(sides, both=("test",))
    sides = Parts([broken, sound], [broken, sound], [])
    with pytest.raises(ValueError, match="The validation part has no sound study"):
        refuse_lacking(sides, both=("training", "validation"))
