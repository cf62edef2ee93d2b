"""Who may do what: two roles, and nothing is open that does not say so."""

from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from rest_framework.permissions import BasePermission

RADIOLOGIST, ADMINISTRATOR = "radiologist", "administrator"
ANYONE = "anyone"

View = TypeVar("View", bound=Callable)


def roles(*names: str) -> Callable[[View], View]:
    """Name who may call a view; whoever is not named is kept out."""

    def name(view: View) -> View:
        view.roles = frozenset(names)
        return login_not_required(view) if ANYONE in names else view

    return name


def for_scripts(view: View) -> View:
    """Refuse who is not signed in, rather than send a script to the sign-in page."""
    return login_not_required(view)


def may(request: HttpRequest, view: Callable) -> bool:
    """Does `view` name the caller? One that names nobody is closed."""
    named = getattr(view, "roles", frozenset())
    return ANYONE in named or bool(named & request.roles)


class ClosedByDefault:
    """Middleware: refuses every call of a view that does not name the caller.

    Leaves the caller's roles in `request.roles`. It stands behind Django's
    LoginRequiredMiddleware, which sends the unknown to the sign-in page.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.roles = frozenset()
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Callable, *_: object) -> None:
        if request.user.is_authenticated:
            groups = request.user.groups.values_list("name", flat=True)
            request.roles = frozenset(groups)
        if not may(request, view):
            raise PermissionDenied


class Closed(BasePermission):
    """The default of every API view: nobody, until the view names its roles."""

    def has_permission(self, request: HttpRequest, view: object) -> bool:
        return may(request, request.resolver_match.func)
