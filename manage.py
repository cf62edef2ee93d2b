#!/usr/bin/env python
"""The operator's entry: `manage.py <verb>`, verbs in clinic/management/commands."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import OperationalError, ProgrammingError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    try:
        execute_from_command_line(sys.argv)
    except (OperationalError, ProgrammingError) as error:
        sys.exit(
            f"The database cannot be used: {error}. One that is new, or of an earlier "
            "version, is made ready by `manage.py migrate`."
        )
