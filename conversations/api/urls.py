"""The SDK API's addresses."""

from __future__ import annotations

from django.urls import path

from conversations.api.views import ChatStreamView, ChatView, FeedbackView, TurnStreamView, TurnView

urlpatterns = [
    path("chat", ChatView.as_view(), name="sdk-chat"),
    path("chat/stream", ChatStreamView.as_view(), name="sdk-chat-stream"),
    path("chat/turns/<str:turn_id>", TurnView.as_view(), name="sdk-turn"),
    path("chat/turns/<str:turn_id>/stream", TurnStreamView.as_view(), name="sdk-turn-stream"),
    # Any text is an id that may be unknown: the checks before a 404 come first.
    path("messages/<str:message_id>/feedback", FeedbackView.as_view(), name="sdk-feedback"),
]
