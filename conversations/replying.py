"""A teammate writes to the visitor whose conversation was taken over."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from conversations import live
from conversations.models import Conversation, Message
from conversations.takeover import NotOpen
from halo.api.strict_json import storable
from halo.errors import InvalidRequest
from orgs import audit
from orgs.models import User
from sessions.models import ChatSession

LONGEST = 20_000


def reply(*, conversation: Conversation, text: str, by: User) -> Message:
    """`text` as the words of `by`, told to whoever watches; raises NotOpen unless people have the conversation.

    Any teammate may: who took over may have gone home.
    """
    if not text.strip():
        raise InvalidRequest("A reply needs words.", field="text")
    if len(text) > LONGEST:
        raise InvalidRequest(f"A reply has at most {LONGEST:,} characters.", field="text")
    org_id = conversation.org_id
    with transaction.atomic():
        # Session before conversation, as everywhere.
        ChatSession.objects.for_org(org_id).select_for_update().get(pk=conversation.session_id)
        mine = Conversation.objects.for_org(org_id).filter(
            pk=conversation.pk, status=Conversation.Status.OPEN, taken_over_by__isnull=False
        )
        taken = mine.update(
            seq=F("seq") + 1,
            message_count=F("message_count") + 1,
            last_message_at=Now(),
            outcome=Conversation.Outcome.HUMAN,
        )
        if not taken:
            raise NotOpen("Take the conversation over before you answer: until then the agent does.")
        message = Message(
            org_id=org_id,
            conversation_id=conversation.pk,
            seq=mine.values_list("seq", flat=True).get(),
            author=Message.Author.TEAMMATE,
            person=by,
            text=storable(text),
        )
        message.save(force_insert=True)
        # SECURITY: the audit outlives transcripts, so it keeps that something was said and not the words.
        audit.record(
            org=org_id, actor=by, action="conversation.reply", target=conversation, after={"message": str(message.pk)}
        )
    live.tell(conversation.pk)
    return message


def type_to(*, conversation: Conversation, by: User) -> None:
    """Tells whoever watches that `by` is writing; clients forget it after some seconds."""
    live.tell(conversation.pk, live.TYPING, {"role": "teammate", "name": by.name})
