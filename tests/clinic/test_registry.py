"""The life of a model, from a folder of files to the one that serves."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management import call_command

from clinic import audit, registry
from clinic.models import AuditEvent, ModelVersion
from inference import artifact

pytestmark = pytest.mark.django_db
ACTIVE, RETIRED, CANDIDATE = "active", "retired", "candidate"


@pytest.fixture
def shipped(tmp_path):
    """A folder of artifacts as far as the registry looks into them."""

    def make(name, weights=b"weights"):
        folder = tmp_path / "shipped" / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath(artifact.SPEC).write_text(json.dumps({"name": name}))
        folder.joinpath(artifact.CARD).write_text(json.dumps({"auroc": 0.8}))
        folder.joinpath(artifact.WEIGHTS).write_bytes(weights)
        return folder

    return make


@pytest.fixture
def register(shipped, administrator):
    return lambda *about: registry.register(folder=shipped(*about), by=administrator)


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
        assert version.card == {"auroc": 0.8}
        assert AuditEvent.objects.get().action == "model.registered"

    def test_the_same_again_changes_nothing(self, register):
        assert register("resnet18") == register("resnet18")
        assert AuditEvent.objects.count() == 1

    def test_other_bytes_are_another_model(self, register):
        register("resnet18")
        register("resnet18", b"other")
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

    @pytest.mark.parametrize("spec", ["", "[]", "{}", "3"])
    def test_a_spec_that_is_none_is_refused(self, shipped, spec):
        folder = shipped("resnet18")
        folder.joinpath(artifact.SPEC).write_text(spec)
        with pytest.raises(ValidationError, match="names no model"):
            registry.register(folder=folder, by=None)


class TestPromote:
    def test_one_serves_and_the_one_before_retires(self, register, administrator):
        first, second = register("resnet18"), register("rx-lite")
        promote(first, administrator)
        promote(second, administrator)
        assert stages() == {"resnet18": RETIRED, "rx-lite": ACTIVE}
        event = AuditEvent.objects.order_by("pk").last()
        assert event.detail["before"] == first.digest
        assert event.detail["reason"] == "It is better."

    def test_going_back_is_promoting_the_older_again(self, register, administrator):
        first, second = register("resnet18"), register("rx-lite")
        for version in (first, second, first):
            promote(version, administrator)
        assert stages() == {"resnet18": ACTIVE, "rx-lite": RETIRED}
        assert AuditEvent.objects.filter(action="model.promoted").count() == 3

    def test_twice_is_as_once(self, register, administrator):
        first = register("resnet18")
        promote(first, administrator)
        promote(first, administrator)
        assert AuditEvent.objects.filter(action="model.promoted").count() == 1

    @pytest.mark.parametrize("reason", ["", "  \n"])
    def test_a_reason_is_asked_for(self, register, administrator, reason):
        with pytest.raises(ValidationError, match="why"):
            promote(register("resnet18"), administrator, reason)
        assert stages() == {"resnet18": CANDIDATE}

    def test_a_model_whose_bytes_changed_never_serves(
        self, register, administrator, settings
    ):
        version = register("resnet18")
        kept = Path(settings.MODEL_ROOT, version.folder, artifact.CARD)
        kept.write_text(json.dumps({"auroc": 0.99}))
        with pytest.raises(ValidationError, match="differs"):
            promote(version, administrator)
        assert stages() == {"resnet18": CANDIDATE}


class TestBootstrap:
    @pytest.fixture
    def bootstrap(self, settings, tmp_path):
        settings.SHIPPED_MODELS = tmp_path / "shipped"

        def run(*arguments):
            out, err = StringIO(), StringIO()
            call_command("bootstrap", *arguments, stdout=out, stderr=err)
            return out.getvalue() + err.getvalue()

        return run

    def test_roles_users_and_the_first_model(self, bootstrap, shipped):
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
