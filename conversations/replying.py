"""A teammate writes to the visitor whose conversation was taken over."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from conversations import live
from conversations.models import Conversation, Message
from conversations.outgoing import mail
from conversations.takeover import NotOpen
from halo.api.strict_json import storable
from halo.errors import HaloError, InvalidRequest
from orgs import audit
from orgs.models import User
from sessions.models import ChatSession

LONGEST = 20_000


class AnsweredMeanwhile(HaloError):
    """409: another teammate has answered since the words that are to be sent were begun."""

    status = 409

    def __init__(self, who: str) -> None:
        super().__init__("answered_meanwhile", f"{who} has answered meanwhile: read that first, and send yours again.")


def reply(*, conversation: Conversation, text: str, by: User, seen: int | None = None) -> Message:
    """`text` as the words of `by`, told to whoever watches; raises NotOpen unless people have the conversation.

    Any teammate may: who took over may have gone home. `seen` is the last seq that `by` has read: where another
    teammate has answered after it, this raises AnsweredMeanwhile. What the visitor does not get to see is mailed.
    """
    if not text.strip():
        raise InvalidRequest("A reply needs words.", field="text")
    if len(text) > LONGEST:
        raise InvalidRequest(f"A reply has at most {LONGEST:,} characters.", field="text")
    org_id = conversation.org_id
    with transaction.atomic():
        # Session before conversation, as everywhere.
        session = ChatSession.objects.for_org(org_id).select_for_update().get(pk=conversation.session_id)
        if seen is not None:
            _check_nobody_answered(conversation, after=seen, by=by)
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
        if session.end_user_id is not None:
            mail.queue_reply(message, now=timezone.now())
        # SECURITY: the audit outlives transcripts, so it keeps that something was said and not the words.
        audit.record(
            org=org_id, actor=by, action="conversation.reply", target=conversation, after={"message": str(message.pk)}
        )
    live.tell(conversation.pk, org_id=org_id)
    return message


def _check_nobody_answered(conversation: Conversation, *, after: int, by: User) -> None:
    # Behind the session's lock, so that of two who send at once the second is told of the first.
    others = (
        Message.objects.for_org(conversation.org_id)
        .filter(conversation=conversation, author=Message.Author.TEAMMATE, seq__gt=after)
        .exclude(person=by)
        .select_related("person")
    )
    if (first := others.order_by("seq").first()) is not None:
        raise AnsweredMeanwhile(str(first.person))


def type_to(*, conversation: Conversation, by: User) -> None:
    """Tells whoever watches that `by` is writing; clients forget it after some seconds."""
    live.tell(conversation.pk, live.TYPING, {"role": "teammate", "name": by.name}, org_id=conversation.org_id)
