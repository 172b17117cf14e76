"""Staff pages of conversations and tickets, and of analytics."""

from __future__ import annotations

from django.contrib import admin

from conversations.admin.canned import CannedReplyAdmin
from conversations.admin.conversations import ConversationAdmin
from conversations.admin.outgoing import DeliveryAdmin, WebhookAdmin
from conversations.admin.tickets import TicketAdmin
from conversations.analytics.pages import CONFIDENCE

__all__ = ["CannedReplyAdmin", "ConversationAdmin", "DeliveryAdmin", "TicketAdmin", "WebhookAdmin"]

admin.site.add_page(CONFIDENCE)  # type: ignore[attr-defined]
