"""Real servers for the tests, each started once, on its own port and folder.

Where a server is not installed its tests skip and say so; with REQUIRE_SERVERS=1
(set by ./test where it could install them) they fail instead.
"""

import os
import signal
from pathlib import Path

import hypothesis
import processes
import pytest

# A machine that stalls for a moment is no fault of what is tested.
hypothesis.settings.register_profile("unhurried")
hypothesis.settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", ROOT.parent / "shared" / "data"))


def _started(starter, *args, **kwargs):
    try:
        return starter(*args, **kwargs)
    except processes.CannotStart as error:
        if os.environ.get("REQUIRE_SERVERS") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    """Nothing a test keeps lands in the project's own data folder."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MODEL_ROOT = tmp_path / "models"
    settings.EMBEDDED_ROOT = tmp_path / "pacs"
    settings.PACS = "embedded"
    artifacts = settings.STORAGES["artifacts"] | {
        "OPTIONS": {"location": tmp_path / "store"}
    }
    settings.STORAGES = settings.STORAGES | {"artifacts": artifacts}


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The development data: real radiographs and DICOM files, where at hand."""
    if not (SAMPLE_DATA / "README.md").exists():
        pytest.skip("the sample data (setting SAMPLE_DATA) is not on this machine")
    return SAMPLE_DATA


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orthanc")
    server = _started(processes.start_orthanc, folder, password="test-password")
    yield server
    processes.stop(server.process, patience=1)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    server = _started(processes.start_redis, tmp_path_factory.mktemp("redis"))
    yield server.url
    processes.stop(server.process)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory):
    # Not below pytest's own folder: that is closed to the user PostgreSQL runs as.
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="osteon-postgres-"))
    server = _started(processes.start_postgres, folder)
    yield server.url
    # Its SIGTERM waits for every client to leave first.
    processes.stop(server.process, ask=signal.SIGINT)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def chromium() -> str:
    path = processes.program("chromium")
    if path is None:
        _started(_no_chromium)
    return path


def _no_chromium():
    raise processes.CannotStart("Chromium is not installed: apt-get install chromium")
