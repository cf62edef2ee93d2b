"""Closed by default, whatever kind of view it is."""

import pytest
from django.http import HttpResponse
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic import urls
from clinic.permissions import ANYONE, RADIOLOGIST, Closed, roles
from tests.clinic.factories import make_user


def forgotten(request):
    return HttpResponse("secret")


@roles(RADIOLOGIST)
def named(request):
    return HttpResponse(",".join(sorted(request.roles)))


@roles(ANYONE)
def open_to_all(request):
    return HttpResponse("hello")


class Forgotten(APIView):
    def get(self, request):
        return Response("secret")


urlpatterns = [
    path("forgotten/", forgotten),
    path("named/", named),
    path("open/", open_to_all),
    path("api/forgotten/", Forgotten.as_view()),
    path("api/named/", roles(RADIOLOGIST)(Forgotten.as_view())),
    *urls.urlpatterns,
]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


def status(client, address):
    return client.get(address).status_code


@pytest.mark.parametrize("address", ["/forgotten/", "/api/forgotten/"])
@pytest.mark.parametrize("role", ["radiologist", "administrator", "nobody"])
def test_a_view_that_names_nobody_is_closed_to_everybody(client, address, role):
    client.force_login(make_user(role))
    assert status(client, address) == 403


@pytest.mark.parametrize("address", ["/named/", "/api/named/"])
def test_a_view_lets_in_whom_it_names_and_nobody_else(client, address):
    # To the sign-in page; Django REST framework answers by itself.
    assert status(client, address) == (403 if "api" in address else 302)
    client.force_login(make_user("administrator"))
    assert status(client, address) == 403
    client.force_login(make_user("radiologist"))
    assert status(client, address) == 200


def test_a_superuser_without_a_role_is_nobody(client):
    user = make_user("nobody")
    user.is_superuser = user.is_staff = True
    user.save()
    client.force_login(user)
    assert status(client, "/named/") == 403


def test_a_view_for_anyone_needs_no_sign_in(client):
    assert status(client, "/open/") == 200


def test_the_default_of_the_api_does_not_lean_on_the_middleware(rf):
    request = rf.get("/")
    request.roles = frozenset({"radiologist"})
    request.resolver_match = type("Match", (), {"func": forgotten})
    assert not Closed().has_permission(request, None)
    request.resolver_match.func = named
    assert Closed().has_permission(request, None)
