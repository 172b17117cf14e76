"""Staff pages of conversations and tickets, of analytics, installing and exporting."""

from __future__ import annotations

from django.contrib import admin

from conversations.admin.conversations import ConversationAdmin
from conversations.admin.tickets import TicketAdmin
from conversations.analytics.pages import CONFIDENCE
from conversations.install.pages import INSTALL
from conversations.records.pages import EXPORT

__all__ = ["ConversationAdmin", "TicketAdmin"]

for page in (CONFIDENCE, INSTALL, EXPORT):
    admin.site.add_page(page)  # type: ignore[attr-defined]
