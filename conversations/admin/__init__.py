"""Staff pages of conversations and tickets, of analytics, and of installing."""

from __future__ import annotations

from django.contrib import admin

from conversations.admin.canned import CannedReplyAdmin
from conversations.admin.conversations import ConversationAdmin
from conversations.admin.outgoing import DeliveryAdmin, WebhookAdmin
from conversations.admin.tickets import TicketAdmin
from conversations.analytics.pages import CONFIDENCE
from conversations.install.pages import INSTALL

__all__ = ["CannedReplyAdmin", "ConversationAdmin", "DeliveryAdmin", "TicketAdmin", "WebhookAdmin"]

for page in (CONFIDENCE, INSTALL):
    admin.site.add_page(page)  # type: ignore[attr-defined]
