"""Whether a visitor has got to see what teammates wrote: what nobody saw goes out by e-mail."""

from __future__ import annotations

import time
import uuid

from django.db.models import Q

from conversations import live
from conversations.models import Conversation

# What was written to a connection that is gone fails some writes later, so only one that still stands by then counts.
SURE_SECONDS = 5.0


def mark(conversation: Conversation, message_id: uuid.UUID) -> None:
    """A browser of the visitor's has this message of a teammate, and all before it."""
    if conversation.visitor_saw is not None and conversation.visitor_saw >= message_id:
        return
    rows = Conversation.objects.for_org(conversation.org_id).filter(pk=conversation.pk)
    if rows.filter(Q(visitor_saw=None) | Q(visitor_saw__lt=message_id)).update(visitor_saw=message_id):
        live.tell_staff(conversation.org_id, conversation.pk)


class Delivery:
    """What one stream has told of teammates, until it is certain that it got there."""

    def __init__(self) -> None:
        self._told: tuple[Conversation, uuid.UUID, float] | None = None

    def told(self, conversation: Conversation, message_id: uuid.UUID) -> None:
        """The message is about to be written."""
        self._told = (conversation, message_id, time.monotonic())

    def settled(self, *, at_once: bool = False) -> tuple[Conversation, uuid.UUID] | None:
        """What has certainly got there (`at_once`: was written), once; ask while the stream goes on."""
        if self._told is None or (not at_once and time.monotonic() - self._told[2] < SURE_SECONDS):
            return None
        conversation, message_id, _ = self._told
        self._told = None
        return conversation, message_id
