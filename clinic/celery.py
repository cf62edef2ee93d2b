"""The background: `celery -A clinic worker -Q reading`."""

import os

from celery import Celery, signals

from clinic import heartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
app = Celery("clinic")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["clinic"])
signals.worker_shutting_down.connect(heartbeat.stop_soon)
