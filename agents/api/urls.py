"""The SDK API's addresses that are about agents."""

from __future__ import annotations

from django.urls import path

from agents.api.views import ConfigView

urlpatterns = [path("config", ConfigView.as_view(), name="sdk-config")]
