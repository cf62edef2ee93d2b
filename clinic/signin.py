"""Signing in, with a limit on how often one may guess."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

from clinic import audit

SAFE = {"GET", "HEAD"}
LOST = (
    "You were signed out before you sent that: nothing was done. Sign in and send it "
    "again."
)

ATTEMPTS, PAUSE = 5, 300  # failures, seconds


class LimitedForm(AuthenticationForm):
    """Refuses for PAUSE seconds after ATTEMPTS failures of one name at one address."""

    def clean(self) -> dict:
        name = str(self.data.get("username", "")).casefold()[:150]
        address = self.request.META.get("REMOTE_ADDR", "")
        key = f"signin/{address}/{name.encode().hex()}"[:240]
        if cache.get(key, 0) >= ATTEMPTS:
            raise ValidationError("Too many failed attempts. Wait five minutes.")
        try:
            return super().clean()
        except ValidationError:
            cache.add(key, 0, PAUSE)
            cache.incr(key)
            raise


class SignInFirst(LoginRequiredMiddleware):
    """Who is unknown signs in, and then comes to the page they wanted or were on."""

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable
    ) -> HttpResponse:
        if request.method in SAFE:
            return super().handle_no_permission(request, view_func)
        messages.warning(request, LOST)
        return redirect_to_login(_sent_from(request))


def _sent_from(request: HttpRequest) -> str:
    """The page of this site that a form was sent from: what it went to is no page."""
    page = request.headers.get("Referer", "")
    ours = {request.get_host()}
    here = url_has_allowed_host_and_scheme(page, ours, request.is_secure())
    return page if page and here else "/"


class SignIn(LoginView):
    form_class = LimitedForm
    template_name = "signin.html"
    redirect_authenticated_user = True

    def form_valid(self, form: LimitedForm) -> HttpResponse:
        user: User = form.get_user()
        audit.record("user.signed_in", f"user/{user.pk}", actor=user)
        return super().form_valid(form)
