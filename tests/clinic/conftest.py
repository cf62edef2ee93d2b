"""People and records for the tests of the clinic."""

import pytest

from clinic.celery import app
from tests.clinic.factories import Shelf, make_prediction, make_study, make_user


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def radiologist(db):
    return make_user("radiologist")


@pytest.fixture
def administrator(db):
    return make_user("administrator")


@pytest.fixture
def study(db):
    """Two images, waiting to be read."""
    return make_study()


@pytest.fixture
def prediction(study):
    """A fracture suspected in both images of `study`."""
    return make_prediction(study)


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def rings(django_capture_on_commit_callbacks):
    """Deliver a bell; what it rings for in turn is delivered as well."""

    def ring(task, key):
        with django_capture_on_commit_callbacks(execute=True):
            task.delay(key)

    app.conf.task_always_eager = app.conf.task_eager_propagates = True
    yield ring
    app.conf.task_always_eager = app.conf.task_eager_propagates = False
