"""Counting days: how conversations ended, and which articles were cited.

How a conversation ended is only known when nobody has come back within three days; as a session lives for a week, a
conversation may also go on and move to a later day, so the last days are counted anew each time.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from conversations.models import Conversation, DayArticle, DayConversations, Turn
from orgs.models import Organization
from sessions.models import SESSION_LIFETIME

DAY = dt.timedelta(days=1)
# Whoever writes again within this time was not helped, whatever the conversation looked like.
COMES_BACK = dt.timedelta(hours=72)
# A day is counted once so many days have passed after it, and then again for as long as conversations may move.
SETTLES = 4
AGAIN = SESSION_LIFETIME + DAY
# A pause within one conversation after which writing again is coming back.
PAUSE = dt.timedelta(hours=1)

_RETURNED = """(
    EXISTS (SELECT 1 FROM chat_sessions_chatsession AS o JOIN conversations_conversation AS n ON n.session_id = o.id
             WHERE o.end_user_id = t.end_user_id AND n.id <> t.id
               AND n.created_at > t.last_message_at AND n.created_at <= t.last_message_at + %(comes_back)s)
    OR EXISTS (SELECT 1 FROM conversations_conversation AS n
                WHERE n.session_id = t.successor_id AND n.created_at <= t.last_message_at + %(comes_back)s)
    OR EXISTS (SELECT 1 FROM (SELECT m.author, m.created_at,
                                     lag(m.created_at) OVER (ORDER BY m.seq, m.part) AS before
                                FROM conversations_message AS m WHERE m.conversation_id = t.id) AS m
                WHERE m.author = 'visitor' AND m.created_at - m.before BETWEEN %(pause)s AND %(comes_back)s))"""
# The first that holds; the order is part of the definition, which the page tells (conversations.analytics.resolution).
ENDINGS = {
    "handed_over": "t.outcome IN ('escalated', 'routed', 'human')",
    "failed": "t.outcome = 'failed'",
    "denied": "t.rating = 'down'",
    "returned": _RETURNED,
    "abandoned": "t.answer_type IN ('needs_fact', 'ambiguous', 'not_in_knowledge', 'not_allowed')",
    "confirmed": "t.rating = 'up'",
    "assumed": "true",
}
_COUNTS = ", ".join(f"count(*) FILTER (WHERE k.ending = '{name}')" for name in ENDINGS)
# OFFSET keeps the ending from being worked out once for each that is counted, and messages from being read as a whole.
_CASE = " ".join(f"WHEN {holds} THEN '{name}'" for name, holds in ENDINGS.items())
_CONVERSATIONS = f"""
INSERT INTO conversations_dayconversations (org_id, day, agent_version_id, conversations, {", ".join(ENDINGS)})
SELECT %(org)s, %(day)s, k.version, count(*), {_COUNTS}
  FROM (SELECT t.version, CASE {_CASE} END AS ending
          FROM (SELECT c.id, c.outcome, c.rating, c.answer_type, c.last_message_at, s.end_user_id, s.successor_id,
                       (SELECT v.agent_version_id FROM conversations_turn AS v WHERE v.conversation_id = c.id
                         ORDER BY v.seq DESC LIMIT 1) AS version
                  FROM conversations_conversation AS c JOIN chat_sessions_chatsession AS s ON s.id = c.session_id
                 WHERE c.org_id = %(org)s AND c.last_message_at >= %(since)s AND c.last_message_at < %(until)s) AS t
         WHERE t.version IS NOT NULL OFFSET 0) AS k
 GROUP BY k.version
    ON CONFLICT (org_id, day, agent_version_id) DO NOTHING
"""  # noqa: S608  words of ours
_ARTICLES = """
INSERT INTO conversations_dayarticle (org_id, day, article, answers)
SELECT %(org)s, %(day)s, left(c.article, 255), count(DISTINCT m.id)
  FROM conversations_turn AS t
 CROSS JOIN LATERAL (SELECT m.id, m.citations FROM conversations_message AS m
                      WHERE m.turn_id = t.id AND m.part = 1 AND m.author = 'agent' OFFSET 0) AS m
 CROSS JOIN LATERAL (SELECT e ->> 'article_id' AS article FROM json_array_elements(
           CASE WHEN json_typeof(m.citations) = 'array' THEN m.citations ELSE '[]'::json END) AS e) AS c
 WHERE t.org_id = %(org)s AND t.accepted_at >= %(since)s AND t.accepted_at < %(until)s AND c.article <> ''
 GROUP BY 3
    ON CONFLICT (org_id, day, article) DO NOTHING
"""


def count_days(*, org: Organization, now: dt.datetime) -> None:
    """Counts the days that are over: articles from yesterday back, conversations as far as they have settled."""
    today = now.astimezone(dt.UTC).date()
    newest = DayConversations.objects.for_org(org).aggregate(newest=Max("day"))["newest"]
    last = today - DAY * SETTLES
    if newest is None or newest < last:
        first = newest - AGAIN if newest else _first(org, Conversation, "last_message_at")
        for day in _days(first, last):
            _count(_CONVERSATIONS, DayConversations, org, day)
    newest = DayArticle.objects.for_org(org).aggregate(newest=Max("day"))["newest"]
    if newest is None or newest < today - DAY:
        for day in _days(newest or _first(org, Turn, "accepted_at"), today - DAY):
            _count(_ARTICLES, DayArticle, org, day)


def _days(first: dt.date | None, last: dt.date) -> list[dt.date]:
    return [] if first is None else [first + DAY * n for n in range((last - first).days + 1)]


def _first(org: Organization, model: type[Conversation] | type[Turn], column: str) -> dt.date | None:
    found = model.objects.for_org(org).order_by(column).values_list(column, flat=True).first()
    return found.astimezone(dt.UTC).date() if found else None


def _count(statement: str, model: type[DayConversations] | type[DayArticle], org: Organization, day: dt.date) -> None:
    since = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
    values: dict[str, Any] = {
        "org": org.pk,
        "day": day,
        "since": since,
        "until": since + DAY,
        "comes_back": COMES_BACK,
        "pause": PAUSE,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        model.objects.for_org(org).filter(day=day).delete()
        cursor.execute(statement, values)
