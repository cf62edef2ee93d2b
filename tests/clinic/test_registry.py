"""The life of a model, from a folder of files to the one that serves."""

import json
import shutil
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management import call_command

from clinic import audit, pseudonyms, registry
from clinic.models import AuditEvent, ModelVersion, ShadowReading
from inference import artifact
from inference.doubt import Limits
from tests.clinic.factories import make_job
from tests.inference import tiny

pytestmark = pytest.mark.django_db
ACTIVE, RETIRED, CANDIDATE = "active", "retired", "candidate"


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Spec and weights of a small network, made once."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    tiny.save(folder)
    return folder


UNLIKE = asdict(Limits(unlike=2.0))


@pytest.fixture
def shipped(tmp_path, weights):
    """A folder with a model that can read, with `card`."""

    def make(name, card=None, **spec):
        folder = tmp_path / "shipped" / name
        folder.mkdir(parents=True, exist_ok=True)
        told = json.loads((weights / artifact.SPEC).read_text()) | {"name": name} | spec
        folder.joinpath(artifact.SPEC).write_text(json.dumps(told))
        folder.joinpath(artifact.CARD).write_text(json.dumps(card or measured_card()))
        shutil.copy(weights / artifact.WEIGHTS, folder)
        return folder

    return make


def measured_card(shift=0.0, **holdout):
    """A card with a holdout of 200 studies, `shift` of them fractures overlooked."""
    cases = [
        {
            "id": str(n),
            "patient": f"p{n}",
            "label": n % 2,
            "probability": 0.9 * (n % 2) if n >= shift * 200 else 0.1,
            "subgroups": {"sex": "FM"[n % 2]},
        }
        for n in range(200)
    ]
    told = {"digest": "d", "cases": cases, "milliseconds": 40.0}
    told["hits"] = {"lrp": 0.5, "gradcam": 0.5}
    return {
        "holdout": told | holdout,
        "parts": {"training": {"patients": ["q"]}, "validation": {"patients": []}},
    }


def marked_card(lost):
    """A card with 40 marked fractures, all hit but those `lost` by LRP."""
    card = measured_card()
    broken = [case for case in card["holdout"]["cases"] if case["label"]][:40]
    for n, case in enumerate(broken):
        case["hits"] = ["gradcam"] if n < lost else ["gradcam", "lrp"]
    return card


@pytest.fixture
def salted(settings, tmp_path):
    """The names of a house with a data folder of its own."""
    settings.DATA_ROOT = tmp_path / "data"
    return pseudonyms.names()


@pytest.fixture
def register(shipped, administrator):
    return lambda *about, **spec: registry.register(
        folder=shipped(*about, **spec), by=administrator
    )


def promote(version, by, reason="It is better."):
    return registry.promote(version=version, by=by, reason=reason)


def stages():
    return dict(ModelVersion.objects.values_list("name", "stage"))


class TestRegister:
    def test_a_candidate_is_kept_under_its_digest(self, register, shipped, settings):
        version = register("resnet18")
        assert version.digest == artifact.digest(shipped("resnet18"))
        kept = Path(settings.MODEL_ROOT, version.folder)
        assert artifact.digest(kept) == version.digest
        assert {path.name for path in kept.iterdir()} == set(artifact.FILES)
        assert (version.name, version.stage) == ("resnet18", CANDIDATE)
        assert version.card == measured_card()
        assert AuditEvent.objects.get().action == "model.registered"

    def test_the_same_again_changes_nothing(self, register):
        assert register("resnet18") == register("resnet18")
        assert AuditEvent.objects.count() == 1

    def test_other_bytes_are_another_model(self, register):
        register("resnet18")
        register("resnet18", {"auroc": 0.8})
        assert ModelVersion.objects.count() == 2

    def test_a_damaged_copy_is_replaced(self, register, settings):
        version = register("resnet18")
        kept = Path(settings.MODEL_ROOT, version.folder)
        kept.joinpath(artifact.WEIGHTS).write_bytes(b"rotten")
        register("resnet18")
        assert artifact.digest(kept) == version.digest

    @pytest.mark.parametrize("name", artifact.FILES)
    def test_a_folder_that_lacks_a_file_is_refused_in_words(
        self, register, shipped, name
    ):
        folder = shipped("resnet18")
        folder.joinpath(name).unlink()
        with pytest.raises(ValidationError, match=name):
            registry.register(folder=folder, by=None)
        assert not ModelVersion.objects.exists()

    @pytest.mark.parametrize("name", artifact.FILES)
    def test_a_file_of_other_bytes_is_refused_in_words(self, shipped, name):
        folder = shipped("resnet18")
        folder.joinpath(name).write_bytes(b"\x80 rotten")
        with pytest.raises(ValidationError) as refused:
            registry.register(folder=folder, by=None)
        assert name in refused.value.messages[0]
        assert not ModelVersion.objects.exists()
        assert not AuditEvent.objects.exists()

    @pytest.mark.parametrize("spec", ["", "[]", "{}", "3"])
    def test_a_spec_that_is_none_is_refused(self, shipped, spec):
        folder = shipped("resnet18")
        folder.joinpath(artifact.SPEC).write_text(spec)
        with pytest.raises(ValidationError, match=artifact.SPEC):
            registry.register(folder=folder, by=None)

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ({"arch": {"family": "gpt", "options": {}}}, "unknown network 'gpt'"),
            ({"composite": "oracle"}, "unknown LRP composite 'oracle'"),
            ({"limits": UNLIKE}, "does not say what the training looked like"),
            ({"recipe": {"width": "wide"}}, "missing key .* in the recipe"),
            ({"aggregation": "loudest"}, "unknown aggregation 'loudest'"),
            ({"threshold": 2.0}, "threshold 2.0 is not in"),
            ({"arch": {"family": "resnet18", "options": {}}}, "weights .* shape"),
        ],
    )
    def test_a_spec_that_cannot_be_followed_is_refused(self, register, spec, words):
        with pytest.raises(ValidationError, match=words):
            register("resnet18", **spec)
        assert not ModelVersion.objects.exists()

    def test_a_changed_byte_in_the_weights_is_seen_before_anybody_reads(
        self, register, settings
    ):
        version = register("resnet18")
        kept = Path(settings.MODEL_ROOT, version.folder, artifact.WEIGHTS)
        data = bytearray(kept.read_bytes())
        data[-1] ^= 1
        kept.write_bytes(data)
        for verb in (registry.promote, registry.shadow):
            with pytest.raises(ValidationError, match="at least one byte differs"):
                verb(version=version, by=None, reason="x")
        assert stages() == {"resnet18": CANDIDATE}


@pytest.fixture
def serving(register, administrator):
    """A model in service, the first of the house."""
    return promote(register("old"), administrator)


def last_event():
    return AuditEvent.objects.order_by("pk").last()


class TestPromote:
    def test_the_first_of_an_empty_house_needs_no_gate_and_the_event_says_so(
        self, register, administrator
    ):
        first = promote(register("resnet18", {"name": "no holdout"}), administrator)
        assert (first.stage, first.served) == (ACTIVE, True)
        assert "the first model of an empty house" in last_event().detail["gate"]
        assert last_event().detail["before"] is None

    def test_one_serves_and_the_one_before_retires(
        self, register, serving, administrator
    ):
        promote(register("new"), administrator)
        assert stages() == {"old": RETIRED, "new": ACTIVE}
        detail = last_event().detail
        assert detail["before"] == serving.digest
        assert (detail["reason"], detail["gate"]) == ("It is better.", "passed")

    def test_a_worse_one_is_refused_with_every_blocker(
        self, register, serving, administrator
    ):
        slow = measured_card(0.2, milliseconds=99.0, hits={"lrp": 0.5})
        worse = register("worse", slow)
        events = AuditEvent.objects.count()
        with pytest.raises(ValidationError) as refused:
            promote(worse, administrator)
        found = refused.value.message_dict["version"]
        assert found == registry.blockers(worse)
        assert [s for s in found if s.startswith("Sensitivity 0.800 against 1.000")]
        assert "A view takes 99 ms against 40 ms in service: at most 1.5 times as" in (
            " ".join(found)
        )
        assert [s for s in found if "gradcam was not measured for worse" in s]
        assert stages() == {"old": ACTIVE, "worse": CANDIDATE}
        assert AuditEvent.objects.count() == events

    def test_overlays_are_judged_by_the_images_that_each_hits(
        self, register, administrator
    ):
        promote(register("old", marked_card(lost=0)), administrator)
        (sentence,) = registry.blockers(register("worse", marked_card(lost=3)))
        assert sentence.startswith("The overlays of lrp hit 0.925 of 40 marked images")
        assert "90 % interval -0." in sentence

    def test_where_no_held_out_fracture_is_marked_overlays_refuse_nobody(
        self, register, administrator
    ):
        bare = measured_card(hits={})
        old = promote(register("old", bare), administrator)
        new = register("new", bare)
        notes = registry.judgement(new, old).notes
        (note,) = [words for words in notes if "verlays" in words]
        assert note.startswith("Overlays are not judged: both hold out 0 image(s)")
        assert promote(new, administrator).stage == ACTIVE

    def test_one_without_a_holdout_is_refused(self, register, serving, administrator):
        older = register("older", {"test": {"auroc": {"value": 0.99}}})
        with pytest.raises(ValidationError, match="not measured on a holdout"):
            promote(older, administrator)

    def test_one_that_learnt_from_the_holdout_is_refused(
        self, register, serving, administrator
    ):
        card = measured_card()
        card["parts"]["training"]["patients"] = ["p7"]
        with pytest.raises(ValidationError, match=r"learnt from 1 patient .*\(p7\)"):
            promote(register("leaked", card), administrator)

    @pytest.mark.parametrize("known", ["learnt", "learnt before", "held out"])
    def test_one_that_knows_the_holdout_by_its_other_names_is_refused(
        self, register, serving, known, salted
    ):
        """A hand-made table names patients by their IDs, verdicts by pseudonyms."""
        card = measured_card(digest="other")
        held = [
            case for case in card["holdout"]["cases"] if case["id"] in {"1", "2", "3"}
        ]
        for case in held:
            case["patient"] = f"Müller {case['id']} "
        learnt = [case["patient"] for case in held]
        if known == "held out":
            learnt = [salted.patient(name) for name in learnt]
        else:
            for case in held:
                case["patient"] = salted.patient(case["patient"])
        if known == "learnt before":
            card["learnt_before"] = {"patients": learnt, "unnamed": []}
        else:
            card["parts"]["validation"]["patients"] = learnt
        words = registry.judgement(register("a", card), register("b", card)).blockers
        assert len([w for w in words if "has learnt from 3 patients" in w]) == 1

    def test_a_damaged_salt_is_told_and_refuses(self, register, serving, salted):
        Path(settings.DATA_ROOT, pseudonyms.SALT).write_text("short")
        judged = registry.judgement(register("new"), serving)
        (sentence,) = judged.blockers
        assert sentence.startswith("Whether new ")
        assert "pseudonym_salt is not what was written" in sentence
        assert judged.rows

    def test_a_salt_that_cannot_be_read_is_told(self, register, serving, salted):
        salt = Path(settings.DATA_ROOT, pseudonyms.SALT)
        salt.unlink()
        salt.mkdir()
        (sentence,) = registry.blockers(register("new"))
        assert "cannot be checked: pseudonym_salt cannot be read: let" in sentence

    def test_one_that_met_patients_under_another_salt_is_refused(
        self, register, serving, salted
    ):
        told = {"salts": ["another", salted.mark]}
        strange = register("strange", measured_card() | told)
        (sentence,) = registry.blockers(strange)
        assert sentence.startswith(f"strange {strange.brief} names patients by another")
        assert "Build its data set anew with this salt and train again" in sentence
        assert registry.judgement(strange, serving).rows
        told["salts"] = [salted.mark]
        assert registry.blockers(register("ours", measured_card() | told)) == []

    @pytest.mark.parametrize("known", ["learnt", "held out"])
    def test_blocks_of_fracatlas_are_nobody_with_such_an_id(
        self, register, serving, known, salted
    ):
        """One held-out patient with the ID 7 would refuse every heir for ever; where
        people numbered their patients, it is one of them."""
        card, names = measured_card(), ["7", salted.patient("7")]
        learnt, held = names if known == "learnt" else reversed(names)
        card["parts"]["training"]["patients"] = [learnt]
        card["holdout"]["cases"][3]["patient"] = held
        own, other = register("own", card), register("other", card)
        assert "has learnt from 1 pat" in registry.judgement(own, other).blockers[0]
        card["data"] = {"name": "FracAtlas", "source": "Abedeen et al."}
        judged = registry.judgement(register("a", card), register("b", card))
        assert not [words for words in judged.blockers if "has learnt" in words]

    def test_who_comes_of_numbered_patients_has_met_them(
        self, register, serving, salted
    ):
        card = measured_card()
        card["data"] = {"name": "FracAtlas", "source": "Abedeen et al."}
        card["learnt_before"] = {"patients": ["6", "7"], "unnamed": []}
        card["holdout"]["cases"][3]["patient"] = salted.patient("7")
        assert not [w for w in registry.blockers(register("a", card)) if "learnt" in w]
        card["learnt_before"]["numbered"] = ["7"]
        other = register("other", card)
        judged = registry.judgement(register("b", card | {"name": "b"}), other)
        assert "has learnt from 1 patient" in judged.blockers[0]

    def test_the_threshold_of_each_counts(self, register, serving, administrator):
        strict = register("strict", threshold=0.95)
        with pytest.raises(ValidationError, match=r"Sensitivity 0\.000"):
            promote(strict, administrator)

    def test_one_that_says_nothing_is_refused(self, register, serving, administrator):
        mute = register("mute", limits=asdict(Limits(uncertain_to=1.0)))
        with pytest.raises(ValidationError, match=r"mute .* says nothing of 1\.000"):
            promote(mute, administrator)

    def test_what_the_card_counted_as_left_to_people_is_judged(self, register, serving):
        counted = {"images": 200, "poor_quality": 3, "unlike_training": 8}
        card = measured_card() | {"abstentions": counted}
        (sentence,) = registry.blockers(register("picky", card))
        assert "says nothing of 0.055 of the held-out images" in sentence
        card["abstentions"]["unlike_training"] = 7
        assert registry.blockers(register("fine", card)) == []

    def test_one_whose_limits_nobody_measured_is_refused(self, register, serving):
        blurred = register("blurred", limits=asdict(Limits(sharpness=0.9)))
        (sentence,) = registry.blockers(blurred)
        assert "was not measured" in sentence and "leaves to people" in sentence

    def test_solid_marks_are_judged_where_each_sets_them(self, register, serving):
        card = measured_card()
        for case in card["holdout"]["cases"]:
            case["probability"] = case["probability"] or 0.4
        promoted = registry.judgement(register("a", card, confident=0.9), serving)
        rash = register("b", card, threshold=0.4, confident=0.4)
        row = {row.what: row for row in promoted.rows}["specificity of solid marks"]
        assert (row.candidate, row.blocker) == (1.0, "")
        words = registry.judgement(rash, serving).blockers
        assert [w for w in words if w.startswith("Specificity of solid marks 0.000")]

    def test_twice_is_as_once(self, serving, administrator):
        events = AuditEvent.objects.count()
        promote(serving, administrator)
        assert AuditEvent.objects.count() == events

    @pytest.mark.parametrize("verb", ["promote", "shadow", "retire"])
    @pytest.mark.parametrize("reason", ["", "  \n"])
    def test_a_reason_is_asked_for(self, register, administrator, verb, reason):
        version = register("resnet18")
        with pytest.raises(ValidationError, match="why"):
            getattr(registry, verb)(version=version, by=administrator, reason=reason)
        assert stages() == {"resnet18": CANDIDATE}


def test_two_are_measured_on_the_same_holdout_whichever_is_asked_of_first(
    register, serving, administrator
):
    """The card of one that served cannot know of the holdout of its successor."""
    found = measured_card(digest="new")["holdout"]
    new = register("new", {"holdout": found, "parts": measured_card()["parts"]})
    told = {"holdout": found, "incumbent_digest": serving.digest}
    make_job(by=administrator, state="done", candidate=new, compared=told)
    for one, other in ((new, serving), (serving, new)):
        judged = registry.judgement(one, other)
        assert len(judged.rows) > 2
        assert not [words for words in judged.blockers if "same holdout" in words]


def test_what_the_card_counted_on_other_images_is_not_taken_for_the_common_ones(
    register, serving, administrator
):
    found = measured_card(digest="new")["holdout"]
    card = measured_card() | {"abstentions": {"images": 200, "uncertain": 100}}
    new = register("new", card)
    told = {"candidate_holdout": found, "holdout": found}
    told["incumbent_digest"] = serving.digest
    made = {"kind": "measure", "parent": new, "state": "done"}
    job = make_job(by=administrator, compared=told, **made)
    assert registry.blockers(new) == []
    counted = {"abstentions": {"images": 200, "poor_quality": 100}}
    job.compared = told | {"candidate_holdout": found | counted}
    job.save()
    (sentence,) = registry.blockers(new)
    assert "says nothing of 0.500 of the held-out images against 0.000" in sentence


class TestRollback:
    def test_one_that_served_comes_back_ungated(self, register, serving, administrator):
        promote(register("new"), administrator)
        ModelVersion.objects.filter(pk=serving.pk).update(card={})
        back = registry.rollback(version=serving, by=administrator)
        assert stages() == {"old": ACTIVE, "new": RETIRED}
        assert back.pk == registry.active().pk == serving.pk
        assert last_event().action == "model.rolled_back"
        assert last_event().actor == administrator
        events = AuditEvent.objects.count()
        registry.rollback(version=serving, by=administrator)
        assert AuditEvent.objects.count() == events

    def test_it_is_told_in_the_life_of_each_why_it_came_and_why_it_left(
        self, register, serving, administrator
    ):
        new = promote(register("new"), administrator, "It is quicker.")
        registry.rollback(version=serving, by=administrator, reason="It failed.")
        told = AuditEvent.objects.filter(action="model.left").order_by("pk")
        assert [(event.target, event.detail["reason"]) for event in told] == [
            (f"modelversion/{serving.pk}", "It is quicker."),
            (f"modelversion/{new.pk}", "It failed."),
        ]
        assert {event.detail["was"] for event in told} == {"in service"}

    def test_from_the_shadow_too(self, register, serving, administrator):
        promote(register("new"), administrator)
        registry.shadow(version=serving, by=administrator, reason="Compare.")
        registry.rollback(version=serving, by=administrator)
        assert stages() == {"old": ACTIVE, "new": RETIRED}

    def test_one_that_never_served_cannot(self, register, serving, administrator):
        other = register("other")
        registry.retire(version=other, by=administrator, reason="Too slow.")
        with pytest.raises(ValidationError, match="never served"):
            registry.rollback(version=other, by=administrator)
        assert stages() == {"old": ACTIVE, "other": RETIRED}

    def test_a_damaged_one_cannot(self, register, serving, administrator, settings):
        promote(register("new"), administrator)
        Path(settings.MODEL_ROOT, serving.folder, artifact.SPEC).unlink()
        with pytest.raises(ValidationError, match=artifact.SPEC):
            registry.rollback(version=serving, by=administrator)
        assert stages() == {"old": RETIRED, "new": ACTIVE}


class TestShadow:
    def test_there_is_one_and_the_one_before_goes_back(
        self, register, serving, administrator
    ):
        one, two = register("one"), register("two")
        for version in (one, two, two):
            registry.shadow(version=version, by=administrator, reason="To compare.")
        assert stages() == {"old": ACTIVE, "one": CANDIDATE, "two": "shadow"}
        assert last_event().action == "model.shadowed"
        assert last_event().detail["before"] == one.digest
        assert AuditEvent.objects.filter(action="model.shadowed").count() == 2
        left = AuditEvent.objects.get(action="model.left")
        assert (left.target, left.detail["reason"]) == (
            f"modelversion/{one.pk}",
            "To compare.",
        )

    def test_one_that_served_retires_again(self, register, serving, administrator):
        promote(register("new"), administrator)
        registry.shadow(version=serving, by=administrator, reason="To compare.")
        registry.shadow(version=register("c"), by=administrator, reason="To compare.")
        assert stages() == {"old": RETIRED, "new": ACTIVE, "c": "shadow"}

    def test_the_one_in_service_cannot(self, serving, administrator):
        with pytest.raises(ValidationError, match="in service"):
            registry.shadow(version=serving, by=administrator, reason="Why not.")

    def test_what_it_had_begun_ends_with_it(self, register, administrator, prediction):
        version = registry.shadow(
            version=register("one"), by=administrator, reason="To compare."
        )
        row = ShadowReading.objects.create(prediction=prediction, model=version)
        registry.retire(version=version, by=administrator, reason="Enough seen.")
        row.refresh_from_db()
        assert row.state == "failed" and "left the shadow" in row.reason


class TestRetire:
    def test_a_candidate_leaves_once(self, register, administrator):
        version = register("one")
        for _ in range(2):
            registry.retire(version=version, by=administrator, reason="Too slow.")
        assert stages() == {"one": RETIRED}
        (event,) = AuditEvent.objects.filter(action="model.retired")
        assert event.detail["was"] == CANDIDATE

    def test_the_one_in_service_cannot(self, serving, administrator):
        with pytest.raises(ValidationError, match="in service"):
            registry.retire(version=serving, by=administrator, reason="Why not.")
        assert stages() == {"old": ACTIVE}


class TestBootstrap:
    @pytest.fixture
    def bootstrap(self, settings, tmp_path):
        settings.SHIPPED_MODELS = tmp_path / "shipped"

        def run(*arguments):
            out, err = StringIO(), StringIO()
            call_command("bootstrap", *arguments, stdout=out, stderr=err)
            return out.getvalue() + err.getvalue()

        return run

    def test_roles_users_and_the_first_model(self, bootstrap, shipped, settings):
        settings.FIRST_MODEL = "resnet18"
        shipped("a-candidate")
        shipped("resnet18")
        printed = bootstrap("--radiologist", "ada")
        assert stages() == {"resnet18": ACTIVE, "a-candidate": CANDIDATE}
        assert {g.name for g in Group.objects.all()} == {"radiologist", "administrator"}
        ada = User.objects.get(username="ada")
        assert [group.name for group in ada.groups.all()] == ["radiologist"]
        password = printed.split("sign in as ada, password ")[1].split()[0]
        assert ada.check_password(password) and len(password) >= 12
        assert audit.verify() == []

    def test_again_changes_nothing_and_prints_no_password(self, bootstrap, shipped):
        shipped("resnet18")
        bootstrap()
        before = list(User.objects.order_by("pk").values_list("password", flat=True))
        events = AuditEvent.objects.count()
        assert "password" not in bootstrap()
        after = list(User.objects.order_by("pk").values_list("password", flat=True))
        assert (before, events) == (after, AuditEvent.objects.count())

    def test_given_passwords_are_taken_and_kept_quiet(self, bootstrap, monkeypatch):
        monkeypatch.setenv("OSTEON_RADIOLOGIST_PASSWORD", "correct horse")
        monkeypatch.setenv("OSTEON_ADMINISTRATOR_PASSWORD", "battery staple")
        printed = bootstrap()
        assert "correct horse" not in printed and "battery staple" not in printed
        user = User.objects.get(username="radiologist")
        assert user.check_password("correct horse")

    def test_what_an_administrator_promoted_stays_in_service(
        self, bootstrap, shipped, administrator
    ):
        shipped("resnet18")
        other = registry.register(folder=shipped("rx-lite"), by=None)
        promote(other, administrator)
        bootstrap()
        assert stages() == {"resnet18": CANDIDATE, "rx-lite": ACTIVE}

    def test_without_a_shipped_model_it_says_so(self, bootstrap):
        assert "No model is shipped" in bootstrap()
