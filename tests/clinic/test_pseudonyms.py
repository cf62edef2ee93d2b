"""The same person has the same name in every data set, for ever."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from clinic import learning, pseudonyms


@pytest.fixture(autouse=True)
def house(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"


def test_verdicts_and_built_data_sets_name_a_patient_alike():
    assert learning.patient("P1") == pseudonyms.names().of("patient", "P1")
    assert learning.patient("P1") != learning.patient("P2")


def test_the_name_stays_and_another_house_has_another(settings, tmp_path):
    first = learning.patient("P1")
    assert learning.patient("P1") == first
    settings.DATA_ROOT = tmp_path / "elsewhere"
    assert learning.patient("P1") != first


def test_all_who_ask_first_get_the_same_salt():
    with ThreadPoolExecutor(8) as pool:
        salts = set(pool.map(lambda _: pseudonyms.names().salt, range(32)))
    assert len(salts) == 1


def test_the_salt_is_for_its_owner_only(settings):
    pseudonyms.names()
    path = settings.DATA_ROOT / pseudonyms.SALT
    assert path.stat().st_mode & 0o077 == 0


def test_a_damaged_salt_is_refused_not_replaced(settings):
    pseudonyms.names()
    (settings.DATA_ROOT / pseudonyms.SALT).write_text("")
    with pytest.raises(ValueError, match="backup"):
        learning.patient("P1")
