"""Writing down how a turn ended, in one statement: reply, turn, trace, and the conversation's summary."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import transaction

from agents.answer_types import AnswerType
from conversations import bursts
from conversations.models import Conversation, Message, Turn, TurnTrace
from conversations.turns import NOTHING_SPENT, Claim, Spent
from halo import db
from halo.ids import uuid7

# Every turn ends with it, and as six statements it took longer than all else that a turn costs the database. It locks
# the conversation, then the turn; where either is not as it was claimed nothing happens. What was spent is added up, as
# in turns.adding; an answer does not undo that people were called in, as in turns.unless_people_were_called.
_SETTLE = """
WITH locked AS (
    SELECT id, seq FROM conversations_conversation
     WHERE id = %(conversation)s AND (org_id = %(org)s) IS TRUE
       AND (%(epoch)s::bigint IS NULL OR epoch = %(epoch)s::bigint)
       FOR UPDATE),
ended AS (
    UPDATE conversations_turn AS t
       SET status = 'done', finished_at = statement_timestamp(), outcome = %(outcome)s, response = %(response)s,
           confidence = %(confidence)s, confidence_inputs = %(confidence_inputs)s, answer_type = %(answer_type)s,
           withheld = %(withheld)s, escalated = %(escalated)s, explanation = %(explanation)s,
           routing_rule_id = %(rule)s, error_code = %(error_code)s, error_detail = %(error_detail)s,
           prompt_tokens = t.prompt_tokens + %(prompt_tokens)s::int,
           completion_tokens = t.completion_tokens + %(completion_tokens)s::int,
           cost = CASE WHEN %(cost)s::numeric IS NULL THEN t.cost ELSE coalesce(t.cost, 0) + %(cost)s::numeric END,
           model_name = coalesce(nullif(%(model_name)s::text, ''), t.model_name),
           covers_to = %(covers_to)s::bigint, merged_into_id = NULL
      FROM locked AS l
     WHERE t.id = %(turn)s AND (t.org_id = %(org)s) IS TRUE AND t.conversation_id = l.id
       AND CASE WHEN %(attempt)s::int IS NULL THEN t.status IN ('queued', 'running')
                ELSE t.status = 'running' AND t.claimed_by = %(process)s::bigint AND t.attempt = %(attempt)s::int END
 RETURNING t.id, t.org_id, t.conversation_id, coalesce(t.covers_to, t.seq) AS answers, l.seq AS latest),
summary AS (
    UPDATE conversations_conversation AS c
       SET last_message_at = statement_timestamp(), message_count = c.message_count + 1,
           agent_version_id = %(version)s,
           outcome = CASE WHEN %(summary)s::text = 'answered' AND c.outcome IN ('escalated', 'routed', 'human')
                          THEN c.outcome ELSE %(summary)s::text END,
           lowest_confidence = least(c.lowest_confidence, %(confidence)s::float8),
           answer_type = coalesce(nullif(%(answer_type)s::text, ''), c.answer_type),
           has_error = c.has_error OR %(error_code)s::text <> '',
           language = coalesce(nullif(c.language, ''), %(language)s::text)
      FROM ended AS e WHERE c.id = e.conversation_id),
reply AS (
    INSERT INTO conversations_message (id, org_id, conversation_id, turn_id, seq, part, author, text, citations,
                                       image_count, unanswered, created_at)
    SELECT %(message)s, e.org_id, e.conversation_id, e.id, e.answers, 1, %(author)s, %(text)s, %(citations)s::json,
           0, false, statement_timestamp()
      FROM ended AS e),
trace AS (
    INSERT INTO conversations_turntrace (turn_id, org_id, prompt, passages, timings, model_calls, created_at)
    SELECT e.id, e.org_id, %(prompt)s::json, %(passages)s::json, %(timings)s::jsonb, %(model_calls)s::json,
           statement_timestamp()
      FROM ended AS e WHERE %(prompt)s::json IS NOT NULL
        ON CONFLICT (turn_id) DO UPDATE SET prompt = excluded.prompt, passages = excluded.passages,
                                            timings = excluded.timings, model_calls = excluded.model_calls)
SELECT latest, answers FROM ended
"""


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
    # Of what the visitor wrote; the first that was recognised in a conversation stays.
    language: str = ""
    # The streamed reply whose text this one's begins with; empty where there is none.
    generation: str = ""
    # Whether it also answers what was merged into its turn; else that is answered by itself.
    covers: bool = True


class Overtaken(Exception):
    """The claim holds no more: somebody took over, or ended the turn; the transaction around must roll back."""


class Settled(NamedTuple):
    """Whether more was said in the conversation since, and the turn's response as it is stored: JSON, in ASCII."""

    more_was_said: bool
    response: str


def settle(turn: Turn, reply: Reply, *, held: Claim | None = None, trace: TurnTrace | None = None) -> Settled:
    """Ends `turn` with `reply` and stores its `trace`.

    All or nothing by itself, and may be part of a transaction. With `held` it raises Overtaken unless the conversation
    is in the epoch of that claim and the claim still stands; without, unless the turn is in flight. With it, what was
    merged into the turn ends with the same answer.
    """
    message_id = uuid7()
    response = _response(turn, reply, message_id)
    written = json.dumps(response)
    if held is None or turn.covers_to is None:
        return Settled(_settle(turn, reply, held, trace, message_id, written, covers_to=None), written)
    with transaction.atomic():
        covers_to = turn.covers_to if reply.covers else None
        more_was_said = _settle(turn, reply, held, trace, message_id, written, covers_to=covers_to)
        if covers_to is None:
            bursts.free(turn.pk)
        else:
            bursts.finish(turn, outcome=reply.outcome, response=response, error_code=reply.error_code)
    return Settled(more_was_said, written)


def _settle(
    turn: Turn,
    reply: Reply,
    held: Claim | None,
    trace: TurnTrace | None,
    message_id: uuid.UUID,
    response: str,
    *,
    covers_to: int | None,
) -> bool:
    """The one statement; whether more was said."""
    spent = reply.spent
    kept = None if trace is None else (trace.prompt, trace.passages, trace.timings, trace.model_calls)
    prompt, passages, timings, model_calls = (None,) * 4 if kept is None else map(json.dumps, kept)
    rows = db.run(
        _SETTLE,
        {
            "org": turn.org_id,
            "conversation": turn.conversation_id,
            "turn": turn.pk,
            "epoch": held and held.epoch,
            "process": held and held.process_id,
            "attempt": held and held.attempt,
            "version": turn.agent_version_id,
            "outcome": reply.outcome.value,
            "summary": _summary(reply).value,
            "message": message_id,
            "author": reply.author.value,
            "text": reply.text,
            "citations": json.dumps(reply.citations),
            "response": response,
            "covers_to": covers_to,
            "confidence": reply.confidence,
            "confidence_inputs": json.dumps(reply.confidence_inputs),
            "answer_type": reply.answer_type.value,
            "withheld": reply.withheld,
            "escalated": reply.escalated,
            "explanation": json.dumps(reply.explanation),
            "rule": reply.routing_rule_id,
            "error_code": reply.error_code,
            "error_detail": reply.error_detail[:500],
            "language": reply.language,
            "prompt_tokens": spent.prompt_tokens,
            "completion_tokens": spent.completion_tokens,
            "cost": spent.cost,
            "model_name": spent.model_name[:200],
            "prompt": prompt,
            "passages": passages,
            "timings": timings,
            "model_calls": model_calls,
        },
    )
    if not rows:
        raise Overtaken
    return bool(rows[0][0] > rows[0][1])


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


def _summary(reply: Reply) -> Conversation.Outcome:
    """How the conversation stands after this reply."""
    Outcome = Conversation.Outcome
    escalated = reply.escalated or reply.outcome == Turn.Outcome.APOLOGY
    return {
        Turn.Outcome.ANSWERED: Outcome.ESCALATED if escalated else Outcome.ANSWERED,
        Turn.Outcome.APOLOGY: Outcome.ESCALATED,
        Turn.Outcome.ROUTED: Outcome.ESCALATED if escalated else Outcome.ROUTED,
        Turn.Outcome.HUMAN: Outcome.HUMAN,
    }[reply.outcome]
