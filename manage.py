#!/usr/bin/env python
"""The operator's entry: `manage.py <verb>`, verbs in clinic/management/commands."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    execute_from_command_line(sys.argv)
