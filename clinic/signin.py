"""Signing in, with a limit on how often one may guess."""

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpResponse

from clinic import audit

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


class SignIn(LoginView):
    form_class = LimitedForm
    template_name = "signin.html"
    redirect_authenticated_user = True

    def form_valid(self, form: LimitedForm) -> HttpResponse:
        user: User = form.get_user()
        audit.record("user.signed_in", f"user/{user.pk}", actor=user)
        return super().form_valid(form)
