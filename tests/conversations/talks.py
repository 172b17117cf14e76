"""Conversations to be found in transcripts, and what a list shows of them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django.utils import timezone

from conversations.models import Conversation, Message, Turn
from sessions.models import ChatSession, Company, EndUser
from tests.cast import House

LIST = "/transcripts/"
NOW = timezone.now()


def talk(
    house: House, *said: str, person: EndUser | None = None, company: Company | None = None, **summary: Any
) -> Conversation:
    """A conversation in which the visitor and the agent say these things by turns, a minute ago or `ago` minutes."""
    org, version = house.org, house.agent.current_version
    at = NOW - dt.timedelta(minutes=summary.pop("ago", 1))
    of_turn = {name: summary.pop(name) for name in ("escalated", "routing_rule") if name in summary}
    conversation = Conversation.objects.create(
        org=org,
        session=ChatSession.objects.create(org=org, end_user=person, company=company),
        agent=house.agent,
        agent_version=version,
        created_at=at,
        last_message_at=at,
        message_count=len(said),
        **summary,
    )
    turn = None
    for number, text in enumerate(said):
        seq, part = number // 2 + 1, number % 2
        if not part:
            turn = Turn.objects.create(
                org=org, conversation=conversation, seq=seq, status="done", agent_version=version, accepted_at=at,
                answer_by=at, finished_at=at, response={}, confidence=0.8, snapshot={"custom_fields": {"plan": "gold"}},
                confidence_inputs={"answerability": 0.9}, **of_turn,
            )  # fmt: skip
        author = "agent" if part else "visitor"
        Message.objects.create(
            org=org, conversation=conversation, turn=turn, seq=seq, part=part, author=author, text=text, created_at=at
        )
    return conversation


def shown(response: Any) -> list[str]:
    """The ids of the conversations that a list shows, in its order."""
    assert response.status_code == 200, response.content[:300]
    return re.findall(r'href="/transcripts/([0-9a-f-]{36})/[^"]*" data-row', response.content.decode())


def ids(*conversations: Conversation) -> list[str]:
    return [str(conversation.pk) for conversation in conversations]
