"""`manage.py bootstrap`: roles, one user of each, the shipped models in service.

Idempotent: what is there stays as it is, passwords and the model in service too.
Passwords come from OSTEON_RADIOLOGIST_PASSWORD and OSTEON_ADMINISTRATOR_PASSWORD;
one that is not given is made up and printed, once.
"""

import os
import secrets

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from clinic import audit, registry
from clinic.models import ModelVersion
from clinic.permissions import ADMINISTRATOR, RADIOLOGIST


class Command(BaseCommand):
    help = "Make roles, users and shipped models ready; safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        for role in (RADIOLOGIST, ADMINISTRATOR):
            parser.add_argument(f"--{role}", default=role, help="name of that user")

    @transaction.atomic
    def handle(self, **options: object) -> None:
        audit.seal()
        for role in (RADIOLOGIST, ADMINISTRATOR):
            self._user(str(options[role]), role)
        self._models()

    def _user(self, name: str, role: str) -> None:
        group, _ = Group.objects.get_or_create(name=role)
        user, first = User.objects.get_or_create(username=name)
        if first:
            given = os.environ.get(f"OSTEON_{role.upper()}_PASSWORD")
            password = given or secrets.token_urlsafe(12)
            user.set_password(password)
            user.save()
            audit.record("user.created", user, role=role)
            if not given:
                self.stdout.write(f"{role}: sign in as {name}, password {password}")
        user.groups.add(group)

    def _models(self) -> None:
        folders = sorted(settings.SHIPPED_MODELS.glob("*/spec.json"))
        shipped = [registry.register(folder=f.parent, by=None) for f in folders]
        if ModelVersion.objects.filter(stage=ModelVersion.Stage.ACTIVE).exists():
            return
        if not shipped:
            self.stderr.write(
                "No model is shipped: studies wait until one is trained "
                "(manage.py train), registered (manage.py register) and promoted."
            )
            return
        first = [v for v in shipped if v.name == settings.FIRST_MODEL] or shipped
        registry.promote(version=first[0], by=None, reason="first in service")
        self.stdout.write(f"In service: {first[0].name} ({first[0].digest[:12]})")
