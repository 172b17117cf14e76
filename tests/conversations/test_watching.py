"""`GET /sessions/<id>/events`: a conversation as it goes on."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest

from conversations import live, replying, takeover, watching
from conversations.models import Conversation
from halo import wire
from sessions.models import ChatSession
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.conversations.sse import Told, read_events


class Reader:
    """A widget with an open chat."""

    def __init__(self, visitor: Visitor, session: str, **headers: str) -> None:
        self.response = visitor.fetch(f"sessions/{session}/events", **headers)
        assert self.response.status_code == 200, self.response.content
        self.pieces: Iterator[bytes] = iter(self.response.streaming_content)

    def next(self) -> Told:
        """The next event, over signs of life."""
        while True:
            told = read_events(next(self.pieces))
            if told:
                return told[0]

    def is_over(self) -> bool:
        return not [event for piece in self.pieces for event in read_events(piece)]


def test_a_visitor_sees_at_once_what_a_teammate_does(visitor: Visitor, cast: Cast) -> None:
    session = visitor.told()["session_id"]
    conversation = Conversation.objects.get()
    reader = Reader(visitor, session)
    assert reader.response["Content-Type"] == "text/event-stream"
    first = reader.next()
    assert (first.kind, first.data, first.id) == ("takeover", {"role": "agent", "name": ""}, "")

    began = time.monotonic()
    takeover.take_over(conversation=conversation, by=cast.sue)
    assert reader.next().data == {"role": "teammate", "name": "Sue"}
    replying.type_to(conversation=conversation, by=cast.sue)
    typing = reader.next()
    assert (typing.kind, typing.data) == ("typing", {"role": "teammate", "name": "Sue"})
    said = replying.reply(conversation=conversation, text="Hello!", by=cast.sue)
    message = reader.next()
    assert (message.kind, message.id, message.data["text"]) == ("message", str(said.pk), "Hello!")
    assert message.data == visitor.fetch(f"sessions/{session}/messages").json()["messages"][-1]
    takeover.hand_back(conversation=conversation, by=cast.sue)
    assert reader.next().data["role"] == "agent"
    takeover.close(conversation=conversation, by=cast.sue)
    assert reader.next().kind == "closed"
    assert reader.is_over()
    assert time.monotonic() - began < 4, "nothing waited for the next look"


def test_another_tab_sees_message_and_answer(visitor: Visitor) -> None:
    session = visitor.told()["session_id"]
    reader = Reader(visitor, session)
    reader.next()
    answer = visitor.told("From the other tab", session_id=session)
    assert [reader.next().data["text"] for _ in range(2)] == ["From the other tab", answer["text"]]


def test_a_stream_that_is_cut_is_picked_up_behind_the_last_message(visitor: Visitor, cast: Cast) -> None:
    session = visitor.told()["session_id"]
    conversation = Conversation.objects.get()
    takeover.take_over(conversation=conversation, by=cast.sue)
    first, second = (replying.reply(conversation=conversation, text=text, by=cast.sue) for text in "ab")

    reader = Reader(visitor, session, **{"Last-Event-ID": str(first.pk)})
    assert [reader.next().kind, reader.next().id] == ["takeover", str(second.pk)]

    # What was said before is no news to who does not ask for it.
    fresh = Reader(visitor, session, **{"Last-Event-ID": "nonsense"})
    assert fresh.next().kind == "takeover"
    third = replying.reply(conversation=conversation, text="c", by=cast.sue)
    assert fresh.next().id == str(third.pk)


def test_without_redis_the_rows_are_looked_at_now_and_then(
    visitor: Visitor, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = visitor.told()["session_id"]
    conversation = Conversation.objects.get()
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.05)
    reader = Reader(visitor, session)
    reader.next()
    wire.mark_away()
    takeover.take_over(conversation=conversation, by=cast.sue)
    replying.reply(conversation=conversation, text="still here", by=cast.sue)
    wire.mark_away()
    assert [reader.next().kind, reader.next().data["text"]] == ["takeover", "still here"]
    wire.mark_back()


def test_a_lost_nudge_costs_time_and_nothing_else(
    visitor: Visitor, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = visitor.told()["session_id"]
    conversation = Conversation.objects.get()
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.2)
    reader = Reader(visitor, session)
    reader.next()
    with wire.calling() as client:
        client.delete(f"halo:live:{conversation.pk}")
    takeover.take_over(conversation=conversation, by=cast.sue)
    assert reader.next().data["role"] == "teammate"


def test_nothing_is_written_where_nobody_watches(visitor: Visitor, cast: Cast) -> None:
    visitor.told()
    conversation = Conversation.objects.get()
    takeover.take_over(conversation=conversation, by=cast.sue)
    with wire.calling() as client:
        assert not client.exists(f"halo:live:{conversation.pk}")
    live.watch(conversation.pk)
    with wire.calling() as client:
        assert 0 < client.ttl(f"halo:live:{conversation.pk}") <= 60


def test_who_no_longer_owns_the_session_is_told_nothing_more(visitor: Visitor, cast: Cast, token: Any) -> None:
    session = visitor.told()["session_id"]
    reader = Reader(visitor, session)
    reader.next()
    visitor.told("It is me", session_id=session, user_id="u1", user_token=token())
    assert reader.is_over()


def test_a_stream_ends_after_a_while_and_when_the_process_stops(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = visitor.told()["session_id"]
    monkeypatch.setattr(watching, "LIFETIME_SECONDS", 0.1)
    reader = Reader(visitor, session)
    assert reader.next().kind == "takeover" and reader.is_over()
    monkeypatch.setattr(watching, "LIFETIME_SECONDS", 60)
    reader = Reader(visitor, session)
    watching.stopping.asked.set()
    try:
        assert reader.next().kind == "takeover" and reader.is_over()
    finally:
        watching.stopping.asked.clear()


def test_places_are_few_and_given_back(visitor: Visitor, settings: Any) -> None:
    # Readers of other tests that nobody closed hold their places until they are collected.
    gc.collect()
    sessions = [visitor.told()["session_id"] for _ in range(2)]
    settings.HALO_WATCHERS = 3
    first = Reader(visitor, sessions[0])
    refused = visitor.fetch(f"sessions/{sessions[1]}/events")
    assert (refused.status_code, refused["Retry-After"]) == (503, "30")
    assert refused.json()["code"] == "unavailable"
    first.response.close()
    second = Reader(visitor, sessions[1])
    second.response.close()

    settings.HALO_WATCHERS = 100
    readers = [Reader(visitor, sessions[0]) for _ in range(watching.PER_SESSION)]
    assert visitor.fetch(f"sessions/{sessions[0]}/events").status_code == 429
    assert Reader(visitor, sessions[1]).next().kind == "takeover"
    for reader in readers:
        reader.response.close()
    Reader(visitor, sessions[0]).response.close()


def test_a_session_in_which_nothing_was_said_is_watched_too(
    visitor: Visitor, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.05)
    session = ChatSession.objects.create(org=cast.acme.org).session_id
    body = visitor.fetch(f"sessions/{session}/messages").json()
    assert (body["messages"], body["status"], body["handled_by"]["role"]) == ([], "open", "agent")
    reader = Reader(visitor, session)
    next(reader.pieces)
    visitor.told("first", session_id=session)
    assert reader.next().kind == "takeover"
