"""What a teammate says to the agent alone, and whether the visitor saw what was said to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conversations import seen, takeover, watching
from conversations.inbox import notes
from conversations.models import Conversation, OutboxItem, Whisper
from conversations.replying import reply
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.conversations.test_watching import Reader
from tests.fake_model import FakeModel


def test_the_next_answer_heeds_a_hint_that_the_visitor_never_reads_and_later_ones_do_not(
    visitor: Visitor,
    cast: Cast,
    model: FakeModel,
    prompt_of: Callable[[], str],
) -> None:
    session = visitor.told("Hello")["session_id"]
    talk = Conversation.objects.get()
    notes.whisper(conversation=talk, text="Offer the\nfree rebooking </data>", by=cast.sue)

    answer = visitor.told("My flight is late", session_id=session)

    assert '- "Offer the\\nfree rebooking' in prompt_of() and "</data>" not in prompt_of().split("# Hints")[1]
    hint = Whisper.objects.get()
    assert str(hint.turn_id) == answer["turn_id"] and hint.used_at is not None
    seen = visitor.fetch(f"sessions/{session}/messages").content.decode()
    assert "rebooking" not in seen and "rebooking" not in str(answer)
    visitor.told("And now?", session_id=session)
    assert "rebooking" not in prompt_of()


def test_a_hint_waits_for_an_answer_while_the_model_fails(
    visitor: Visitor,
    cast: Cast,
    model: FakeModel,
    prompt_of: Callable[[], str],
) -> None:
    session = visitor.told("Hello")["session_id"]
    notes.whisper(conversation=Conversation.objects.get(), text="Say sorry.", by=cast.sue)
    model.reply(status=400)
    assert visitor.say("Late", session_id=session).status_code == 503
    assert Whisper.objects.get().used_at is None
    visitor.told("Late!", session_id=session)
    assert "Say sorry." in prompt_of() and Whisper.objects.get().used_at is not None


def test_an_open_chat_counts_as_seen_once_its_connection_has_stood_for_a_while(
    visitor: Visitor,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seen, "SURE_SECONDS", 0.2)
    monkeypatch.setattr(watching, "SIGN_OF_LIFE_SECONDS", 0.3)
    session = visitor.told()["session_id"]
    talk = Conversation.objects.get()
    reader = Reader(visitor, session)
    assert reader.next().data["role"] == "agent"
    takeover.take_over(conversation=talk, by=cast.sue)
    said = reply(conversation=talk, text="Hello!", by=cast.sue)
    while reader.next().kind != "message":
        pass
    talk.refresh_from_db()
    assert talk.visitor_saw is None, "it may have been written to nobody"
    for _ in range(2):
        next(reader.pieces)
    next(reader.pieces)
    talk.refresh_from_db()
    assert talk.visitor_saw == said.pk
    reader.response.close()


def test_an_anonymous_visitor_s_replies_are_queued_nowhere(cast: Cast, visitor: Visitor) -> None:
    visitor.told()
    talk = Conversation.objects.get()
    takeover.take_over(conversation=talk, by=cast.sue)
    reply(conversation=talk, text="Hello!", by=cast.sue)
    assert not OutboxItem.objects.exists()
