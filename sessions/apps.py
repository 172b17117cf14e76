"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "sessions"
    # Django's own sessions app has the label "sessions".
    label = "chat_sessions"
    verbose_name = "People on the site"
