"""Takes away what was made up or brought in, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from conversations.bulk.recounting import count_from, earliest
from conversations.models import (
    AnswerLabel,
    Conversation,
    IdempotencyKey,
    Message,
    MessageImage,
    Ticket,
    ToolCall,
    Turn,
    TurnTrace,
)
from orgs import audit
from orgs.models import Organization
from sessions.models import ChatSession, Company, EndUser, Event

BATCH = 500
# What the ids of made-up people and firms begin with.
MADE_UP = "generated-"

Progress = Callable[[int], None]


def remove(*, org: Organization, origin: Conversation.Origin, progress: Progress = lambda done: None) -> int:
    """Deletes the conversations of this origin with all that belongs to them; how many those were.

    In transactions of their own, so that it can be broken off and begun again.
    """
    if origin == Conversation.Origin.HERE:
        raise ValueError("What visitors said here is removed by retention and erasure only.")
    removed, first = 0, earliest(org, origin)
    theirs = Conversation.objects.for_org(org).filter(origin=origin).order_by("id")
    while rows := list(theirs.values_list("pk", "session_id")[:BATCH]):
        _remove(org, [row[0] for row in rows], [row[1] for row in rows])
        removed += len(rows)
        progress(removed)
    if origin == Conversation.Origin.GENERATED:
        _remove_people(org)
    count_from(first, org=org)
    if removed:
        audit.record(org=org, actor=None, action=f"conversations.{origin}_removed", after={"conversations": removed})
    return removed


@transaction.atomic
def _remove(org: Organization, conversations: list[uuid.UUID], sessions: list[uuid.UUID]) -> None:
    turns = list(Turn.objects.for_org(org).filter(conversation__in=conversations).values_list("pk", flat=True))
    messages = Message.objects.for_org(org).filter(conversation__in=conversations)
    rows: QuerySet[Any]
    # Straight to the rows: Django would fetch each of them first.
    for rows in (
        Ticket.objects.for_org(org).filter(session__in=sessions),
        ToolCall.objects.for_org(org).filter(turn__in=turns),
        TurnTrace.objects.for_org(org).filter(turn__in=turns),
        AnswerLabel.objects.for_org(org).filter(turn__in=turns),
        IdempotencyKey.objects.for_org(org).filter(turn__in=turns),
        MessageImage.objects.for_org(org).filter(message__in=messages.filter(image_count__gt=0).values("pk")),
        messages,
    ):
        rows._raw_delete(rows.db)
    Turn.objects.for_org(org).filter(merged_into__in=turns).update(merged_into=None)
    for rows in (
        Turn.objects.for_org(org).filter(conversation__in=conversations),
        Event.objects.for_org(org).filter(session__in=sessions),
    ):
        rows._raw_delete(rows.db)
    # Whatever else points at a conversation or a session goes or stays as its model says.
    Conversation.objects.for_org(org).filter(pk__in=conversations).delete()
    ChatSession.objects.for_org(org).filter(pk__in=sessions).delete()


def _remove_people(org: Organization) -> None:
    """Made-up people and firms of whom nothing is left."""
    people = EndUser.objects.for_org(org).filter(external_id__startswith=MADE_UP, sessions=None)
    while keys := list(people.values_list("pk", flat=True)[:5000]):
        EndUser.objects.for_org(org).filter(pk__in=keys).delete()
    firms = Company.objects.for_org(org).filter(external_id__startswith=MADE_UP, users=None, sessions=None)
    while keys := list(firms.values_list("pk", flat=True)[:5000]):
        Company.objects.for_org(org).filter(pk__in=keys).delete()
