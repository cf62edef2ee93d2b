"""From a folder to a candidate, or to a sentence."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from clinic.models import AuditEvent, ModelVersion
from inference import artifact
from tests.inference import tiny

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path):
    tiny.save(tmp_path / "tiny")
    return tmp_path / "tiny"


def register(folder):
    said = StringIO()
    call_command("register", str(folder), stdout=said)
    return said.getvalue()


def test_an_artifact_becomes_a_candidate_once(folder):
    said = [register(folder) for _ in range(2)]
    version = ModelVersion.objects.get()
    assert (version.digest, version.stage) == (artifact.digest(folder), "candidate")
    assert f"({version.brief}) is registered: candidate." in said[0] == said[1]
    assert AuditEvent.objects.get().action == "model.registered"


def test_a_folder_that_is_no_artifact_is_refused_in_words(folder):
    (folder / artifact.WEIGHTS).unlink()
    with pytest.raises(CommandError, match=artifact.WEIGHTS):
        register(folder)
    with pytest.raises(CommandError, match="is no folder"):
        register(folder / "nowhere")
    assert not ModelVersion.objects.exists()
