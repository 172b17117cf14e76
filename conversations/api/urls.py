"""The SDK API's addresses."""

from __future__ import annotations

from django.urls import path

from conversations.api.session_views import EventsView, HandoverView, ImageView, MessagesView
from conversations.api.ticket_views import CreateTicketView
from conversations.api.views import ChatStreamView, ChatView, FeedbackView, TurnStreamView, TurnView

urlpatterns = [
    path("chat", ChatView.as_view(), name="sdk-chat"),
    path("chat/stream", ChatStreamView.as_view(), name="sdk-chat-stream"),
    path("chat/turns/<str:turn_id>", TurnView.as_view(), name="sdk-turn"),
    path("chat/turns/<str:turn_id>/stream", TurnStreamView.as_view(), name="sdk-turn-stream"),
    # Any text is an id that may be unknown: the checks before a 404 come first.
    path("messages/<str:message_id>/feedback", FeedbackView.as_view(), name="sdk-feedback"),
    path("tickets/create", CreateTicketView.as_view(), name="sdk-create-ticket"),
    path("sessions/<str:session_id>/messages", MessagesView.as_view(), name="sdk-session-messages"),
    path("sessions/<str:session_id>/events", EventsView.as_view(), name="sdk-session-events"),
    path("sessions/<str:session_id>/images/<str:image_id>", ImageView.as_view(), name="sdk-session-image"),
    path("sessions/<str:session_id>/handover", HandoverView.as_view(), name="sdk-session-handover"),
]
