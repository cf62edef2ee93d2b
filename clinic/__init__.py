"""People and records: the Django project and its only app."""

from clinic.celery import app as celery_app

__all__ = ["celery_app"]
