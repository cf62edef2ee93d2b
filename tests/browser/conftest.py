"""A real browser in front of a real web process with its own database and PACS.

A page that logs an error or throws fails its test. Without Chromium or the bundle
the tests skip and say so; with REQUIRE_BROWSER=1 (set by ./test) they fail instead.
"""

import os
import shutil
import socket

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connections
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from clinic.pacs.embedded import EmbeddedPacs
from tests.browser.scenes import Scene
from tests.clinic.factories import make_user

# Playwright's sync API keeps an event loop running in this thread.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-dev-shm-usage"]
BUNDLE = django_settings.BASE_DIR / "frontend" / "dist" / ".vite" / "manifest.json"
FITS = "document.documentElement.scrollWidth <= innerWidth"
SHOTS = django_settings.BASE_DIR / "var" / "screenshots"


def _need(there, sentence):
    if there:
        return
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def browser_type_launch_args():
    chromium = shutil.which("chromium")
    _need(chromium, "Chromium is not installed: apt-get install chromium")
    _need(BUNDLE.exists(), "The front end is not built: npm run build in frontend/")
    return {"executable_path": chromium, "args": FLAGS}


@pytest.fixture(scope="session")
def browser_context_args():
    return {"viewport": {"width": 1366, "height": 768}}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory, django_db_blocker):
    """An empty database on disk, to copy for each test."""
    path = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    with _on(path, django_db_blocker):
        call_command("migrate", verbosity=0)
        connections["default"].cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


class _on:
    """Every thread's next connection goes to the SQLite file `path`.

    The server answers from several threads, which an in-memory test database,
    one connection for all of them, does not bear.
    """

    def __init__(self, path, blocker):
        self.path, self.blocker = path, blocker

    def __enter__(self):
        self.blocker.unblock()
        self.before = connections.settings["default"]
        self.connection = connections["default"]
        options = {"timeout": 20, "transaction_mode": "IMMEDIATE"}
        options["init_command"] = "PRAGMA journal_mode=WAL;PRAGMA synchronous=OFF;"
        engine = "django.db.backends.sqlite3"
        fresh = {"ENGINE": engine, "NAME": str(self.path), "OPTIONS": options}
        connections.settings["default"] = {**self.before, **fresh}
        del connections["default"]

    def __exit__(self, *_):
        connections["default"].close()
        connections.settings["default"] = self.before
        connections["default"] = self.connection
        self.blocker.restore()


@pytest.fixture
def database(migrated, tmp_path, django_db_blocker):
    path = tmp_path / "osteon.sqlite3"
    shutil.copy(migrated, path)
    with _on(path, django_db_blocker):
        yield path


@pytest.fixture
def server(database, own_folders):
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


@pytest.fixture
def scene(database, own_folders, settings):
    """What comes from scanners and models, without either; the PACS seems to listen."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        settings.DICOM_HOST, settings.DICOM_PORT = door.getsockname()
        yield Scene(EmbeddedPacs(settings.EMBEDDED_ROOT))


@pytest.fixture
def complaints():
    """What the browser found wrong; a test that provokes something clears it."""
    found = []
    yield found
    assert not found


@pytest.fixture
def page(page, complaints, server):
    page.on("pageerror", lambda error: complaints.append(f"threw: {error}"))
    page.on(
        "console", lambda said: said.type == "error" and complaints.append(said.text)
    )
    yield page
    page.goto("about:blank")  # no poll outlives the server, which goes after this


@pytest.fixture
def sign_in(page, server, database):
    """Open the worklist as somebody of a role, past the sign-in page."""

    def sign_in(role="radiologist"):
        user = make_user(role, name=role)
        user.first_name = f"Dr {role.title()}"
        user.save()
        client = Client()
        client.force_login(user)
        cookie = client.cookies["sessionid"].value
        page.context.add_cookies(
            [{"name": "sessionid", "value": cookie, "url": server}]
        )
        page.goto(f"{server}/")
        return user

    return sign_in


@pytest.fixture
def shot(page):
    """Keep a picture of the page for people to look at; `both`: whole, wide and narrow,
    with nothing to scroll sideways to."""

    def shot(name, both=False):
        SHOTS.mkdir(parents=True, exist_ok=True)
        if not both:
            page.screenshot(path=SHOTS / f"{name}.png")
            return
        before = page.viewport_size
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True)
            assert page.evaluate(FITS), f"{name} is wider than {width} pixels"
        page.set_viewport_size(before)

    return shot
