"""Files of one study are found together, wherever they lie."""

import os

from search import sources
from search.table import Table
from tests.search.archive import radiograph, save


def test_links_and_hidden_files_are_left_out(tmp_path):
    for name in ("b", "a/c", ".hidden", ".git/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    (tmp_path / "away").symlink_to(tmp_path / "a")
    found, left = sources.files(tmp_path)
    assert found == ["a/c", "b"]
    assert left == [
        (".git/x", "hidden"),
        (".hidden", "hidden"),
        ("away", "link"),
        ("link", "link"),
    ]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    """By hand, as root may list everything."""
    for name in ("a/x", "a/shut/y", "b/z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    look = os.scandir

    def scandir(folder):
        if folder.endswith("shut"):
            raise PermissionError(13, "Permission denied", folder)
        return look(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert sources.files(tmp_path) == (["a/x", "b/z"], [("a/shut", "cannot_list")])


def test_studies_are_put_together_from_headers_and_tables(tmp_path):
    save(radiograph("p", 1, 1), tmp_path / "one" / "x")
    save(radiograph("p", 1, 2), tmp_path / "two" / "y.dcm")
    save(radiograph("p", 2, 1), tmp_path / "two" / "z.dcm")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty.dcm").touch()
    said = Table(images={f"{n}.png": {"study": "s"} for n in "ab"})
    names = [*sources.files(tmp_path)[0], "a.png", "b.png", "c.PNG"]
    keys = [(name, sources.study_key(tmp_path, name, said)) for name in names]
    groups = {study.files for study in sources.studies(keys)}
    assert groups == {
        ("one/x", "two/y.dcm"),
        ("two/z.dcm",),
        ("notes.txt",),
        ("empty.dcm",),
        ("a.png", "b.png"),
        ("c.PNG",),
    }


def test_the_largest_study_comes_first():
    pairs = [("a", "1"), ("b", "2"), ("c", "2"), ("d", "3")]
    assert [len(study.files) for study in sources.studies(pairs)] == [2, 1, 1]
