"""The SDK API's addresses."""

from __future__ import annotations

from django.urls import path

from conversations.api.views import ChatView

urlpatterns = [path("chat", ChatView.as_view(), name="sdk-chat")]
