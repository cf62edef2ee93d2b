"""Signing in, and how often one may guess."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache

from clinic.models import AuditEvent
from clinic.signin import ATTEMPTS

SENTENCE = "Too many failed attempts"


@pytest.fixture(autouse=True)
def forget():
    cache.clear()
    yield
    cache.clear()


def attempt(client, user, password):
    return client.post("/login/", {"username": user.username, "password": password})


def test_signing_in_is_on_record(client, radiologist):
    assert attempt(client, radiologist, "x").url == "/"
    assert AuditEvent.objects.get(action="user.signed_in").actor == radiologist


def test_after_some_failures_even_the_right_password_waits(client, radiologist):
    for _ in range(ATTEMPTS):
        assert SENTENCE not in attempt(client, radiologist, "y").content.decode()
    assert SENTENCE in attempt(client, radiologist, "x").content.decode()


def test_the_failures_of_one_do_not_lock_out_another(
    client, radiologist, administrator
):
    for _ in range(ATTEMPTS + 1):
        attempt(client, radiologist, "y")
    assert attempt(client, administrator, "x").status_code == 302


def test_writing_the_name_otherwise_does_not_start_anew(client, radiologist):
    for _ in range(ATTEMPTS):
        attempt(client, radiologist, "y")
    radiologist.username = radiologist.username.upper()
    assert SENTENCE in attempt(client, radiologist, "y").content.decode()


def test_where_to_go_next_stays_on_this_site(client, radiologist):
    form = {"username": radiologist.username, "password": "x"}
    away = client.post("/login/?next=https://evil.example/", form)
    assert away.url == "/"


@pytest.mark.parametrize(
    ("sent_from", "back_to"),
    [
        ("http://testserver/models/4/", "http://testserver/models/4/"),
        ("http://evil.example/", "/"),
        ("", "/"),
    ],
)
def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(
    client, sent_from, back_to
):
    answer = client.post("/models/4/shadow/", headers={"Referer": sent_from})
    assert answer.status_code == 302
    wanted = parse_qs(urlsplit(answer.url).query)["next"]
    assert wanted == [back_to]
    assert "nothing was done" in client.get(answer.url).content.decode()


def test_a_page_asked_for_comes_after_signing_in(client):
    answer = client.get("/models/4/")
    assert parse_qs(urlsplit(answer.url).query)["next"] == ["/models/4/"]
