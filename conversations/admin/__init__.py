"""Staff pages of conversations and tickets."""

from __future__ import annotations

from conversations.admin.conversations import ConversationAdmin
from conversations.admin.tickets import TicketAdmin

__all__ = ["ConversationAdmin", "TicketAdmin"]
