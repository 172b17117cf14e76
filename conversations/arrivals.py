"""A request on its way in, and what is kept of it."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection
from django.db.models.functions import Now

from agents.catalog import AgentCard
from agents.conditions import Facts
from agents.models import AgentVersion
from conversations.facts import facts_of
from conversations.models import ANSWER_WITHIN, Conversation, Message, MessageImage, Turn
from conversations.requests import ChatRequest
from orgs.models import Organization
from sessions import profile
from sessions.identity import Identity
from sessions.models import ChatSession
from sessions.visitors import Visit

# One statement takes the next seq, locks the row until commit, and keeps the summary.
_NEXT_SEQ = """
UPDATE conversations_conversation
   SET seq = seq + 1, message_count = message_count + 1, last_message_at = now(), agent_id = %(agent)s,
       has_images = has_images OR %(images)s, verified = verified OR %(verified)s
 WHERE session_id = %(session)s AND org_id = %(org)s
RETURNING id, seq, taken_over_by_id
"""

Listening = Literal["", "events", "text"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request with all that is known about it before the transaction."""

    org: Organization
    identity: Identity
    agent: AgentCard
    request: ChatRequest
    key: str
    page: str
    request_id: str
    now: dt.datetime
    listening: Listening


def snapshot_of(arrival: Arrival, visit: Visit) -> dict[str, Any]:
    """What this request brought, kept with the turn; absent things are left out."""
    request = arrival.request
    values: dict[str, Any] = {
        "user_id": request.user_id,
        "company_id": request.company_id,
        "page": arrival.page,
        "claims": arrival.identity.claims,
        "custom_fields": request.custom_fields,
        "context": request.context,
        "behavior_context": request.behavior_context,
        "conversation_history": list(request.conversation_history),
        "end_user": str(visit.end_user.pk) if visit.end_user and _may_load_user(arrival) else "",
        "company": str(visit.company.pk) if visit.company else "",
    }
    return {name: value for name, value in values.items() if value}


def _may_load_user(arrival: Arrival) -> bool:
    # SECURITY: with verification on, only who has proved to be the user is answered from the user's data.
    return arrival.identity.verified or not arrival.org.verify_identity


def conversation_for(arrival: Arrival, session: ChatSession, *, is_new: bool) -> Conversation:
    """The session's conversation, locked, with its `seq` advanced for this turn."""
    org, request = arrival.org, arrival.request
    if not is_new:
        with connection.cursor() as cursor:
            cursor.execute(
                _NEXT_SEQ,
                {
                    "agent": arrival.agent.id,
                    "images": bool(request.images),
                    "verified": arrival.identity.verified,
                    "session": session.pk,
                    "org": org.pk,
                },
            )
            row = cursor.fetchone()
        if row is not None:
            pk, seq, taken_over_by = row
            return Conversation(pk=pk, org=org, session=session, seq=seq, taken_over_by_id=taken_over_by)
    conversation = Conversation(
        org=org,
        session=session,
        agent_id=arrival.agent.id,
        seq=1,
        message_count=1,
        has_images=bool(request.images),
        verified=arrival.identity.verified,
    )
    conversation.save(force_insert=True)
    return conversation


def write_turn(arrival: Arrival, visit: Visit, turn_id: uuid.UUID) -> Turn:
    """The turn of this request with its message, the last one of its conversation; inside a transaction."""
    conversation = conversation_for(arrival, visit.session, is_new=visit.is_new)
    turn = Turn(
        id=turn_id,
        org=arrival.org,
        conversation=conversation,
        seq=conversation.seq,
        agent_version=AgentVersion(pk=arrival.agent.version_id, agent_id=arrival.agent.id),
        mode=arrival.request.mode,
        verified=arrival.identity.verified,
        snapshot=snapshot_of(arrival, visit),
        request_id=arrival.request_id,
        keeps_text=arrival.listening == "text",
        accepted_at=Now(),
        answer_by=Now() + ANSWER_WITHIN,
        rung_at=Now(),
    )
    turn.save(force_insert=True)
    _write_message(arrival, turn)
    return turn


def _write_message(arrival: Arrival, turn: Turn) -> None:
    """The visitor's words and images, under `turn`; inside the transaction that accepts it."""
    images = arrival.request.images
    message = Message(
        org=arrival.org,
        conversation=turn.conversation,
        turn=turn,
        seq=turn.seq,
        author=Message.Author.VISITOR,
        text=arrival.request.message,
        image_count=len(images),
    )
    message.save(force_insert=True)
    if images:
        MessageImage.objects.bulk_create(
            MessageImage(
                org=arrival.org,
                message=message,
                position=position,
                url=image.url,
                media_type=image.media_type,
                data=image.data or None,
            )
            for position, image in enumerate(images)
        )


def facts_about(arrival: Arrival, visit: Visit) -> Facts:
    """What routing rules are held against."""
    request = arrival.request
    known = profile.merge(
        end_user=visit.end_user if _may_load_user(arrival) else None,
        company=visit.company,
        custom_fields=request.custom_fields,
        claims=arrival.identity.claims,
        context=request.context,
    )
    return facts_of(
        known,
        message=request.message,
        has_company=visit.company is not None,
        page=arrival.page,
        mode=request.mode,
        verified=arrival.identity.verified,
        user_id=request.user_id,
        company_id=request.company_id,
    )
