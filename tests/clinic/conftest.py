"""People and records for the tests of the clinic."""

import pytest

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
