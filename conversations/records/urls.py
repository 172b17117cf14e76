"""The addresses that an organisation's own tools read from."""

from __future__ import annotations

from django.urls import path

from conversations.records.views import ConversationsView, MessagesView, TicketsView

urlpatterns = [
    path("conversations", ConversationsView.as_view(), name="v1-conversations"),
    path("messages", MessagesView.as_view(), name="v1-messages"),
    path("tickets", TicketsView.as_view(), name="v1-tickets"),
]
