"""Staff pages of conversations and tickets, of analytics, and the front page."""

from __future__ import annotations

from django.contrib import admin

from conversations.admin.conversations import ConversationAdmin
from conversations.admin.front import front
from conversations.admin.tickets import TicketAdmin
from conversations.analytics.pages import CONFIDENCE
from conversations.privacy.pages import PRIVACY

__all__ = ["ConversationAdmin", "TicketAdmin"]

admin.site.add_page(CONFIDENCE)  # type: ignore[attr-defined]
admin.site.add_page(PRIVACY)  # type: ignore[attr-defined]
admin.site.set_front(front)  # type: ignore[attr-defined]
