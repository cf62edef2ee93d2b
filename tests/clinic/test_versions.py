"""The administrator's pages about models."""

import json
import re
import shutil
from itertools import count

import pytest

from clinic import jobs, learning, measuring, registry
from clinic.models import AuditEvent, Job, ModelVersion, ShadowReading
from inference import artifact
from tests.clinic.factories import make_prediction, make_review, make_study
from tests.clinic.judged import side_of
from tests.clinic.test_registry import measured_card
from tests.inference import tiny

pytestmark = pytest.mark.django_db
ROW = re.compile(r"<tr>\s*<th[^>]*>([^<]*)</th>(.*?)</tr>", re.DOTALL)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    tiny.save(folder)
    return folder


@pytest.fixture
def register(tmp_path, weights):
    def make(name, card):
        folder = shutil.copytree(weights, tmp_path / "shipped" / name)
        spec = json.loads((folder / artifact.SPEC).read_text()) | {"name": name}
        (folder / artifact.SPEC).write_text(json.dumps(spec))
        (folder / artifact.CARD).write_text(json.dumps(card))
        return registry.register(folder=folder, by=None)

    return make


@pytest.fixture
def serving(register):
    version = register("serving", measured_card())
    return registry.promote(version=version, by=None, reason="the first")


@pytest.fixture
def fresh(register, serving):
    return register("fresh", measured_card(milliseconds=41.0))


@pytest.fixture
def worse(register, serving):
    return register("worse", measured_card(0.2))


@pytest.fixture
def steward(client, administrator):
    client.force_login(administrator)
    return client


def page(client, address, status=200):
    answer = client.get(address)
    assert answer.status_code == status
    return answer.content.decode()


def stage(version):
    return ModelVersion.objects.get(pk=version.pk).stage


def test_the_table_says_who_serves_first(steward, worse, fresh, serving):
    text = page(steward, "/models/")
    assert text.index("in service") < text.index(">fresh<") < text.index(">worse<")
    assert fresh.brief in text and "not measured" in text
    assert "Roll back to this" not in text


def test_blockers_stand_on_the_page_and_there_is_no_button(steward, worse):
    text = page(steward, f"/models/{worse.pk}/")
    for blocker in registry.blockers(worse):
        assert blocker in text
    assert "Sensitivity 0.800 against 1.000 in service" in text
    assert '<button disabled aria-describedby="blocked">Promote</button>' in text
    assert "Promote: the next study" not in text


def test_pressed_nevertheless_the_gate_refuses(steward, worse, serving):
    answer = steward.post(f"/models/{worse.pk}/promote/", {"reason": "I insist."})
    assert answer.status_code == 422
    assert "Sensitivity 0.800" in answer.content.decode()
    assert (stage(worse), stage(serving)) == ("candidate", "active")


def test_one_that_passes_is_promoted_with_a_reason(steward, administrator, fresh):
    text = page(steward, f"/models/{fresh.pk}/")
    assert "The gate finds nothing against it." in text
    answer = steward.post(
        f"/models/{fresh.pk}/promote/", {"reason": "Quicker."}, follow=True
    )
    assert f"fresh {fresh.brief} is in service." in answer.content.decode()
    assert stage(fresh) == "active"
    event = AuditEvent.objects.order_by("pk").last()
    assert (event.actor, event.detail["reason"]) == (administrator, "Quicker.")
    assert "Quicker." in page(steward, f"/models/{fresh.pk}/")


@pytest.mark.parametrize("verb", ["promote", "shadow", "retire"])
def test_without_a_reason_nothing_happens(steward, fresh, verb):
    answer = steward.post(f"/models/{fresh.pk}/{verb}/")
    assert answer.status_code == 422
    assert "Say why, for whoever asks later." in answer.content.decode()
    assert stage(fresh) == "candidate"


def test_going_back_is_one_click(steward, fresh, serving):
    registry.promote(version=fresh, by=None, reason="x")
    assert f'action="/models/{serving.pk}/rollback/"' in page(steward, "/models/")
    answer = steward.post(f"/models/{serving.pk}/rollback/", follow=True)
    assert "is back in service" in answer.content.decode()
    assert (stage(serving), stage(fresh)) == ("active", "retired")


def test_one_that_had_to_leave_tells_why_in_its_life(steward, fresh, serving):
    registry.promote(version=fresh, by=None, reason="Twice as quick.")
    text = page(steward, f"/models/{serving.pk}/")
    assert "model.left" in text and "Twice as quick." in text
    assert f"in service; after it {fresh.name} {fresh.brief}" in text


def test_shadow_and_retire(steward, fresh):
    steward.post(f"/models/{fresh.pk}/shadow/", {"reason": "To compare."})
    assert stage(fresh) == "shadow"
    assert "None so far." in page(steward, f"/models/{fresh.pk}/")
    steward.post(f"/models/{fresh.pk}/retire/", {"reason": "Enough."})
    assert stage(fresh) == "retired"


def test_what_it_did_in_the_shadow_is_shown_to_administrators_alone(
    client, steward, radiologist, fresh, serving
):
    registry.shadow(version=fresh, by=None, reason="x")
    study = make_study(patient_name="DOE^JANE")
    seen = make_prediction(study, 0.9)
    ShadowReading.objects.create(
        prediction=seen, model=fresh, state="read", probability=0.123
    )
    text = page(steward, f"/models/{fresh.pk}/")
    assert "0 % of 1 studies" in text and "−0.777" in text
    assert f'href="/studies/{study.pk}/"' in text and "Doe, Jane" in text.title()
    for address in (f"/studies/{study.pk}/", f"/api/studies/{study.pk}/", "/"):
        client.force_login(radiologist)
        text = page(client, address)
        assert "0.123" not in text and "12 %" not in text and "fresh" not in text


def test_two_side_by_side(steward, worse, serving):
    address = f"/models/compare/?one={worse.pk}&other={serving.pk}"
    text = page(steward, address)
    assert "Sensitivity 0.800 against 1.000" in text
    assert "refuses" in text and "passes" in text
    assert "−0.2" in text


def test_what_the_gate_does_not_judge_by_is_said_beside(steward, register, serving):
    unmarked = register("unmarked", measured_card(hits={}))
    serving.card = unmarked.card
    serving.save()
    text = page(steward, f"/models/compare/?one={unmarked.pk}&other={serving.pk}")
    assert "Overlays are not judged: both hold out 0 image(s)" in text
    assert "In sex F (100 studies, 0 with a fracture) sensitivity says nothing" in text
    assert text.count("not judged</td>") == 4 and "finds nothing against it" in text


def test_a_committee_beside_a_network_keeps_every_figure_by_its_name(
    steward, register, serving
):
    making = {"machine": "two cores", "seconds": 2497, "members": {"a" * 64: 1}}
    committee = register("committee", measured_card() | making)
    for one, other in ((committee, serving), (serving, committee)):
        text = page(steward, f"/models/compare/?one={one.pk}&other={other.pk}")
        row = dict(ROW.findall(text))
        assert "2497" in row["Seconds of training"]
        assert "two cores" in row["Machine"]
        assert "aaaaaaaaaaaa (seed 1)" in row["The mean of"]
        assert "not stated" in row["The mean of"]


@pytest.mark.parametrize("query", ["", "?one=1", "?one=x&other=²", "?one=-1&other=9"])
def test_two_that_are_not_there(steward, query):
    assert "There is no such page." in page(steward, f"/models/compare/{query}", 404)


def test_scripts_get_the_same(steward, worse, serving):
    (first, second) = steward.get("/api/models/").json()["models"]
    assert (first["name"], second["name"]) == ("worse", "serving")
    assert (second["stage"], second["served"]) == ("active", True)
    told = steward.get(f"/api/models/{worse.pk}/").json()
    assert told["digest"] == worse.digest
    assert told["card"] == worse.card
    assert told["blockers"] == registry.blockers(worse)


def post(client, version, verb, **said):
    address = f"/api/models/{version.pk}/{verb}/"
    return client.post(address, said, content_type="application/json")


def test_a_script_promotes_through_the_gate_and_rolls_back(
    steward, administrator, worse, fresh, serving
):
    refused = post(steward, worse, "promote", reason="I insist.")
    assert refused.status_code == 422
    assert refused.json()["detail"] == registry.blockers(worse) != []
    assert stage(serving) == "active"
    answer = post(steward, fresh, "promote", reason="Quicker.")
    assert (answer.status_code, answer.json()["stage"]) == (200, "active")
    assert (stage(fresh), stage(serving)) == ("active", "retired")
    assert "never served" in post(steward, worse, "rollback").text
    answer = post(steward, serving, "rollback", reason="It failed.")
    assert (answer.status_code, answer.json()["pk"]) == (200, serving.pk)
    told = AuditEvent.objects.filter(actor=administrator).order_by("pk")
    assert [(e.action, e.detail["reason"]) for e in told] == [
        ("model.left", "Quicker."),
        ("model.promoted", "Quicker."),
        ("model.left", "It failed."),
        ("model.rolled_back", "It failed."),
    ]


def test_a_script_puts_one_into_the_shadow_and_retires_it(
    steward, administrator, worse, fresh, serving
):
    answer = post(steward, worse, "shadow", reason="See how it does.")
    assert (answer.status_code, answer.json()["stage"]) == (200, "shadow")
    answer = post(steward, worse, "retire", reason="Not well.")
    assert (answer.status_code, stage(worse)) == (200, "retired")
    for verb, words in (("shadow", "reads every study"), ("retire", "promoted")):
        refused = post(steward, serving, verb, reason="Hm.")
        assert (refused.status_code, stage(serving)) == (422, "active")
        assert words in refused.json()["detail"][0]
    told = AuditEvent.objects.filter(actor=administrator).order_by("pk")
    assert [(e.action, e.detail["reason"]) for e in told] == [
        ("model.shadowed", "See how it does."),
        ("model.retired", "Not well."),
    ]


def cases():
    return measured_card()["holdout"]["cases"]


@pytest.fixture
def held(serving, radiologist, monkeypatch):
    """Verdicts on two held-out patients, of each kind, and as few are enough."""
    monkeypatch.setattr(learning, "FEWEST_HELD", 1)
    names = (name for name in map("P{}".format, count()) if side_of(name) == "test")
    for verdict, name in zip(("fracture", "no_fracture"), names):
        prediction = make_prediction(make_study(patient_id=name))
        make_review(prediction, radiologist, verdict)


def test_two_without_a_common_holdout_are_measured_for_the_asking(
    steward, register, serving, held, administrator
):
    others = [case | {"id": f"x{n}"} for n, case in enumerate(cases())]
    stranger = register("stranger", measured_card(digest="another", cases=others))
    before = page(steward, f"/models/{stranger.pk}/")
    assert "have both measured on the held-out studies" in before
    answer = steward.post(f"/models/{stranger.pk}/measure/", follow=True)
    job = Job.objects.get()
    assert answer.redirect_chain[-1][0] == f"/jobs/{job.pk}/"
    shown = answer.text
    assert f"<h1>Measurement {job.pk}</h1>" in shown
    assert "0 of 2" in shown
    assert "learning rate" not in shown
    assert f"Measurement {job.pk}</a>" in page(steward, "/jobs/")
    waits = page(steward, f"/models/{stranger.pk}/")
    assert f'<a href="/jobs/{job.pk}/">Measurement {job.pk}</a> is waiting' in waits
    assert "Measure both" not in waits

    found = measured_card(digest="held")["holdout"]
    compared = {"candidate": {}, "incumbent": {}, "incumbent_digest": serving.digest}
    compared |= dict.fromkeys(measuring.HOLDOUTS.values(), found)
    measuring.finish(job=jobs.claim(pk=job.pk), compared=compared)
    after = page(steward, f"/models/{stranger.pk}/")
    assert "have both measured" not in after
    assert f'Last measured together by <a href="/jobs/{job.pk}/">' in after
    assert "model.measured" in after
    beside = page(steward, f"/models/compare/?one={stranger.pk}&other={serving.pk}")
    assert f'measured by <a href="/jobs/{job.pk}/">measurement {job.pk}</a>' in beside
    done = page(steward, f"/jobs/{job.pk}/")
    assert f'<th scope="col">stranger {stranger.brief}</th>' in done
    assert "in service then" in done and f"/models/{serving.pk}/" in done


def test_a_measurement_that_cannot_be_is_refused_in_words(steward, fresh):
    refused = steward.post(f"/models/{fresh.pk}/measure/")
    assert refused.status_code == 422
    assert "Of held-out patients are 0 studies with and 0 without" in refused.text
    answer = post(steward, fresh, "measure")
    assert answer.status_code == 422
    assert "the gate judges by no fewer than 20" in answer.json()["detail"][0]
    assert not Job.objects.exists()


def test_a_script_is_told_which_job_measures(steward, fresh, held):
    answer = post(steward, fresh, "measure")
    assert (answer.status_code, answer.json()) == (201, {"job": Job.objects.get().pk})


DECISIONS = ["promote", "shadow", "retire", "rollback"]


@pytest.mark.parametrize("verb", DECISIONS)
def test_only_administrators_decide_of_models(client, radiologist, fresh, verb):
    client.force_login(radiologist)
    assert post(client, fresh, verb, reason="Quicker.").status_code == 403
    client.logout()
    assert post(client, fresh, verb, reason="Quicker.").status_code in (401, 403)
    assert stage(fresh) == "candidate"


NO_REASON = [{}, {"reason": " "}, {"reason": None}]


@pytest.mark.parametrize("said", NO_REASON)
def test_a_script_that_brings_one_back_need_not_say_why(steward, fresh, serving, said):
    post(steward, fresh, "promote", reason="Quicker.")
    assert post(steward, serving, "rollback", **said).status_code == 200
    assert (stage(fresh), stage(serving)) == ("retired", "active")


@pytest.mark.parametrize("verb", DECISIONS[:-1])
@pytest.mark.parametrize("said", NO_REASON)
def test_a_script_has_to_say_why(steward, fresh, serving, verb, said):
    refused = post(steward, fresh, verb, **said)
    assert refused.status_code == 422
    assert refused.json()["detail"] == ["Say why, for whoever asks later."]
    assert (stage(fresh), stage(serving)) == ("candidate", "active")


@pytest.mark.parametrize("verb", DECISIONS)
def test_a_session_alone_decides_nothing(client, administrator, fresh, serving, verb):
    client.handler.enforce_csrf_checks = True
    client.force_login(administrator)
    assert post(client, fresh, verb, reason="Quicker.").status_code == 403
    assert stage(fresh) == "candidate"


def test_a_model_whose_files_are_gone_still_has_a_page(steward, worse, settings):
    shutil.rmtree(settings.MODEL_ROOT / worse.folder)
    text = page(steward, f"/models/{worse.pk}/")
    assert f"The files of worse {worse.brief} cannot be read." in text
