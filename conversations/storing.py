"""What accepting a message writes: session, conversation, turn and message, in one statement of the four.

As inserts of the ORM they took the web process longer than all else that a request costs. Ids are made here, so that
no part of the statement waits for another; only the conversation tells whose turn it is.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from agents.models import AgentVersion
from conversations.arrivals import Arrival, snapshot_of
from conversations.models import ANSWER_WITHIN, Conversation, Message, MessageImage, Turn
from halo import db
from halo.ids import uuid7
from sessions.visitors import Visit

_SESSION = """
session AS (
    INSERT INTO chat_sessions_chatsession (id, org_id, session_id, end_user_id, company_id, verified_only, started_at,
                                           expires_at)
    VALUES (%(session)s::uuid, %(org)s::uuid, %(session_id)s, %(end_user)s::uuid, %(company)s::uuid,
            %(verified_only)s, %(started_at)s, %(expires_at)s))
"""
# The first message of its session.
_BEGUN = """
conversation AS (
    INSERT INTO conversations_conversation (id, org_id, session_id, agent_id, status, seq, epoch, created_at,
                                            last_message_at, message_count, outcome, answer_type, has_error, rating,
                                            language, has_images, verified)
    VALUES (%(conversation)s::uuid, %(org)s::uuid, %(session)s::uuid, %(agent)s::uuid, 'open', 1, 0,
            statement_timestamp(), statement_timestamp(), 1, '', '', false, '', '', %(images)s::int > 0, %(verified)s)
    RETURNING id, seq, taken_over_by_id)
"""
# A later one takes the next seq, locks the row until commit, and keeps the summary.
_GONE_ON = """
conversation AS (
    UPDATE conversations_conversation
       SET seq = seq + 1, message_count = message_count + 1, last_message_at = statement_timestamp(),
           agent_id = %(agent)s::uuid, has_images = has_images OR %(images)s::int > 0,
           verified = verified OR %(verified)s
     WHERE session_id = %(session)s::uuid AND (org_id = %(org)s::uuid) IS TRUE
    RETURNING id, seq, taken_over_by_id)
"""
_SAID = f"""
turn AS (
    INSERT INTO conversations_turn (id, org_id, conversation_id, seq, status, agent_version_id, mode, verified,
                                    snapshot, request_id, keeps_text, covers_to, accepted_at, answer_by, rung_at,
                                    attempt, lost, rings, outcome, confidence_inputs, answer_type, withheld, escalated,
                                    explanation, error_code, error_detail, model_name, prompt_tokens,
                                    completion_tokens)
    SELECT %(turn)s::uuid, %(org)s::uuid, c.id, c.seq, 'queued', %(version)s::bigint, %(mode)s, %(verified)s,
           %(snapshot)s::json, %(request_id)s, %(keeps_text)s,
           CASE WHEN %(merges)s THEN c.seq END, statement_timestamp(),
           statement_timestamp() + interval '{ANSWER_WITHIN.total_seconds():g} seconds', statement_timestamp(), 0, 0,
           0, '', '{{}}', '', false, false, '{{}}', '', '', '', 0, 0
      FROM conversation AS c),
message AS (
    INSERT INTO conversations_message (id, org_id, conversation_id, turn_id, seq, part, author, text, citations,
                                       image_count, unanswered, created_at)
    SELECT %(message)s::uuid, %(org)s::uuid, c.id, %(turn)s::uuid, c.seq, {Message.Part.MESSAGE.value},
           '{Message.Author.VISITOR.value}', %(text)s, '[]', %(images)s::int, false, statement_timestamp()
      FROM conversation AS c)
"""  # noqa: S608


def _in_one(*steps: str) -> str:
    return f"WITH {','.join(steps)} SELECT id, seq, taken_over_by_id FROM conversation"  # noqa: S608


_VISITED, _SPOKEN, _WENT_ON = _in_one(_SESSION, _BEGUN, _SAID), _in_one(_BEGUN, _SAID), _in_one(_GONE_ON, _SAID)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a message has found its place."""

    conversation_id: uuid.UUID
    seq: int
    taken_over_by_id: uuid.UUID | None

    def conversation(self, arrival: Arrival, visit: Visit) -> Conversation:
        """The conversation, as far as it is known."""
        return Conversation(pk=self.conversation_id, org=arrival.org, session=visit.session, seq=self.seq)

    def turn(self, arrival: Arrival, visit: Visit, turn_id: uuid.UUID) -> Turn:
        """The turn that was stored, as far as ending it at once takes."""
        return Turn(
            id=turn_id,
            org=arrival.org,
            conversation=self.conversation(arrival, visit),
            seq=self.seq,
            agent_version=AgentVersion(pk=arrival.agent.version_id, agent_id=arrival.agent.id),
        )


def store(arrival: Arrival, visit: Visit, turn_id: uuid.UUID) -> Stored:
    """Writes message and turn, and before them what is not there yet of session and conversation.

    A transaction of its own where it is not part of one, but for images.
    """
    session, request = visit.session, arrival.request
    message_id = uuid7()
    values = {
        **_of_conversation(arrival, visit),
        "version": arrival.agent.version_id,
        "turn": turn_id,
        "message": message_id,
        "text": request.message,
        "mode": request.mode,
        "snapshot": json.dumps(snapshot_of(arrival, visit)),
        "request_id": arrival.request_id,
        "keeps_text": arrival.listening == "text",
        "merges": arrival.agent.config.merge_bursts,
    }
    if visit.is_unsaved:
        values |= {
            "session_id": session.session_id,
            "end_user": session.end_user_id,
            "company": session.company_id,
            "verified_only": session.verified_only,
            "started_at": session.started_at,
            "expires_at": session.expires_at,
        }
        rows = db.run(_VISITED, values)
        session._state.adding = False
    else:
        # A session may be there without anything having been said in it.
        rows = ([] if visit.is_new else db.run(_WENT_ON, values)) or db.run(_SPOKEN, values)
    if request.images:
        MessageImage.objects.bulk_create(
            MessageImage(
                org=arrival.org,
                message_id=message_id,
                position=position,
                url=image.url,
                media_type=image.media_type,
                data=image.data or None,
            )
            for position, image in enumerate(request.images)
        )
    return Stored(*rows[0])


def make_room(arrival: Arrival, visit: Visit) -> Stored:
    """The place for a turn that is there already: conversation, locked, with its `seq` advanced. In a transaction."""
    values = _of_conversation(arrival, visit)
    rows = ([] if visit.is_new else db.run(_in_one(_GONE_ON), values)) or db.run(_in_one(_BEGUN), values)
    return Stored(*rows[0])


def _of_conversation(arrival: Arrival, visit: Visit) -> dict[str, Any]:
    return {
        "org": arrival.org.pk,
        "session": visit.session.pk,
        "conversation": uuid7(),
        "agent": arrival.agent.id,
        "images": len(arrival.request.images),
        "verified": arrival.identity.verified,
    }
