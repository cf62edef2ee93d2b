"""An installation of its own for each test: real processes on a real database."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

import numpy as np
import processes
import psycopg
import pytest

from clinic.pacs.embedded import EmbeddedPacs
from inference.dx import dx_dataset

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]


class Installation:
    """What one Osteon keeps and runs; the test owns every process of it."""

    def __init__(self, data, database_url):
        self.data, self.database_url = data, database_url
        self.pacs = EmbeddedPacs(data / "pacs")
        self.running = []
        self.env = os.environ | {
            "OSTEON_DATA": str(data),
            "DATABASE_URL": database_url,
            "OSTEON_PACS": "embedded",
            "OSTEON_QUIET_SECONDS": "0.3",
            "DJANGO_SETTINGS_MODULE": "clinic.settings",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        self.env.pop("BROKER_URL", None)
        data.mkdir(parents=True, exist_ok=True)

    def manage(self, *arguments):
        done = subprocess.run(
            [*MANAGE, *arguments],
            env=self.env,
            cwd=self.data,
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stderr
        return done.stdout

    def start(self, command, name, **env):
        """A process of the installation, its words in <data>/<name>.log."""
        process = processes.start(
            command, self.data / f"{name}.log", self.env | env, cwd=ROOT
        )
        self.running.append(process)
        return process

    def watch(self, name="watch", **env):
        return self.start([*MANAGE, "watch"], name, **env)

    def worker(self, queue="reading", name=None, **env):
        name = name or queue
        celery = [sys.executable, "-m", "celery", "-A", "clinic", "worker"]
        celery += ["--pool", "solo", "--without-gossip", "--without-mingle"]
        return self.start([*celery, "-Q", queue, "-n", f"{name}@%h"], name, **env)

    def machine(self, name):
        """What tells a worker of another machine: a disk of its own, the same store."""
        return {
            "OSTEON_DATA": str(self.data.parent / name),
            "OSTEON_STORE": str(self.data / "store"),
        }

    def script(self, code, name):
        setup = "import django; django.setup()\n"
        return self.start([sys.executable, "-c", setup + code], name)

    def log(self, name):
        return (self.data / f"{name}.log").read_text()

    def rows(self, query):
        """The answer of the database itself, to a question in plain SQL."""
        if self.database_url.startswith("sqlite"):
            path = self.database_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=20)) as database, database:
                return database.execute(query).fetchall()
        with psycopg.connect(self.database_url, autocommit=True) as database:
            return database.execute(query).fetchall()

    def let_leases_run_out(self):
        """As if the time of every lease had gone by."""
        for table in ("clinic_study", "clinic_job", "clinic_trial"):
            change = f"UPDATE {table} SET lease_until = '2001-01-01 00:00:00'"
            self.rows(f"{change} WHERE lease_until IS NOT NULL RETURNING id")

    def count(self, table, where="1 = 1"):
        return self.rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]

    def until(self, ready, seconds=60, what="what was waited for"):
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, f"{what} did not happen"
            time.sleep(0.05)

    def push(self, study, images=2):
        """What a scanner sends for one study: tiny radiographs."""
        for number in range(images):
            self.pacs.store(picture(study, number))

    def close(self):
        for process in self.running:
            processes.stop(process, patience=0.5)


def picture(study, number, level=0):
    """One DX file; its pixels depend on all three."""
    from io import BytesIO

    rng = np.random.default_rng([study, number, level])
    dataset = dx_dataset(
        rng.integers(0, 4096, (64, 48), dtype=np.uint16),
        patient_id=f"P{study}",
        patient_name=f"PATIENT^{study}",
        study_uid=f"1.2.3.{study}",
        series_uid=f"1.2.3.{study}.1",
        sop_uid=f"1.2.3.{study}.1.{number + 1}",
        BodyPartExamined="WRIST",
    )
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    made = Installation(tmp_path_factory.mktemp("template"), "")
    path = made.data / "osteon.sqlite3"
    made.env["DATABASE_URL"] = f"sqlite:///{path}"
    made.manage("migrate", "--verbosity", "0")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url, tmp_path_factory):
    wait_for_postgres(postgres_url)
    url = create_database(postgres_url, "osteon_template")
    made = Installation(tmp_path_factory.mktemp("template"), url)
    made.manage("migrate", "--verbosity", "0")
    return url


def wait_for_postgres(url):
    """It listens a moment before it lets anybody in."""
    for _ in range(100):
        try:
            return psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("PostgreSQL lets nobody in")


def create_database(server, name, template="template1"):
    with psycopg.connect(server, autocommit=True) as database:
        database.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return server.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def sqlite_url(migrated_sqlite, tmp_path):
    copy = tmp_path / "data" / "osteon.sqlite3"
    copy.parent.mkdir()
    with (
        closing(sqlite3.connect(migrated_sqlite)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return f"sqlite:///{copy}"


@pytest.fixture
def on_sqlite(sqlite_url, tmp_path):
    made = Installation(tmp_path / "data", sqlite_url)
    yield made
    made.close()


@pytest.fixture
def on_postgres(postgres_url, migrated_postgres, tmp_path):
    name = f"osteon_{uuid.uuid4().hex[:8]}"
    url = create_database(postgres_url, name, migrated_postgres.rsplit("/", 1)[1])
    made = Installation(tmp_path / "data", url)
    yield made
    made.close()


@pytest.fixture(params=["on_sqlite", "on_postgres"])
def installation(request):
    """On each database that Osteon supports."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def redis(tmp_path):
    if processes.program("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    running = [processes.start_redis(tmp_path / "redis")]

    class Redis:
        url = running[0].url

        def kill(self, *, forget=False):
            running[-1].process.kill()
            running[-1].process.wait()
            if forget:
                shutil.rmtree(tmp_path / "redis")

        def restart(self):
            running.append(processes.start_redis(tmp_path / "redis", running[0].port))

    yield Redis()
    processes.stop(running[-1].process)
