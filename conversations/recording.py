"""Writing down how a turn ended, in one transaction: reply, turn, and the conversation's summary."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Value
from django.db.models.functions import Least, Now

from agents.answer_types import AnswerType
from conversations.models import Conversation, Message, Turn
from conversations.turns import NOTHING_SPENT, Claim, Spent, adding, unless_people_were_called
from halo.ids import uuid7


@dataclass(frozen=True, slots=True)
class Reply:
    """What the visitor is answered, and what is remembered beside it."""

    outcome: Turn.Outcome
    text: str
    author: Message.Author = Message.Author.AGENT
    actions: list[dict[str, Any]] = field(default_factory=list)
    citations: list[dict[str, Any]] = field(default_factory=list)
    routing: dict[str, Any] | None = None
    confidence: float | None = None
    confidence_inputs: dict[str, Any] = field(default_factory=dict)
    answer_type: AnswerType = AnswerType.NONE
    withheld: bool = False
    escalated: bool = False
    explanation: dict[str, Any] = field(default_factory=dict)
    routing_rule_id: int | None = None
    error_code: str = ""
    error_detail: str = ""
    spent: Spent = NOTHING_SPENT
    # The streamed reply whose text this one's begins with; empty where there is none.
    generation: str = ""


class Overtaken(Exception):
    """The claim holds no more: somebody took over, or ended the turn; the transaction around must roll back."""


def settle(turn: Turn, reply: Reply, *, held: Claim | None = None) -> uuid.UUID:
    """Ends `turn` with `reply`; returns the id of the reply's message. Inside a transaction.

    With `held` it raises Overtaken unless the conversation is in the epoch of that claim and the claim still stands;
    without, unless the turn is in flight.
    """
    conversations = Conversation.objects.for_org(turn.org_id).filter(pk=turn.conversation_id)
    turns = Turn.objects.for_org(turn.org_id).filter(pk=turn.pk)
    if held is None:
        turns = turns.filter(status__in=Turn.IN_FLIGHT)
    else:
        conversations = conversations.filter(epoch=held.epoch)
        turns = turns.filter(status=Turn.Status.RUNNING, claimed_by=held.process_id, attempt=held.attempt)
    if not conversations.update(**_summary(turn, reply)):
        raise Overtaken
    message_id = uuid7()
    ended = turns.update(
        status=Turn.Status.DONE,
        finished_at=Now(),
        outcome=reply.outcome,
        response=_response(turn, reply, message_id),
        confidence=reply.confidence,
        confidence_inputs=reply.confidence_inputs,
        answer_type=reply.answer_type,
        withheld=reply.withheld,
        escalated=reply.escalated,
        explanation=reply.explanation,
        routing_rule_id=reply.routing_rule_id,
        error_code=reply.error_code,
        error_detail=reply.error_detail[:500],
        **adding(reply.spent),
    )
    if not ended:
        raise Overtaken
    Message(
        id=message_id,
        org_id=turn.org_id,
        conversation_id=turn.conversation_id,
        turn=turn,
        seq=turn.seq,
        part=Message.Part.REPLY,
        author=reply.author,
        text=reply.text,
        citations=reply.citations,
    ).save(force_insert=True)
    return message_id


def _response(turn: Turn, reply: Reply, message_id: uuid.UUID) -> dict[str, Any]:
    """What the client is answered but for the session's bearer value, which is not written twice."""
    body: dict[str, Any] = {
        "text": reply.text,
        "agent_id": str(turn.agent_version.agent_id),
        "actions": reply.actions,
        "confidence": reply.confidence,
        "citations": reply.citations,
        "message_id": str(message_id),
    }
    if reply.routing is not None:
        body["routing"] = reply.routing
    if reply.generation:
        body["generation"] = reply.generation
    return body


def _summary(turn: Turn, reply: Reply) -> dict[str, Any]:
    Outcome = Conversation.Outcome
    escalated = reply.escalated or reply.outcome == Turn.Outcome.APOLOGY
    outcome = {
        Turn.Outcome.ANSWERED: Outcome.ESCALATED if escalated else Outcome.ANSWERED,
        Turn.Outcome.APOLOGY: Outcome.ESCALATED,
        Turn.Outcome.ROUTED: Outcome.ESCALATED if escalated else Outcome.ROUTED,
        Turn.Outcome.HUMAN: Outcome.HUMAN,
    }[reply.outcome]
    changes: dict[str, Any] = {
        "last_message_at": Now(),
        "message_count": F("message_count") + 1,
        "agent_version_id": turn.agent_version_id,
        "outcome": outcome,
    }
    if outcome == Outcome.ANSWERED:
        changes["outcome"] = unless_people_were_called(outcome)
    if reply.confidence is not None:
        changes["lowest_confidence"] = Least(F("lowest_confidence"), Value(reply.confidence))
    if reply.answer_type:
        changes["answer_type"] = reply.answer_type
    if reply.error_code:
        changes["has_error"] = True
    return changes
