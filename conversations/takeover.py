"""Teammates step in, hand back, close. Each bumps the epoch, after which no answer of before can be recorded."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from agents import catalog
from conversations import ending, labels, live, measuring
from conversations.at_once import left_to_teammate
from conversations.models import Conversation, Turn
from conversations.recording import settle
from halo.errors import HaloError
from orgs import audit
from orgs.models import User
from sessions.models import ChatSession


class NotOpen(HaloError):
    """409: the conversation is closed, or not in the state that the step needs."""

    status = 409

    def __init__(self, message: str) -> None:
        super().__init__("conflict", message)


def take_over(*, conversation: Conversation, by: User) -> None:
    """`by` answers from now on; turns in flight end at once, and the agent says nothing more."""

    def step(row: Conversation) -> None:
        if row.status == Conversation.Status.CLOSED:
            raise NotOpen("A closed conversation cannot be taken over.")
        labels.label_taken_over(conversation=row, by=by)
        _bump(row, taken_over_by=by, taken_over_at=Now(), outcome=Conversation.Outcome.HUMAN)

    _change(conversation, by=by, action="conversation.take_over", step=step)


def hand_back(*, conversation: Conversation, by: User) -> None:
    """The agent answers again."""

    def step(row: Conversation) -> None:
        if row.status == Conversation.Status.CLOSED or row.taken_over_by_id is None:
            raise NotOpen("Nobody has taken this conversation over.")
        _bump(row, taken_over_by=None, taken_over_at=None)

    _change(conversation, by=by, action="conversation.hand_back", step=step)


def close(*, conversation: Conversation, by: User) -> None:
    """Ends the conversation; what its visitor writes next begins a fresh session."""

    def step(row: Conversation) -> None:
        if row.status == Conversation.Status.CLOSED:
            raise NotOpen("The conversation is closed already.")
        _bump(row, status=Conversation.Status.CLOSED)
        ChatSession.objects.for_org(row.org_id).filter(pk=row.session_id).update(closed_at=Now())

    _change(conversation, by=by, action="conversation.close", step=step)


def _change(conversation: Conversation, *, by: User, action: str, step: Callable[[Conversation], None]) -> None:
    with transaction.atomic():
        # Session before conversation, as everywhere: accept waits here, or we wait for it.
        ChatSession.objects.for_org(conversation.org_id).select_for_update().get(pk=conversation.session_id)
        row = (
            Conversation.objects.for_org(conversation.org_id)
            .select_for_update(of=("self",))
            .select_related("org")
            .get(pk=conversation.pk)
        )
        before = {"status": row.status, "with": str(row.taken_over_by_id or "agent")}
        step(row)
        ended = _end_turns_in_flight(row)
        audit.record(org=row.org, actor=by, action=action, target=row, before=before)
    for turn_id in ended:
        measuring.count_answer(Turn.Outcome.HUMAN)
        ending.announce(turn_id, conversation.pk, org_id=conversation.org_id)
    live.tell(conversation.pk, org_id=conversation.org_id)


def _bump(row: Conversation, **changes: object) -> None:
    Conversation.objects.for_org(row.org_id).filter(pk=row.pk).update(epoch=F("epoch") + 1, **changes)


def _end_turns_in_flight(row: Conversation) -> list[uuid.UUID]:
    """Whoever waits for an answer learns now that a person will give it (or, at hand-back, that none was due)."""
    in_flight = list(
        Turn.objects.for_org(row.org_id)
        .filter(conversation=row, status__in=Turn.IN_FLIGHT)
        .select_related("agent_version")
        .order_by("seq")
    )
    for turn in in_flight:
        text = catalog.config_of(turn.agent_version_id).takeover_text
        settle(turn, left_to_teammate(text))
    return [turn.pk for turn in in_flight]
