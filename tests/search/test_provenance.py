"""What was kept of one origin is never taken for that of another."""

from dataclasses import replace

import pytest

from search import provenance
from search.example import Example
from search.parts import Parts


@pytest.fixture
def parts(tmp_path):
    def example(name):
        (tmp_path / name).write_bytes(name.encode())
        return Example(tmp_path / name, 1, "s", "p", boxes=((1.0, 2.0, 3.0, 4.0),))

    return Parts([example("a.png"), example("b.png")], [example("c.png")], [])


CHANGES = {
    "label": {"label": 0},
    "boxes": {"boxes": ()},
    "weight": {"weight": 0.5},
    "patient": {"patient": "q"},
    "study": {"study": "t"},
    "part": {"part": "hand"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_is_said_of_a_picture_tells(parts, change):
    before = provenance.of_parts(parts)
    other = replace(parts, training=[replace(parts.training[0], **change)])
    assert provenance.of_parts(parts) == before
    assert provenance.of_parts(other) != before


def test_another_picture_of_the_same_name_and_size_tells(parts):
    before = provenance.of_parts(parts)
    parts.training[0].image.write_bytes(b"A.png")
    assert provenance.of_parts(parts) != before


def test_who_changes_sides_tells(parts):
    training, validation = parts.training, parts.validation
    moved = Parts(training[:1], [training[1], *validation], [])
    assert provenance.of_parts(moved) != provenance.of_parts(parts)


def test_where_the_pictures_lie_does_not_tell(parts, tmp_path):
    (tmp_path / "away").mkdir()
    for e in (*parts.training, *parts.validation):
        e.image.rename(tmp_path / "away" / e.image.name)
        (tmp_path / e.image.name).write_bytes(e.image.name.encode())

    def away(found):
        return [replace(e, image=tmp_path / "away" / e.image.name) for e in found]

    moved = Parts(*(away(found) for found in vars(parts).values()))
    assert provenance.of_parts(moved) == provenance.of_parts(parts)


def test_a_key_is_of_all_its_origins():
    assert provenance.key("a", 1) == provenance.key("a", 1)
    assert provenance.key("a", 1) != provenance.key("a", 2)


def test_whom_weights_have_met_is_handed_down():
    sides = {"training": {"patients": ["a"]}, "validation": {"patients": ["b"]}}
    before = {"patients": ["c"], "unnamed": ["old"]}
    heir = {"name": "heir", "parts": sides, "learnt_before": before}
    found = provenance.ancestry([heir, {"name": "silent", "parts": "?"}])
    assert found == {"patients": ["a", "b", "c"], "unnamed": ["old", "silent"]}


def test_whom_people_numbered_stays_told_from_the_blocks_of_fracatlas():
    sides = {side: {"patients": ["7", "x"]} for side in ("training", "validation")}
    public = {"data": {"name": "FracAtlas", "source": "theirs"}}
    assert "numbered" not in provenance.ancestry([{"parts": sides} | public])
    first = provenance.ancestry([{"parts": sides}])
    assert first["numbered"] == ["7"]
    heir = {"parts": sides, "learnt_before": first} | public
    assert provenance.ancestry([heir])["numbered"] == ["7"]


def test_by_which_salts_patients_are_named_is_handed_down():
    cards = [{"salts": ["b"]}, {"salts": ["a", "b"]}, {}, {"salts": "c"}, "d"]
    assert provenance.marks(cards) == ["a", "b"]
    assert provenance.marks([]) == []


def test_what_begins_with_a_supernet_has_met_whom_it_learnt_from():
    source = {"images": "wrists", "patients": ["a"], "wrists": 4}
    found = provenance.behind_supernet(source)["learnt_before"]
    assert provenance.behind_supernet(source)["salts"] == []
    salted = provenance.behind_supernet(source | {"salts": ["x"]})
    assert salted["salts"] == ["x"]
    assert found == {"patients": ["a"], "unnamed": []}
    older = provenance.behind_supernet({"images": "wrists"})["learnt_before"]
    assert older == {"patients": [], "unnamed": ["its supernet"]}
    assert provenance.behind_supernet({"images": None, "wrists": 4}) == {}


def test_of_published_weights_it_is_told_which_file_they_were():
    source = {"file": "ofa_mbv3_d234_e346_k357_w1.2", "sha256": "ab" * 32}
    assert provenance.behind_supernet(source) == {"published": "ab" * 32}
