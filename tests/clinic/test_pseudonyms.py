"""The same person has the same name in every data set, for ever."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from clinic import pseudonyms, tags
from search import dataset
from search.deidentify import Pseudonyms
from search.example import Example
from search.parts import Parts
from search.sources import Study
from search.table import Table
from search.transform import Rules, make
from tests.search.archive import radiograph, save

ODD = "AB7 \u00a0\u00ad\u200b\u200d\u0301\u00e9e_\u202e"
HELD_OUT = [0, 11, 15, 18, 19, 22, 25, 27, 28, 30, 36, 38]
SPELLINGS = (
    "A17",
    "A  17",
    "A\u00ad17",
    "e\u0301x",
    "\u00e9x",
    " A17 ",
    "A\\B",
    "7" * 80,
)


@pytest.fixture(autouse=True)
def house(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"


def test_verdicts_and_built_data_sets_name_a_patient_alike():
    assert pseudonyms.patient("P1") == pseudonyms.names().of("patient", "P1")
    assert pseudonyms.patient("P1") != pseudonyms.patient("P2")


def built(folder, patient_id, **tags):
    """The patient of a data set that is built of one radiograph of theirs."""
    rules = Rules(folder / "in", folder, pseudonyms.names(), Table(), "all", False)
    save(radiograph("p", 1, PatientID=patient_id, **tags), folder / "in" / "a")
    made = make(rules, Study("uid/x", ("a",)))
    (row,) = dataset.rows_of(folder / dataset.STUDIES / made.study / "study.csv")
    return row["patient"]


@pytest.mark.parametrize("issuer", ["", "HOSP"])
@pytest.mark.parametrize("written", SPELLINGS)
@pytest.mark.filterwarnings("ignore:.*PatientID")
def test_one_person_has_one_name_however_their_header_is_written(
    written, issuer, tmp_path
):
    said = {"IssuerOfPatientID": issuer, "SpecificCharacterSet": "ISO_IR 192"}
    row = tags.text(written, 64)  # as clinic.arrivals keeps it
    assert built(tmp_path, written, **said) == pseudonyms.patient(row)


@given(written=st.text(alphabet=ODD, max_size=80))
@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_spelling_puts_a_patient_on_two_sides(written):
    names = pseudonyms.names()
    assert names.patient(written) == pseudonyms.patient(tags.text(written, 64))


def test_who_is_held_out_has_not_changed_with_the_spelling():
    """Plain IDs, pinned: a name that changes moves patients between the sides."""
    found = [Pseudonyms(b"salt").patient(f"PID{i}") for i in range(40)]
    assert found[:2] == ["8c48ade499351558", "60d97caacc7060ce"]
    parts = Parts.of([Example(Path("x"), 1, p, p, part="wrist") for p in found])
    assert [found.index(e.patient) for e in parts.test] == HELD_OUT


def test_the_name_stays_and_another_house_has_another(settings, tmp_path):
    first = pseudonyms.patient("P1")
    assert pseudonyms.patient("P1") == first
    settings.DATA_ROOT = tmp_path / "elsewhere"
    assert pseudonyms.patient("P1") != first


def test_all_who_ask_first_get_the_same_salt():
    with ThreadPoolExecutor(8) as pool:
        salts = set(pool.map(lambda _: pseudonyms.names().salt, range(32)))
    assert len(salts) == 1


def test_the_salt_is_for_its_owner_only(settings):
    pseudonyms.names()
    path = settings.DATA_ROOT / pseudonyms.SALT
    assert path.stat().st_mode & 0o077 == 0


def test_a_job_that_began_with_another_salt_is_refused():
    pseudonyms.refuse_others(pseudonyms.names().mark)
    pseudonyms.refuse_others(None)
    with pytest.raises(ValueError, match="another one than when this job was started"):
        pseudonyms.refuse_others("another")


def test_a_salt_that_cannot_be_read_is_told_in_words(settings):
    (settings.DATA_ROOT / pseudonyms.SALT).mkdir(parents=True)
    with pytest.raises(ValueError, match="pseudonym_salt cannot be read: let Osteon"):
        pseudonyms.names()


def test_a_data_folder_that_cannot_be_made_is_told_in_words(settings):
    settings.DATA_ROOT.write_text("a file")
    with pytest.raises(ValueError, match="pseudonym_salt cannot be read"):
        pseudonyms.names()


def test_a_damaged_salt_is_refused_not_replaced(settings):
    pseudonyms.names()
    (settings.DATA_ROOT / pseudonyms.SALT).write_text("")
    with pytest.raises(ValueError, match="backup"):
        pseudonyms.patient("P1")
