"""The form that starts a search: what it holds, and where a refusal stands."""

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict

from clinic import search_fields
from clinic.search_serializers import SearchRequestSerializer
from tests.clinic.factories import make_model

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data(settings, tmp_path):
    settings.DATA_ROOT = tmp_path


def fields(form):
    return {field.name: field for group in form.groups for field in group.fields}


def test_what_it_begins_with_is_a_search_that_a_script_may_ask_for():
    model = make_model()
    make_model("other", stage="candidate")
    shown = fields(search_fields.form())
    assert shown["parent"].value == str(model.pk)
    said = QueryDict(mutable=True)
    for field in shown.values():
        if field.kind != "file":
            several = field.kind == "several"
            said.setlist(field.name, field.value if several else [field.value])
    sent = SearchRequestSerializer(data=said)
    assert sent.is_valid(), sent.errors
    assert sent.validated_data["objective"] == ["auroc"]


def test_every_field_that_a_search_knows_is_asked_for():
    known = set(SearchRequestSerializer().fields) - {"objective"}
    assert known <= fields(search_fields.form()).keys()


def test_what_was_typed_stays():
    typed = QueryDict("budget=many&besides=madds&besides=parameters")
    shown = fields(search_fields.form(typed))
    assert shown["budget"].value == "many"
    assert shown["besides"].value == ["madds", "parameters"]


def test_a_refusal_is_told_at_its_field_and_at_the_top():
    error = ValidationError({"budget": ["budget: from 1 to 10000."], "most": ["No."]})
    form = search_fields.form(error=error)
    budget = fields(form)["budget"]
    assert (budget.refusals, budget.about) == (
        ["From 1 to 10000."],
        "wrong-budget aside-budget",
    )
    assert fields(form)["workers"].about == "aside-workers"
    assert form.groups[-1].refusals == ["No."]
    assert form.told == ["Candidates to try: From 1 to 10000.", "No."]


@pytest.mark.parametrize("error", ["All is wrong.", {"unheard of": ["All is wrong."]}])
def test_what_is_about_no_field_is_told_all_the_same(error):
    form = search_fields.form(error=ValidationError(error))
    assert form.told == ["All is wrong."]
