"""Several quick messages, one reply: which turns are answered together, and what becomes of those beside the first.

Of an agent that merges, a turn's `covers_to` is its own seq for as long as nobody has claimed it: it may take others
along, or be taken along. The claim of the first settles it for good, in its one statement: the turns right behind that
are of the same person and kind get `merged_into` and stay in the queue, where order keeps everybody from claiming them,
and `covers_to` becomes the seq of the last of them, or null where there are none. Later attempts at the first cover the
same ones, as they replay its tool calls; nothing accepted since joins. The merged ones end with the first one's answer,
in the transaction that records it. Where it ends without one they are free again, each to be answered by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from conversations.models import Turn

# So many messages one reply answers at most.
MOST = 20

# Of two turns `t` and `o` of a conversation: whether `o` may be answered together with `t`.
# SECURITY: one reply is made of what both may be told, so they are of the same person with the same proof, and see the
# same stored data of user and company. Turns that were routed or left to a teammate have ended, and stand in between.
_ALIKE = """
    o.status = 'queued' AND o.covers_to = o.seq AND o.agent_version_id = t.agent_version_id AND o.mode = t.mode
    AND o.verified = t.verified
    AND (o.snapshot->>'user_id') IS NOT DISTINCT FROM (t.snapshot->>'user_id')
    AND (o.snapshot->>'end_user') IS NOT DISTINCT FROM (t.snapshot->>'end_user')
    AND (o.snapshot->>'company') IS NOT DISTINCT FROM (t.snapshot->>'company')
"""
# What the claim of `t` changes beside taking it: it covers the unbroken run of such turns behind it.
CHANGES = f""",
       merged_into_id = NULL,
       covers_to = CASE
           WHEN t.covers_to <> t.seq THEN t.covers_to
           ELSE (SELECT max(j.seq) FROM conversations_turn AS j
                  WHERE j.conversation_id = t.conversation_id AND j.seq > t.seq AND j.seq < t.seq + {MOST}
                    AND NOT EXISTS (SELECT FROM conversations_turn AS o
                                     WHERE o.conversation_id = t.conversation_id AND o.seq > t.seq AND o.seq <= j.seq
                                       AND ({_ALIKE}) IS NOT TRUE))
       END
"""  # noqa: S608
# Behind a claim that returned its row as `claimed`: the turns that are answered with it, then as before.
MERGE = """
UPDATE conversations_turn AS m SET merged_into_id = claimed.id
  FROM claimed
 WHERE claimed.covers_to IS NOT NULL AND m.conversation_id = claimed.conversation_id
   AND m.seq > claimed.seq AND m.seq <= claimed.covers_to AND (m.status = 'queued') IS TRUE
RETURNING m.id
"""

# Whoever has read along with that turn's attempts must be able to tell their text from that of this one's own.
_FREE = """
UPDATE conversations_turn AS m
   SET merged_into_id = NULL, covers_to = NULL, attempt = greatest(m.attempt, t.attempt)
  FROM conversations_turn AS t
 WHERE t.id = %s AND m.merged_into_id = t.id AND m.status = 'queued'
"""


def free(turn_id: uuid.UUID) -> None:
    """What was to be answered with this turn is answered by itself; inside the transaction that ends it otherwise."""
    with connection.cursor() as cursor:
        cursor.execute(_FREE, [turn_id])


def finish(turn: Turn, *, outcome: str, response: dict[str, Any], error_code: str) -> None:
    """Ends what is answered with `turn`, inside the transaction that records the answer.

    They are answered with its text, citations and confidence, and with the id of its one message. What it brought about
    took effect once, and is listed with `turn` alone; so is what is counted: confidence, kind, tokens and cost.
    """
    Turn.objects.for_org(turn.org_id).filter(merged_into=turn.pk, status=Turn.Status.QUEUED).update(
        status=Turn.Status.DONE,
        finished_at=Now(),
        outcome=outcome,
        response={**response, "actions": []},
        error_code=error_code,
    )


def snapshot_of(turn: Turn) -> dict[str, Any]:
    """What the requests brought that are answered together: the later wins, of traits and context key by key."""
    if turn.covers_to is None:
        return turn.snapshot
    merged = Turn.objects.for_org(turn.org_id).filter(merged_into=turn.pk).order_by("seq")
    return _together([turn.snapshot, *merged.values_list("snapshot", flat=True)])


def _together(snapshots: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for snapshot in snapshots:
        by_key = {
            name: {**found.get(name, {}), **snapshot[name]} for name in ("custom_fields", "context") if name in snapshot
        }
        # What the site told of the conversation before it began, the first request tells best.
        history = {"conversation_history": found["conversation_history"]} if "conversation_history" in found else {}
        found |= snapshot | by_key | history
    return found
