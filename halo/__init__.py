"""Halo: an open, self-hosted AI support desk for websites."""

from halo.celery import app as celery_app

__all__ = ["celery_app"]
