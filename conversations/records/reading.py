"""Any number of conversations and messages in constant memory: by keys, page by page, no connection held between."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Count, Q, Sum

from conversations.models import Conversation, Message
from conversations.records.selection import Selection
from conversations.records.shown import conversations_shown, messages_shown
from halo.db import release_connection
from orgs.models import Organization

PAGE = 200
# Messages that are in memory at once, as far as one conversation allows; and of a longer one, so many of its numbers.
TOGETHER = 400
WINDOW = 200
# To count is a courtesy, which may cost so much.
COUNT_MS = 3000


def pages_of_conversations(chosen: Selection) -> Iterator[list[dict[str, Any]]]:
    """The chosen conversations as data, the one that was quiet for longest first.

    One that goes on meanwhile moves to the end, so that it is never missing, and may come a second time.
    """
    # The index of the lists, read backwards.
    rows = chosen.conversations().order_by("last_message_at", "-id")
    after = rows
    while True:
        keys = list(after.values_list("pk", "last_message_at")[:PAGE])
        having = chosen.having([key for key, _ in keys])
        these = Conversation.objects.for_org(chosen.org).filter(pk__in=having)
        page = conversations_shown(these.order_by("last_message_at", "-id"))
        release_connection()
        if page:
            yield page
        if len(keys) < PAGE:
            return
        key, at = keys[-1]
        after = rows.filter(last_message_at__gte=at).filter(Q(last_message_at__gt=at) | Q(id__lt=key))


def pages_of_messages(
    org: Organization, conversations: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """What was said in each of these conversations, in order: (conversation, messages), a long one in several parts."""
    for group in _groups(conversations):
        if len(group) == 1 and group[0]["message_count"] > TOGETHER:
            yield from ((group[0], part) for part in _parts(org, group[0]["id"]))
            continue
        said: dict[str, list[dict[str, Any]]] = {conversation["id"]: [] for conversation in group}
        rows = Message.objects.for_org(org).filter(conversation__in=list(said))
        for message in messages_shown(org, rows.order_by("conversation_id", "seq", "part", "id")):
            said[message["conversation_id"]].append(message)
        release_connection()
        yield from ((conversation, said.pop(conversation["id"])) for conversation in group)


def how_many(chosen: Selection, *, messages: bool) -> int | None:
    """How many conversations, or messages in them, there are; None where to count would take too long."""
    if chosen.is_open:
        return None
    counted = Sum("message_count") if messages else Count("pk")
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(COUNT_MS)])
            return int(chosen.conversations().aggregate(number=counted)["number"] or 0)
    except OperationalError:
        return None
    finally:
        release_connection()


def _groups(conversations: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for conversation in conversations:
        if group and size + conversation["message_count"] > TOGETHER:
            yield group
            group, size = [], 0
        group.append(conversation)
        size += conversation["message_count"]
    if group:
        yield group


def _parts(org: Organization, conversation_id: str) -> Iterator[list[dict[str, Any]]]:
    rows = Message.objects.for_org(org).filter(conversation=uuid.UUID(conversation_id))
    last = rows.order_by("-seq").values_list("seq", flat=True).first() or 0
    for begin in range(0, last + 1, WINDOW):
        part = rows.filter(seq__gte=begin, seq__lt=begin + WINDOW).order_by("seq", "part", "id")
        shown = messages_shown(org, part)
        release_connection()
        yield shown
