"""What searches may choose from the data folder, and nothing beside it."""

import pytest
from django.core.exceptions import ValidationError

from clinic import materials


@pytest.fixture(autouse=True)
def data(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"
    return settings.DATA_ROOT


def put(path, words="{}"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words)


def test_only_what_looks_like_it_may_be_chosen(data):
    assert materials.names("datasets") == []
    put(data / "datasets" / "wrists" / "examples.csv")
    put(data / "datasets" / "empty" / "notes.txt")
    put(data / "latency" / "pi.json")
    assert materials.names("datasets") == ["wrists"]
    assert materials.path("datasets", "wrists") == data / "datasets" / "wrists"
    assert materials.path("datasets", "") is None
    assert materials.latency_table("pi.json") == {}


@pytest.mark.parametrize("name", ["../secret", "/etc", "other", "."])
def test_no_name_leads_out_of_the_folder(data, name):
    put(data / "secret" / "examples.csv")
    put(data / "datasets" / "wrists" / "examples.csv")
    with pytest.raises(ValidationError, match="in the data folder"):
        materials.path("datasets", name)


@pytest.mark.parametrize("written", [b"\xff", b"[1]", b"{", b"[" * 60_000], ids=len)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(written):
    with pytest.raises(ValidationError, match="no latency table"):
        materials.read_table(written)
