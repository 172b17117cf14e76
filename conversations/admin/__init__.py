"""Staff pages of conversations and tickets, of analytics, installing and exporting, and the front page."""

from __future__ import annotations

from django.contrib import admin

from conversations.admin.canned import CannedReplyAdmin
from conversations.admin.conversations import ConversationAdmin
from conversations.admin.front import front
from conversations.admin.outgoing import DeliveryAdmin, WebhookAdmin
from conversations.admin.tickets import TicketAdmin
from conversations.analytics.pages import CONFIDENCE
from conversations.install.pages import INSTALL
from conversations.privacy.pages import PRIVACY
from conversations.records.pages import EXPORT

__all__ = ["CannedReplyAdmin", "ConversationAdmin", "DeliveryAdmin", "TicketAdmin", "WebhookAdmin"]

for page in (CONFIDENCE, INSTALL, EXPORT, PRIVACY):
    admin.site.add_page(page)  # type: ignore[attr-defined]
admin.site.set_front(front)  # type: ignore[attr-defined]
