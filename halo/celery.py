"""The Celery application; its settings are the `CELERY_*` block of halo/settings.py, its hooks in halo/hooks.py."""

from __future__ import annotations

import os

from celery import Celery

from halo import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "halo.settings")

broker.install()
app = Celery("halo")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
