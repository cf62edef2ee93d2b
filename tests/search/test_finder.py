"""A file is found by its path or its bare name, and no name ends a search."""

import pytest

from inference.unreadable import UnreadableFrame
from search.finder import Finder


@pytest.fixture
def finder(tmp_path):
    for name in ("a/one.png", "a/two.png", "b/two.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return Finder(tmp_path)


@pytest.mark.parametrize("name", ["a/one.png", "one.png", "elsewhere/one.png"])
def test_a_file_is_found_by_its_path_or_by_its_bare_name(finder, name):
    with finder.source(name).open() as file:
        assert file.read() == b"a/one.png"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two.png", "2 files have this name"),
        ("three.png", "No such file"),
        ("x" * 300, "The file cannot be read: File name too long"),
    ],
)
def test_what_cannot_be_opened_says_why(finder, name, words):
    with pytest.raises(UnreadableFrame) as refused, finder.source(name).open():
        pass
    assert words in refused.value.reason


def test_what_opens_and_cannot_be_read_says_why(finder, tmp_path):
    (tmp_path / "bad.png").symlink_to("/proc/self/mem")
    found = Finder(tmp_path).source("bad.png")
    with pytest.raises(UnreadableFrame) as refused, found.open() as file:
        file.read(1)
    assert "Input/output error" in refused.value.reason
