"""`GET /sessions/<id>/messages`: what a visitor saw of their conversation, and what nobody else does."""

from __future__ import annotations

import base64
import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations import replying, takeover
from conversations.models import Conversation, Message
from conversations.takeover import NotOpen
from halo.errors import InvalidRequest
from orgs.models import AuditEntry, Organization
from sessions.models import ChatSession
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel, Reply

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


def messages(visitor: Visitor, session: str, **kwargs: Any) -> list[dict[str, Any]]:
    response = visitor.fetch(f"sessions/{session}/messages{kwargs.pop('query', '')}", **kwargs)
    assert response.status_code == 200, response.content
    return response.json()["messages"]


def test_a_visitor_reads_what_was_said_in_order(visitor: Visitor, cast: Cast, model: FakeModel) -> None:
    image = "data:image/png;base64," + base64.b64encode(PNG).decode()
    answer = visitor.told("Where is it?", images=[image, "https://pics.example/1.png"])
    session = answer["session_id"]
    visitor.send(f"messages/{answer['message_id']}/feedback", session_id=session, rating="down")
    takeover.take_over(conversation=Conversation.objects.get(), by=cast.sue)
    visitor.told("Hello?", session_id=session)
    replying.reply(conversation=Conversation.objects.get(), text="I am Sue.", by=cast.sue)

    body = visitor.fetch(f"sessions/{session}/messages").json()

    said = [(one["role"], one["name"], one["text"], one["state"]) for one in body["messages"]]
    assert said == [
        ("visitor", "", "Where is it?", "answered"),
        ("agent", "", answer["text"], None),
        ("visitor", "", "Hello?", "answered"),
        ("system", "", cast.acme.agent.takeover_text, None),
        ("teammate", "Sue", "I am Sue.", None),
    ]
    assert (body["status"], body["handled_by"], body["more"]) == ("open", {"role": "teammate", "name": "Sue"}, False)
    first, reply, *_ = body["messages"]
    assert MOMENT.fullmatch(first["created_at"])
    assert (reply["id"], reply["turn_id"], reply["rating"]) == (answer["message_id"], answer["turn_id"], "down")
    assert [one["url"] for one in first["images"]] == ["", "https://pics.example/1.png"]
    picture = visitor.fetch(f"sessions/{session}/images/{first['images'][0]['id']}")
    assert (picture.content, picture["Content-Type"]) == (PNG, "image/png")
    assert visitor.fetch(f"sessions/{session}/images/{first['images'][1]['id']}").status_code == 404


def test_nothing_of_how_an_answer_came_about_is_in_it(visitor: Visitor, cast: Cast) -> None:
    session = visitor.told()["session_id"]
    takeover.take_over(conversation=Conversation.objects.get(), by=cast.sue)
    replying.reply(conversation=Conversation.objects.get(), text="Hi", by=cast.sue)
    text = visitor.fetch(f"sessions/{session}/messages").content.decode()
    for word in ("confidence", "sue@acme", str(cast.sue.pk), "explanation", "prompt", "snapshot"):
        assert word not in text


def test_a_message_that_nobody_answered_says_so(visitor: Visitor, model: FakeModel) -> None:
    model.script(Reply(status=500), Reply(status=500), Reply(status=500))
    assert visitor.say("Help", headers={"Idempotency-Key": "0123456789abcdef"}).status_code == 503
    session = ChatSession.objects.get().session_id
    assert [one["state"] for one in messages(visitor, session)] == ["unanswered"]
    visitor.told("Help", headers={"Idempotency-Key": "0123456789abcdef"})
    assert [one["state"] for one in messages(visitor, session)] == ["answered", None]


def test_what_came_after_a_message_is_read_page_by_page(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    session = visitor.told("one")["session_id"]
    visitor.told("two", session_id=session)
    everything = messages(visitor, session)
    assert messages(visitor, session, query=f"?after={everything[1]['id']}") == everything[2:]
    assert messages(visitor, session, query=f"?after={everything[-1]['id']}") == []

    monkeypatch.setattr("conversations.visible.read.__kwdefaults__", {"most": 3})
    page = visitor.fetch(f"sessions/{session}/messages").json()
    assert page["messages"] == everything[:3] and page["more"]
    refused = visitor.fetch(f"sessions/{session}/messages?after=x")
    assert (refused.status_code, refused.json()["field"]) == (400, "after")


def test_a_session_is_read_by_its_owner_only(
    visitor: Visitor, stranger: Visitor, acme: Organization, token: Any
) -> None:
    anonymous = visitor.told()["session_id"]
    verified = visitor.told(user_id="u1", user_token=token())["session_id"]
    named = visitor.told(user_id="u2")["session_id"]
    for path in ("messages", "events", "images/1"):
        for reader, session, proof in (
            (visitor, "sess_unknown", ""),
            (visitor, "%00", ""),
            (stranger, anonymous, ""),
            (visitor, verified, ""),
            (visitor, verified, token("u2")),
        ):
            assert reader.fetch(f"sessions/{session}/{path}", token=proof).status_code == 404, (path, session)
    assert messages(visitor, anonymous) and messages(visitor, named) and messages(visitor, verified, token=token())
    assert visitor.fetch(f"sessions/{verified}/messages", **{"X-Session-Id": verified}).status_code == 404

    Organization.objects.update(verify_identity=True)
    assert visitor.fetch(f"sessions/{named}/messages").status_code == 404
    assert visitor.fetch(f"sessions/{named}/messages", token="nonsense").status_code == 403
    assert messages(visitor, named, token=token("u2"))
    ChatSession.objects.update(expires_at="2026-01-01T00:00:00Z")
    assert visitor.fetch(f"sessions/{anonymous}/messages").status_code == 404


def test_another_sessions_image_is_not_to_be_had(visitor: Visitor) -> None:
    image = "data:image/png;base64," + base64.b64encode(PNG).decode()
    theirs = visitor.told("look", images=[image])["session_id"]
    mine = visitor.told()["session_id"]
    number = messages(visitor, theirs)[0]["images"][0]["id"]
    assert visitor.fetch(f"sessions/{theirs}/images/{number}").status_code == 200
    for guess in (number, "x", "9" * 30, "-1"):
        assert visitor.fetch(f"sessions/{mine}/images/{guess}").status_code == 404


def test_two_messages_and_twenty_cost_the_same(visitor: Visitor, cast: Cast) -> None:
    session = visitor.told(images=["https://pics.example/1.png"])["session_id"]

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            messages(visitor, session)
        return len(queries)

    before = statements()
    conversation = Conversation.objects.get()
    Message.objects.bulk_create(
        Message(org=cast.acme.org, conversation=conversation, seq=number, author="visitor", text=str(number))
        for number in range(2, 20)
    )
    # 1 key and organisation · 2 session and user · 3 conversation and teammate · 4 messages · 5 images · 6 thumbs
    assert before == statements() == 6


def test_a_teammate_answers_only_what_people_have_taken_over(visitor: Visitor, cast: Cast) -> None:
    visitor.told()
    conversation = Conversation.objects.get()
    with pytest.raises(NotOpen):
        replying.reply(conversation=conversation, text="Hi", by=cast.sue)
    takeover.take_over(conversation=conversation, by=cast.sue)
    for bad in (" \n", "x" * 20_001):
        with pytest.raises(InvalidRequest):
            replying.reply(conversation=conversation, text=bad, by=cast.sue)

    said = replying.reply(conversation=conversation, text="Hi\x00", by=cast.omar)

    conversation.refresh_from_db()
    assert (said.text, said.seq, conversation.seq, conversation.message_count) == ("Hi\ufffd", 2, 2, 3)
    entry = AuditEntry.objects.get(action="conversation.reply")
    assert (entry.actor, entry.after) == (cast.omar, {"message": str(said.pk)})
    takeover.close(conversation=conversation, by=cast.sue)
    with pytest.raises(NotOpen):
        replying.reply(conversation=conversation, text="Hi", by=cast.sue)


def test_the_agent_reads_what_the_teammate_wrote(visitor: Visitor, cast: Cast, model: FakeModel) -> None:
    session = visitor.told()["session_id"]
    conversation = Conversation.objects.get()
    takeover.take_over(conversation=conversation, by=cast.sue)
    replying.reply(conversation=conversation, text="Your parcel left today.", by=cast.sue)
    takeover.hand_back(conversation=conversation, by=cast.sue)
    visitor.told("Thanks. And my invoice?", session_id=session)
    assert "Your parcel left today." in str(model.requests[-1].messages)


def test_an_id_that_is_nobodys_message_is_a_place_in_time(visitor: Visitor) -> None:
    session = visitor.told()["session_id"]
    assert len(messages(visitor, session, query=f"?after={uuid.UUID(int=1)}")) == 2
