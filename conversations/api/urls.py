"""The SDK API's addresses."""

from __future__ import annotations

from django.urls import path

from conversations.api.views import ChatView, FeedbackView

urlpatterns = [
    path("chat", ChatView.as_view(), name="sdk-chat"),
    # Any text is an id that may be unknown: the checks before a 404 come first.
    path("messages/<str:message_id>/feedback", FeedbackView.as_view(), name="sdk-feedback"),
]
