"""What the tests of the inbox share: a conversation of Acme's, and people who look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from conversations import tickets
from conversations.models import Conversation, Message, Ticket
from halo import wire
from orgs.models import User
from sessions.models import EndUser
from tests.admin.furnished import add_conversation
from tests.cast import Cast


@pytest.fixture(autouse=True)
def redis_is_there() -> None:
    wire.mark_back()


@pytest.fixture
def person(cast: Cast) -> EndUser:
    """A visitor of Acme's whose address is known."""
    return EndUser.objects.create(org=cast.acme.org, external_id="u-1", name="Vera", email="vera@visitor.example")


@pytest.fixture
def talk(cast: Cast, person: EndUser) -> Conversation:
    """Vera has asked the agent something."""
    conversation = add_conversation(cast.acme, person)
    Conversation.objects.filter(pk=conversation.pk).update(seq=1, message_count=2)
    conversation.refresh_from_db()
    return conversation


@pytest.fixture
def ticket(cast: Cast, talk: Conversation) -> Ticket:
    """A ticket about it."""
    return tickets.open_ticket(
        org=cast.acme.org,
        session=talk.session,
        conversation=talk,
        subject="Where is my order?",
        message="Where is my order?",
        source="escalation",
    )


@pytest.fixture
def as_(db: None) -> Callable[[User], Browser]:
    """A browser of somebody who is logged in."""
    return Browser


class Browser:
    """Somebody with the inbox open."""

    def __init__(self, user: User) -> None:
        self.client = Client()
        self.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/inbox/{path}", query)

    def text(self, path: str, **query: Any) -> str:
        """The page, which must be there."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, (path, answer.status_code)
        return str(answer.content.decode())

    def post(self, path: str, **data: Any) -> Any:
        """A form that a script sends."""
        return self.client.post(f"/inbox/{path}", data, headers={"Accept": "application/json"})

    def done(self, path: str, **data: Any) -> None:
        """A form that must work."""
        answer = self.post(path, **data)
        assert answer.status_code in (200, 204), (path, answer.status_code, answer.content[:300])


def visitor_writes(conversation: Conversation, text: str) -> Message:
    """As accept stores it, without a turn."""
    conversation.refresh_from_db()
    seq = conversation.seq + 1
    message: Message = Message.objects.create(
        org_id=conversation.org_id, conversation=conversation, seq=seq, author="visitor", text=text
    )
    Conversation.objects.filter(pk=conversation.pk).update(seq=seq, last_message_at=message.created_at)
    return message
