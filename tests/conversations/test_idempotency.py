"""`Idempotency-Key` to the letter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conversations import takeover
from conversations.models import Conversation, IdempotencyKey, Message, Turn
from orgs.models import Organization
from sessions.models import ChatSession
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

KEY = {"Idempotency-Key": "k" * 16}
Sign = Callable[..., str]


def test_the_same_key_and_body_is_the_same_turn_byte_for_byte(visitor: Visitor, model: FakeModel) -> None:
    model.reply("", tool_calls=[("escalate", {"reason": "asked for it"})]).reply("A person will help.")
    first = visitor.say("Help", headers=KEY, context={"b": {"label": "x", "value": 1}})
    second = visitor.say("Help", headers=KEY, context={"b": {"label": "x", "value": 1}})

    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert (Turn.objects.count(), Message.objects.count(), len(model.requests)) == (1, 2, 2)


def test_the_order_of_keys_in_the_body_does_not_matter(visitor: Visitor) -> None:
    first = visitor.post(b'{"message": "x", "mode": "chat"}', **KEY)
    second = visitor.post(b'{ "mode":"chat","message":"x" }', **KEY)

    assert first.content == second.content


def test_another_body_is_a_409_and_stores_nothing(visitor: Visitor) -> None:
    visitor.told("one", headers=KEY)

    response = visitor.say("two", headers=KEY)

    assert (response.status_code, response.json()["code"]) == (409, "idempotency_mismatch")
    assert Message.objects.count() == 2


def test_the_token_is_left_out_of_the_comparison(visitor: Visitor, verifying: Organization, token: Sign) -> None:
    first = visitor.say(user_id="u1", user_token=token(plan="a"), headers=KEY)
    second = visitor.say(user_id="u1", user_token=token(plan="b"), headers=KEY)

    assert first.content == second.content


def test_a_key_belongs_to_its_organisation_and_user(
    visitor: Visitor, stranger: Visitor, acme: Organization, token: Sign
) -> None:
    answers = [
        visitor.told(headers=KEY),
        visitor.told(headers=KEY, user_id="u1"),
        visitor.told(headers=KEY, user_id="u2"),
        stranger.told(headers=KEY),
    ]

    assert len({answer["turn_id"] for answer in answers}) == 4


@pytest.mark.parametrize("key", ["short", "x" * 15, "x" * 256, "x" * 15 + "\t", "ключ" * 5])
def test_a_key_without_its_shape_is_refused(guest: Visitor, key: str) -> None:
    response = guest.say(headers={"Idempotency-Key": key.encode().decode("latin-1")})

    assert (response.status_code, response.json()["field"]) == (400, "Idempotency-Key")


def test_keys_at_their_limits_are_taken(visitor: Visitor) -> None:
    for key in ("x" * 16, "~" * 255):
        assert visitor.say(headers={"Idempotency-Key": key}).status_code == 200


def test_requests_at_once_are_one_turn_and_one_model_call(visitor: Visitor, model: FakeModel) -> None:
    model.reply("only once", delay=0.5)

    def say(_: int) -> bytes:
        try:
            return bytes(visitor.say(headers=KEY).content)
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        answers = set(pool.map(say, range(12)))

    assert len(answers) == 1 and b"only once" in answers.pop()
    assert (Turn.objects.count(), ChatSession.objects.count(), len(model.requests)) == (1, 1, 1)


def test_a_failed_turn_is_finished_by_the_retry_and_stored_once(visitor: Visitor, model: FakeModel) -> None:
    model.reply(status=400)
    failed = visitor.say("Try", headers=KEY)
    assert (failed.status_code, failed.json()["code"]) == (503, "unavailable")
    assert failed["Retry-After"]
    turn = Turn.objects.get()
    assert Message.objects.get().unanswered and turn.status == "failed"

    model.reply("better now")
    answer = visitor.told("Try", headers=KEY)

    assert (answer["text"], answer["turn_id"]) == ("better now", str(turn.pk))
    message, reply = Message.objects.order_by("part")
    assert not message.unanswered and message.seq == reply.seq == 2
    assert ChatSession.objects.get().session_id == answer["session_id"]
    assert Conversation.objects.get().message_count == 2


def test_a_reopened_turn_goes_behind_what_was_accepted_since(visitor: Visitor, model: FakeModel) -> None:
    session = visitor.told("one")["session_id"]
    model.reply(status=400)
    assert visitor.say("two", session_id=session, headers=KEY).status_code == 503
    visitor.told("three", session_id=session)

    visitor.told("two", session_id=session, headers=KEY)

    texts = Message.objects.filter(author="visitor").order_by("seq").values_list("text", flat=True)
    assert list(texts) == ["one", "three", "two"]
    shown = [m["content"] for m in model.requests[-1].messages if m["role"] == "user"]
    assert shown == ["one", "three", "two"]


def test_many_retries_of_a_failed_turn_reopen_it_once(visitor: Visitor, model: FakeModel) -> None:
    model.reply(status=400)
    visitor.say(headers=KEY)
    model.reply("once more", delay=0.4)

    def say(_: int) -> bytes:
        try:
            return bytes(visitor.say(headers=KEY).content)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(say, range(8)))

    assert len(answers) == 1 and b"once more" in answers.pop()
    assert len(model.requests) == 2


def test_a_retry_after_the_conversation_was_closed_is_answered_in_a_fresh_session(
    visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    session = visitor.told("one")["session_id"]
    model.reply(status=400)
    visitor.say("two", session_id=session, headers=KEY)
    old = Conversation.objects.get()
    takeover.close(conversation=old, by=cast.sue)

    answer = visitor.told("two", session_id=session, headers=KEY)

    assert answer["session_id"] != session
    assert list(Message.objects.filter(conversation=old).order_by("seq", "part").values_list("text", flat=True)) == [
        "one",
        "You said: one",
    ]
    assert Message.objects.filter(text="two", author="visitor").count() == 1


def test_a_key_is_kept_for_a_day_and_then_forgotten(visitor: Visitor) -> None:
    first = visitor.told(headers=KEY)
    row = IdempotencyKey.objects.get()
    assert abs(row.expires_at - row.created_at - dt.timedelta(hours=24)) < dt.timedelta(seconds=1)
    IdempotencyKey.objects.update(expires_at=timezone.now())

    second = visitor.told("another body is fine then", headers=KEY)

    assert second["turn_id"] != first["turn_id"]
    assert IdempotencyKey.objects.get().turn_id == Turn.objects.get(pk=second["turn_id"]).pk


def test_replays_count_against_the_keys_limit_only(visitor: Visitor, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "session=100,visitor=2,new=1,key=6"
    assert visitor.say(headers=KEY).status_code == 200

    for _ in range(4):
        assert visitor.say(headers=KEY).status_code == 200
    assert visitor.say("another visitor's first").status_code == 429
    assert visitor.say(headers=KEY).status_code == 200
    assert visitor.say(headers=KEY).status_code == 429


def test_only_hashes_of_keys_are_stored(visitor: Visitor) -> None:
    visitor.told(headers=KEY, user_id="u1")
    row = IdempotencyKey.objects.get()
    assert KEY["Idempotency-Key"] not in (row.key_hash, row.scope) and "u1" not in row.scope


def test_what_a_verified_user_was_answered_is_not_replayed_or_finished_without_the_token(
    visitor: Visitor, acme: Organization, token: Sign, model: FakeModel
) -> None:
    answered = visitor.told("one", user_id="u1", user_token=token(), headers=KEY)
    assert visitor.told("one", user_id="u1", headers=KEY)["session_id"] != answered["session_id"]

    other = {"Idempotency-Key": "j" * 16}
    model.reply(status=400)
    visitor.say("two", user_id="u1", user_token=token(plan="secret"), headers=other)
    visitor.told("two", user_id="u1", headers=other)
    assert "has not proved who they are" in str(model.requests[-1].messages[0])
