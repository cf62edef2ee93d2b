"""A search asked for from the page or by a script: its price, then its rows."""

import json
from types import SimpleNamespace

import pytest

from clinic import headroom, registry, store, terms
from clinic.models import AuditEvent, Job
from clinic.terms import Terms
from search.hardware import every_piece
from tests.clinic.factories import make_model, make_prediction, make_review, make_study
from tests.clinic.judged import save_parent
from tests.clinic.searched import boxes_of, draw

pytestmark = pytest.mark.django_db


@pytest.fixture
def steward(client, administrator):
    client.force_login(administrator)
    return client


@pytest.fixture(autouse=True)
def looks(monkeypatch):
    """The parent's views: no test here needs its files."""
    recipe = {"height": 96, "width": 64}
    shelf = SimpleNamespace(spec=lambda folder: {"recipe": recipe})
    monkeypatch.setattr(terms, "shelf", shelf)


@pytest.fixture(autouse=True)
def wrists(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"
    return draw(settings.DATA_ROOT / "datasets" / "wrists")


def asked(**more):
    said = {"parent": make_model().pk, "space": "ofa-1.0", "strategy": "random"}
    said |= {"images": "wrists", "height": 96, "width": 64, "budget": 4, "workers": 2}
    said |= {"finals": 1, "epochs": 1, "final_epochs": 2, "batch": 8, "seed": 5}
    return said | more


def text(answer):
    return answer.content.decode()


def at(answer, field):
    """What stands at a field, which points there."""
    page = text(answer)
    control = page.split(f'id="field-{field}"')[-1].split(">")[0]
    assert field == "besides" or 'aria-invalid="true"' in control
    assert f'aria-describedby="wrong-{field}' in page
    return page.split(f'<p class="at-field" id="wrong-{field}">')[1].split("</p>")[0]


def test_a_search_is_started_from_the_form(steward, administrator, wrists):
    sent = asked(most_parameters="7000000", most_madds="", most_latency="")
    answer = steward.post("/searches/start/", sent)
    job = Job.objects.get()
    assert answer.url == f"/searches/{job.pk}/"
    assert (job.by, job.seed, job.trials.count()) == (administrator, 5, 2)
    assert job.parameters["most"] == {"parameters": 7e6}
    assert job.parameters["size"] == [96, 64]
    assert Terms.of(job).images == str(wrists)
    assert store.size(job.pack) > 0
    assert "wrists" in text(steward.get(f"/searches/{job.pk}/"))


def test_several_objectives_need_a_strategy_that_follows_them(steward):
    sent = asked(besides=["parameters", "madds"], strategy="evolution")
    refused = steward.post("/searches/start/", sent)
    assert refused.status_code == 422
    assert at(refused, "besides") == "Evolution follows one objective only."
    assert not Job.objects.exists()
    steward.post("/searches/start/", sent | {"strategy": "pareto"})
    job = Job.objects.get()
    assert Terms.of(job).objective == ("auroc", "parameters", "madds")
    assert job.parameters["objectives"] == 3


@pytest.fixture
def table():
    times = {piece.key: 1.0 for piece in every_piece("ofa-1.0", 96, 64)}
    found = {"space": "ofa-1.0", "height": 96, "width": 64, "times": times}
    found |= {"slope": 1.0, "intercept": 0.0, "error": 0.05, "ranking": 1.0}
    return found | {"machine": {}}


def test_a_table_may_be_uploaded_or_stored(steward, settings, table, tmp_path):
    written, times = json.dumps(table), table["times"]
    stored = settings.DATA_ROOT / "latency" / "pi.json"
    stored.parent.mkdir()
    stored.write_text(written)
    (tmp_path / "upload.json").write_text(written)
    steward.post("/searches/start/", asked(table="pi.json", most_latency="20"))
    with (tmp_path / "upload.json").open("rb") as file:
        sent = asked(upload=file, most_latency="20")
        assert steward.post("/searches/estimate/", sent).status_code == 200
        file.seek(0)
        steward.post("/searches/start/", asked(upload=file, most_latency="20"))
    kept = [job.parameters["latency"]["times"] for job in Job.objects.all()]
    assert kept == [times, times]


@pytest.mark.parametrize(
    "damage",
    [
        {"times": {}},
        {"times": [1]},
        {"slope": None},
        {"slope": float("nan")},
        {"error": "0.01"},
        {"error": -1},
    ],
)
@pytest.mark.parametrize("limit", [{}, {"most_latency": "20"}], ids=["", "limit"])
def test_a_damaged_table_starts_nothing(steward, table, damage, limit, tmp_path):
    (tmp_path / "upload.json").write_text(json.dumps(table | damage))
    with (tmp_path / "upload.json").open("rb") as file:
        answer = steward.post("/searches/start/", asked(upload=file, **limit))
    assert answer.status_code == 422
    assert "This is no latency table: " in at(answer, "table")
    assert not Job.objects.exists()


def test_a_table_in_which_nothing_stands_is_none(steward, settings):
    stored = settings.DATA_ROOT / "latency" / "empty.json"
    stored.parent.mkdir()
    stored.write_text("{}")
    answer = steward.post("/searches/start/", asked(table="empty.json"))
    assert "This is no latency table: " in at(answer, "table")


@pytest.mark.parametrize(
    ("wrong", "field", "sentence"),
    [
        ({"parent": 999}, "parent", "Choose a model to start from."),
        ({"parent": ""}, "parent", "Choose a model to start from."),
        ({"budget": "many"}, "budget", "A valid integer is required."),
        ({"budget": 0}, "budget", "From 1 to 10000."),
        ({"hours": "0"}, "hours", "From 0.01 to 10000."),
        ({"budget": ""}, "budget", "A number of trials, or hours."),
        ({"epochs": 0}, "epochs", "From 1 to 200."),
        ({"space": "mars"}, "space", "&quot;mars&quot; is not a valid choice."),
        ({"images": "../elsewhere"}, "images", "There is no ../elsewhere in the data"),
        ({"images": ""}, "images", "at least 3 of each are needed"),
        ({"supernet": "none"}, "supernet", "There is no none in the data folder."),
        ({"table": "pi.json"}, "table", "There is no pi.json in the data folder."),
        ({"besides": "beauty"}, "besides", "is not a valid choice."),
        (
            {"besides": "latency", "strategy": "pareto"},
            "table",
            "Predicted latency needs a latency table.",
        ),
    ],
)
def test_a_refusal_stands_at_its_field_and_keeps_what_was_typed(
    steward, wrong, field, sentence
):
    answer = steward.post("/searches/start/", asked(workers=7) | wrong)
    assert answer.status_code == 422
    assert sentence in at(answer, field)
    assert text(answer).count('class="at-field"') == 1
    assert 'name="workers" type="number" min="1" max="1000" required value="7"' in (
        text(answer)
    )
    assert not Job.objects.exists()


def test_limits_that_nothing_keeps_are_refused_above_them(steward):
    answer = steward.post("/searches/start/", asked(most_latency="3"))
    said = '<p class="at-field">No limit is known by the name latency.</p>'
    assert answer.status_code == 422 and said in text(answer)


def test_a_data_set_that_cannot_be_learnt_from_is_refused_at_its_field(steward, wrists):
    table = wrists / "examples.csv"
    lines = table.read_text().splitlines()
    sound = [line for line in lines[1:] if line.split(",")[1] == "0"]
    table.write_text("\n".join([lines[0], *sound]))
    answer = steward.post("/searches/start/", asked())
    assert "usable label or verdict “a fracture”" in at(answer, "images")


def test_of_few_verdicts_it_is_said_that_they_can_promote_nothing(steward, radiologist):
    for number in range(8):
        verdict = "fracture" if number % 2 else "no_fracture"
        make_review(make_prediction(make_study()), radiologist, verdict)
    words = "but the gate promotes none that fewer than 20 of each judge."
    told = text(steward.post("/searches/estimate/", asked(images="")))
    assert "of one worker" in told and words in told
    assert words not in text(steward.post("/searches/estimate/", asked()))


def test_it_says_what_it_may_cost_and_starts_nothing(steward):
    answer = steward.post("/searches/estimate/", asked())
    assert answer.status_code == 200
    assert "of one worker, shared by 2" in text(answer)
    assert "nothing measured yet" in text(answer)
    refused = steward.post("/searches/estimate/", asked(budget=""))
    assert refused.status_code == 422
    assert "Candidates to try: A number of trials, or hours." in text(refused)
    told = steward.post("/searches/estimate/", asked(budget="", hours="0.5"))
    assert "candidates within 0.50 h, then 1 at length" in text(told)
    assert not Job.objects.exists()


def test_the_estimate_tells_of_batches_beyond_this_machine(steward, monkeypatch):
    assert "A batch of" not in text(steward.post("/searches/estimate/", asked()))
    monkeypatch.setattr(headroom, "memory", lambda: 1_000_000)
    told = text(steward.post("/searches/estimate/", asked()))
    assert "A batch of 8 views of 96×64 takes about 0 GB" in told


def test_a_search_may_be_given_hours_in_place_of_trials(steward):
    steward.post("/searches/start/", asked(budget="", hours="0.5"))
    job = Job.objects.get()
    said = job.parameters
    assert (said["budget"], said["hours"]) == (None, 0.5)
    assert said["planned"] > 1
    Job.objects.update(seconds=600)
    page = text(steward.get(f"/searches/{job.pk}/"))
    assert "0 ended; asked for are 0.5 h and 1 at length; 10 min searched" in page
    assert "0 of 0.5 h + 1" in text(steward.get("/searches/"))
    sent = asked(hours=2, budget=None)
    made = steward.post("/api/searches/", sent, content_type="application/json")
    assert made.json()["parameters"]["hours"] == 2


def test_a_script_starts_one_too(steward):
    sent = asked(strategy="pareto", objective=["auroc", "madds"], most_madds=3e8)
    answer = steward.post("/api/searches/", sent, content_type="application/json")
    job = Job.objects.get()
    assert (answer.status_code, answer.json()["pk"]) == (201, job.pk)
    assert Terms.of(job).objective == ("auroc", "madds")
    assert job.parameters["most"] == {"madds": 3e8}


def post(client, address, sent):
    return client.post(address, sent, content_type="application/json")


def test_a_script_is_told_the_price_and_nothing_starts(steward):
    answer = post(steward, "/api/searches/estimate/", asked())
    told = answer.json()
    assert answer.status_code == 200
    assert told["fits"] == 4 and told["seconds"] > 0
    assert "nothing measured yet" in told["basis"]
    assert not Job.objects.exists() and not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"seed": -1},
        {"epochs": 0},
        {"images": "nowhere"},
        {"strategy": "evolution", "objective": ["auroc", "madds"]},
        {"most_parameters": 1},
        {"most_latency": 3},
        {"strategy": "pareto", "objective": ["auroc", "latency"]},
    ],
)
def test_what_would_be_refused_is_refused_by_the_estimate_too(steward, wrong):
    sent = asked(**wrong)
    refused = post(steward, "/api/searches/estimate/", sent)
    assert refused.status_code == 422 and refused.json()["detail"]
    assert post(steward, "/api/searches/", sent).json() == refused.json()
    assert steward.post("/searches/estimate/", asked(workers=0)).status_code == 422


@pytest.mark.parametrize("place", ["", "estimate/"])
@pytest.mark.parametrize("sent", [[1], {"objective": ["beauty"]}, {}])
def test_a_script_is_refused_in_sentences(steward, sent, place):
    answer = post(steward, f"/api/searches/{place}", sent)
    assert answer.status_code == 422
    assert all(isinstance(words, str) for words in answer.json()["detail"])


def test_patches_are_proposed_by_the_parent_or_by_stored_results(
    steward, settings, wrists, tmp_path
):
    folder = settings.DATA_ROOT / "proposals"
    folder.mkdir()
    boxes_of(wrists, folder / "detector.json")
    save_parent(tmp_path / "tiny")
    parent = registry.register(folder=tmp_path / "tiny", by=None)
    for patches, digest in (
        ("parent", parent.digest),
        ("detector.json", terms.file_digest(folder / "detector.json")),
    ):
        sent = asked(parent=parent.pk, patches=patches, score="aufroc")
        steward.post("/searches/start/", sent)
        found = Terms.of(Job.objects.latest("pk"))
        assert (found.objective, found.patches_digest) == (("aufroc",), digest)
    answer = steward.post("/searches/start/", asked(score="aufroc"))
    assert "AUFROC is of patches" in at(answer, "patches")
    answer = steward.post("/searches/start/", asked(patches="nobody.json"))
    assert "There is no nobody.json" in at(answer, "patches")
