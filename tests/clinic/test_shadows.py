"""A model in the shadow: it reads what is read, and nobody's reading feels it."""

from dataclasses import replace

import pytest
from django.core.management import call_command
from django.utils import timezone

from clinic import intake, reading, registry, shadows
from clinic.management.commands.watch import Watcher
from clinic.models import AuditEvent, ModelVersion, Prediction, ShadowReading, Study
from clinic.pacs import GoneFromPacs, PacsUnavailable
from clinic.pacs.embedded import EmbeddedPacs
from clinic.serializers import StudySerializer
from tests.clinic.factories import make_model, make_prediction, make_study
from tests.inference import tiny

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two models that differ in their thresholds alone."""
    room = tmp_path_factory.mktemp("artifacts")
    tiny.save(room / "serving")
    tiny.save(room / "other", replace(tiny.SPEC, name="other", threshold=0.999))
    return room


@pytest.fixture
def pacs(settings):
    settings.QUIET_SECONDS = 0
    return EmbeddedPacs(settings.EMBEDDED_ROOT)


@pytest.fixture
def serving(db, folders):
    version = registry.register(folder=folders / "serving", by=None)
    return registry.promote(version=version, by=None, reason="the only one")


@pytest.fixture
def model(serving, folders):
    version = registry.register(folder=folders / "other", by=None)
    return registry.shadow(version=version, by=None, reason="Is it better?")


def arrive(pacs, seed=1):
    for data in tiny.images(seed):
        pacs.store(data)
    (study,) = intake.sync(pacs)
    return study


@pytest.fixture
def prediction(serving, pacs):
    """What the model in service said, before or after the shadow stood there."""
    return lambda seed=1: reading.read(study=arrive(pacs, seed), pacs=pacs)


class Away(EmbeddedPacs):
    error = PacsUnavailable("no route")

    def open(self, instance_id):
        raise self.error


class TestReading:
    def test_it_reads_the_same_images_and_nobody_sees_it(self, prediction, model, pacs):
        seen = prediction()
        before = StudySerializer(seen.study).data
        rows = Study.objects.values(), Prediction.objects.values()
        rows = [list(found) for found in rows]
        reading.shadow(prediction=seen, pacs=pacs)
        row = ShadowReading.objects.get()
        assert (row.prediction, row.model, row.state) == (seen, model, "read")
        assert row.probability == pytest.approx(seen.probability, abs=0.02)
        assert not row.flagged and row.milliseconds > 0 and row.lease_until is None
        assert StudySerializer(seen.study).data == before
        assert [list(Study.objects.values()), list(Prediction.objects.values())] == rows

    def test_twice_is_as_once(self, prediction, model, pacs):
        seen = prediction()
        reading.shadow(prediction=seen, pacs=pacs)
        before = ShadowReading.objects.values().get()
        reading.shadow(prediction=seen, pacs=Away(pacs.root))
        assert ShadowReading.objects.values().get() == before

    def test_without_a_shadow_there_is_nothing_to_do(self, prediction, pacs):
        reading.shadow(prediction=prediction(), pacs=pacs)
        assert not ShadowReading.objects.exists()

    def test_it_follows_the_living_not_the_archive(self, prediction, folders, pacs):
        """From when it was put there, not from when it was registered."""
        version = registry.register(folder=folders / "other", by=None)
        old = prediction()
        registry.shadow(version=version, by=None, reason="Is it better?")
        new = prediction(seed=2)
        assert list(shadows.due()) == [new]
        reading.shadow(prediction=old, pacs=pacs)
        assert not ShadowReading.objects.exists()

    def test_what_was_superseded_is_let_go(self, prediction, model, pacs):
        seen = prediction()
        Prediction.objects.update(superseded_at=timezone.now())
        reading.shadow(prediction=seen, pacs=pacs)
        assert not shadows.due().exists() and not ShadowReading.objects.exists()

    def test_what_changes_while_it_is_read_is_not_compared(
        self, prediction, model, pacs
    ):
        seen = prediction()
        taken = shadows.take(seen.pk)
        Study.objects.update(revision=2)
        shadows.keep(taken, "read", "", probability=0.5, flagged=False)
        row = ShadowReading.objects.get()
        assert (row.state, row.probability) == ("failed", None)
        assert "changed" in row.reason


class TestTrouble:
    def test_a_pacs_that_is_away_costs_no_attempt(self, prediction, model, pacs):
        seen = prediction()
        with pytest.raises(PacsUnavailable):
            reading.shadow(prediction=seen, pacs=Away(pacs.root))
        row = ShadowReading.objects.get()
        assert (row.state, row.attempts) == ("waiting", 0)
        assert not shadows.due().exists()  # until the pause is over
        ShadowReading.objects.update(lease_until=None)
        reading.shadow(prediction=seen, pacs=pacs)
        assert ShadowReading.objects.get().state == "read"

    def test_fewer_images_than_were_in_service_are_not_compared(
        self, prediction, model, pacs
    ):
        seen = prediction()
        best = seen.images.order_by("-probability").first().instance.pacs_id
        lost = EmbeddedPacs(pacs.root)

        def open_instance(pacs_id):
            if pacs_id == best:
                raise GoneFromPacs(pacs_id)
            return pacs.open(pacs_id)

        lost.open = open_instance
        reading.shadow(prediction=seen, pacs=lost)
        row = ShadowReading.objects.get()
        assert (row.state, row.probability) == ("failed", None)
        count = seen.images.count()
        assert row.reason == f"1 of {count} images are no longer in the PACS."
        assert shadows.comparison(model).both == 0

    def test_what_nobody_expected_fails_after_the_last_attempt(
        self, prediction, model, pacs, settings
    ):
        settings.MAX_ATTEMPTS, seen = 2, prediction()
        broken = Away(pacs.root)
        broken.error = ZeroDivisionError("DOE^JANE")
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                reading.shadow(prediction=seen, pacs=broken)
            ShadowReading.objects.update(lease_until=None)
        row = ShadowReading.objects.get()
        assert row.state == "failed"
        assert row.reason == "Reading failed 2 times: ZeroDivisionError."
        assert Study.objects.get().state == "read"

    def test_one_that_kills_its_worker_is_given_up(
        self, prediction, model, pacs, settings
    ):
        seen = prediction()
        ShadowReading.objects.create(
            prediction=seen, model=model, attempts=settings.MAX_ATTEMPTS
        )
        reading.shadow(prediction=seen, pacs=pacs)
        assert ShadowReading.objects.get().state == "failed"

    def test_a_damaged_shadow_fails_in_words_and_reading_goes_on(
        self, prediction, model, pacs, settings
    ):
        kept = settings.MODEL_ROOT / model.folder / "weights.safetensors"
        kept.write_bytes(b"rotten")
        reading.open_reader.cache_clear()
        seen = prediction()
        reading.shadow(prediction=seen, pacs=pacs)
        assert "at least one byte differs" in ShadowReading.objects.get().reason
        assert Study.objects.get().state == "read"

    def test_one_that_somebody_else_reads_is_left_alone(self, prediction, model, pacs):
        seen = prediction()
        assert shadows.take(seen.pk) is not None
        assert shadows.take(seen.pk) is None
        assert AuditEvent.objects.filter(action="study.read").count() == 1


class TestRinging:
    @pytest.fixture
    def rung(self, pacs, monkeypatch):
        watcher, rung = Watcher(pacs), []
        ring = lambda task, keys, **_: rung.extend((task.name, k) for k in keys)  # noqa: E731
        monkeypatch.setattr(watcher.bell, "ring", ring)
        return watcher, rung

    def test_the_sweeper_rings_until_it_is_read(self, prediction, model, pacs, rung):
        watcher, heard = rung
        seen = prediction()
        bell = ("clinic.tasks.shadow_prediction", seen.pk)
        watcher.sweep()
        assert bell in heard
        reading.shadow(prediction=seen, pacs=pacs)
        heard.clear()
        watcher.sweep()
        assert bell not in heard


class TestComparison:
    @pytest.fixture
    def shadow(self, db):
        return make_model("shadow", ModelVersion.Stage.SHADOW)

    def say(self, model, before, after, **fields):
        seen = make_prediction(make_study(), before)
        said = {"state": "read", "probability": after, "flagged": after >= 0.5}
        return ShadowReading.objects.create(
            prediction=seen, model=model, **said | fields
        )

    def test_agreement_shift_and_who_differs(self, shadow):
        self.say(shadow, 0.9, 0.8)
        self.say(shadow, 0.2, 0.1)
        self.say(shadow, 0.1, 1.0)
        missed = self.say(shadow, 0.7, 0.3)
        refused = self.say(
            shadow, 0.6, 0, state="not_ours", reason="A knee.", probability=None
        )
        self.say(shadow, 0.6, 0, state="failed", reason="x", probability=None)
        found = shadows.comparison(shadow)
        assert (found.both, found.agreement) == (4, 0.5)
        assert found.shift == pytest.approx((-0.1 - 0.1 + 0.9 - 0.4) / 4)
        assert found.counts["could not be read"] == 1
        assert found.discordant[:2] == [refused, missed]
        assert len(found.discordant) == 3
        assert found.points[0] == (0.7, 0.3)
        assert [bin[2] for bin in found.spread] == [0, 1, 1, 0, 0, 0, 0, 1, 0, 1]
        assert [bin[3] for bin in found.spread] == [0, 1, 0, 1, 0, 0, 0, 0, 1, 1]

    def test_before_it_has_read_anything(self, shadow):
        found = shadows.comparison(shadow)
        assert (found.both, found.agreement, found.shift) == (0, None, None)


def test_the_ledger_does_not_count_it(prediction, model, pacs, capsys):
    reading.shadow(prediction=prediction(), pacs=pacs)
    call_command("ledger")
    assert '"balanced": true' in capsys.readouterr().out
