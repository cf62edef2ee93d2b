"""A model is traced to its code, be it out of a checkout, altered, or in an image."""

import subprocess

import pytest

from search.checkout import commit

IDENTITY = ("-c", "user.name=n", "-c", "user.email=e@example.org")


def git(folder, *words):
    told = subprocess.run(
        ["git", *IDENTITY, *words], cwd=folder, capture_output=True, check=True
    )
    return told.stdout.decode().strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.delenv("OSTEON_COMMIT", raising=False)
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "tag", "v1")
    return tmp_path


def test_a_clean_tree_is_its_commit_whatever_lies_beside_it(checkout):
    (checkout / "notes.txt").touch()
    assert commit(checkout) == git(checkout, "rev-parse", "HEAD")


def test_an_altered_tree_says_so_and_fits_the_database(checkout):
    (checkout / "code.py").write_text("2")
    head = git(checkout, "rev-parse", "HEAD")
    assert commit(checkout) == f"{head[:32]}-altered"


def test_an_image_is_told_its_commit(checkout, monkeypatch):
    for told, kept in (
        ("a" * 40, "a" * 40),
        ("a" * 40 + "-altered", "a" * 32 + "-altered"),
    ):
        monkeypatch.setenv("OSTEON_COMMIT", told)
        assert commit(checkout) == kept


def test_without_checkout_or_git_nothing_is_known(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    assert commit(checkout) == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(checkout) == ""
