"""The artifact store: a folder, or an S3 service as moto's server plays it."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile

import processes
import pytest

from clinic import settings as configured
from clinic import store
from clinic.store import DamagedObject, StoreUnavailable

BUCKET = "osteon"


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """moto plays S3 here: no real service could be had where this was written."""
    port, log = processes.free_port(), tmp_path_factory.mktemp("s3") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = processes.start(command, log, os.environ)
    processes.wait_for(lambda: processes.listens(port), server, "moto", log, 60)
    yield f"http://127.0.0.1:{port}"
    processes.stop(server)


def of_s3(url, monkeypatch):
    for name, value in (("URL", url), ("KEY", "a key"), ("SECRET", "a secret")):
        monkeypatch.setenv(f"OSTEON_STORE_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return configured._artifacts(f"s3://{BUCKET}/clinic")


@pytest.fixture(params=["folder", "s3"])
def kind(request, settings, tmp_path, monkeypatch):
    settings.DATA_ROOT = tmp_path / "data"
    if request.param == "s3":
        found = of_s3(request.getfixturevalue("s3"), monkeypatch)
        settings.STORAGES = settings.STORAGES | {"artifacts": found}
        bucket = store.storages["artifacts"].bucket
        bucket.create()
        bucket.objects.all().delete()
    return request.param


@pytest.fixture
def source(kind, tmp_path):
    folder = tmp_path / "source"
    (folder / "in").mkdir(parents=True)
    (folder / "table.csv").write_text("image,label\n")
    (folder / "in" / "1.png").write_bytes(bytes(range(256)) * 5000)
    return folder


NAMES = ["table.csv", "in/1.png"]


def another_machine(settings, tmp_path, name="other"):
    settings.DATA_ROOT = tmp_path / name


def overwrite(digest, data):
    storage = store.storages["artifacts"]
    storage.delete(store._name(digest))
    storage.save(store._name(digest), io.BytesIO(data))


def stored(digest):
    with store.storages["artifacts"].open(store._name(digest)) as file:
        return file.read()


def test_what_one_machine_put_another_one_has(source, settings, tmp_path):
    digest = store.put(source / "in" / "1.png")
    pack = store.put_folder(source, NAMES)
    another_machine(settings, tmp_path)
    shutil.copytree(source, tmp_path / "kept")
    shutil.rmtree(source)
    assert store.file(digest).read_bytes() == (tmp_path / "kept/in/1.png").read_bytes()
    found = store.folder(pack)
    assert found.is_relative_to(tmp_path / "other")
    for name in NAMES:
        assert (found / name).read_bytes() == (tmp_path / "kept" / name).read_bytes()


def test_the_same_files_are_the_same_archive(source, tmp_path):
    first = store.put_folder(source, NAMES)
    os.utime(source / "table.csv", (1, 1))
    (source / "table.csv").chmod(0o600)
    assert store.put_folder(source, reversed(NAMES)) == first
    (source / "table.csv").write_text("image,label,\n")
    assert store.put_folder(source, NAMES) != first


def test_it_is_fetched_once_a_machine_and_kept_right(source, settings, tmp_path):
    digest, pack = store.put(source / "table.csv"), store.put_folder(source, NAMES)
    another_machine(settings, tmp_path)
    file, folder = store.file(digest), store.folder(pack)
    store.storages["artifacts"].delete(store._name(digest))
    store.storages["artifacts"].delete(store._name(pack))
    assert (store.file(digest), store.folder(pack)) == (file, folder)
    file.write_text("changed here")
    with pytest.raises(DamagedObject, match="OSTEON_STORE"):
        store.file(digest)


@pytest.mark.parametrize(
    "harm", [lambda d: d[:-9], lambda d: b"?" + d[1:], lambda d: b""]
)
def test_what_was_cut_short_or_changed_is_refused_by_name(
    source, settings, tmp_path, harm
):
    digest, pack = store.put(source / "in" / "1.png"), store.put_folder(source, NAMES)
    another_machine(settings, tmp_path)
    for of, get in ((digest, store.file), (pack, store.folder)):
        whole = stored(of)
        overwrite(of, harm(whole))
        with pytest.raises(DamagedObject, match=of[:12]):
            get(of)
        overwrite(of, whole)
        assert get(of).exists()
    names = {path.name for path in (tmp_path / "other" / "cache").iterdir()}
    assert names == {"lock", digest, f"{pack}.d"}


def test_what_a_killed_writer_left_is_written_again(source):
    path = source / "in" / "1.png"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    overwrite(digest, path.read_bytes()[:1000])
    assert store.put(path) == digest
    assert stored(digest) == path.read_bytes()


def test_two_workers_of_a_machine_fetch_it_once(source, settings, tmp_path):
    """Processes of their own, begun together."""
    if settings.STORAGES["artifacts"]["BACKEND"].endswith("S3Storage"):
        pytest.skip("counted by the dates of files")
    pack = store.put_folder(source, NAMES)
    code = "import django; django.setup(); import sys; from clinic import store; "
    code += "print((store.folder(sys.argv[1]) / 'in' / '1.png').stat().st_ino)"
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "clinic.settings",
        "OSTEON_DATA": str(tmp_path / "machine"),
        "OSTEON_STORE": str(tmp_path / "store"),
    }
    command = [sys.executable, "-c", code, pack]
    both = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(3)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert len(set(said)) == 1 and said[0].strip().isdigit()


def test_a_strange_archive_is_not_unpacked(kind, tmp_path):
    outside = tarfile.TarInfo("../outside.txt")
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for entry, words in ((outside, "outside"), (link, "no plain file")):
        archive = tmp_path / "archive"
        with tarfile.open(archive, "w") as tar:
            tar.addfile(entry, io.BytesIO())
        with pytest.raises(DamagedObject, match=words):
            store.folder(store.put(archive))
    assert not (tmp_path / "data" / "outside.txt").exists()
    plain = tmp_path / "plain"
    plain.write_bytes(b"no archive at all")
    with pytest.raises(DamagedObject, match="cannot be unpacked"):
        store.folder(store.put(plain))


def test_what_is_removed_is_gone_for_everybody(source):
    digest = store.put(source / "table.csv")
    store.file(digest)
    assert store.size(digest) == 12
    store.remove(digest)
    store.remove(digest)
    assert store.size(digest) == 0
    with pytest.raises(DamagedObject):
        store.file(digest)


def test_what_nobody_needs_is_forgotten_here(source, settings):
    digest, pack = store.put(source / "table.csv"), store.put_folder(source, NAMES)
    store.file(digest)
    folder = store.folder(pack)
    store.prune({digest})
    assert not folder.exists()
    assert store.size(pack) > 0
    store.prune(set())
    assert [path.name for path in folder.parent.iterdir()] == ["lock"]


def test_a_service_that_does_not_answer_is_away(settings, tmp_path, monkeypatch):
    settings.DATA_ROOT = tmp_path / "data"
    nobody = f"http://127.0.0.1:{processes.free_port()}"
    found = of_s3(nobody, monkeypatch)
    settings.STORAGES = settings.STORAGES | {"artifacts": found}
    with pytest.raises(StoreUnavailable, match="does not answer"):
        store.file("0" * 64)
    with pytest.raises(StoreUnavailable):
        store.size("0" * 64)


def test_a_disk_that_is_not_mounted_is_away(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"
    with pytest.raises(StoreUnavailable, match="there is no"):
        store.file("0" * 64)
