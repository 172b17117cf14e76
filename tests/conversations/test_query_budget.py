"""How many statements a turn costs, and what each of them is for."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import answering, bell, processes, services, waiting
from conversations.models import Turn
from conversations.requests import ChatRequest
from orgs.authentication import Access
from orgs.models import Organization, WidgetKey
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bell is not heard, so that this test's thread is the one that answers."""
    monkeypatch.setattr(bell, "ring", lambda turn_id: True)


def accept(cast: Cast, **fields: Any) -> services.Accepted:
    key = WidgetKey.objects.select_related("org").get(pk=cast.acme.key.pk)
    access = Access(org=key.org, key_id=key.pk)
    idempotency_key = fields.pop("key", "")
    return services.accept(
        org=access.org,
        key_id=access.key_id,
        request=ChatRequest(message="Hello", **fields),
        idempotency_key=idempotency_key,
        address="192.0.2.1",
        request_id="r",
        now=timezone.now(),
    )


def without_transactions(queries: CaptureQueriesContext) -> list[str]:
    words = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    # What the server has prepared is executed by its name alone.
    texts = [query["sql"] or "prepared" for query in queries.captured_queries]
    return [text for text in texts if not text.startswith(words)]


def test_accepting_a_first_anonymous_message(acme: Organization, cast: Cast, quiet: None) -> None:
    accept(cast)
    with CaptureQueriesContext(connection) as queries:
        accept(cast)

    # 1 key and organisation · 2 session, conversation, turn and message; a transaction by itself
    assert len(without_transactions(queries)) == len(queries) == 2


def test_accepting_a_verified_users_next_message_with_a_key(
    acme: Organization, cast: Cast, quiet: None, token: Any
) -> None:
    turn = Turn.objects.get(pk=accept(cast, user_id="u1", user_token=token()).turn_id)
    session = turn.conversation.session.session_id
    with CaptureQueriesContext(connection) as queries:
        accept(cast, user_id="u1", user_token=token(), session_id=session, key="k" * 16)

    # 1 key and organisation · 2 is the key known? · 3 reserve it · 4 the user · 5 its last_seen · 6 the session, locked
    # 7 the conversation's next seq, turn and message
    assert len(without_transactions(queries)) == 7


def test_reading_an_answer(acme: Organization, cast: Cast, quiet: None) -> None:
    accepted = accept(cast)
    answering.answer(accepted.turn_id)
    with CaptureQueriesContext(connection) as queries:
        read = waiting.wait_for(accepted.turn_id, org=acme, fresh=True)

    # 1 the turn with its session's id
    assert len(without_transactions(queries)) == 1

    with CaptureQueriesContext(connection) as queries:
        told = waiting.wait_for(accepted.turn_id, org=acme, fresh=True, session_id=accepted.session_id)

    # The tape tells whoever knows the session.
    assert len(queries) == 0
    assert json.dumps(told) == json.dumps(read)


def test_answering_a_turn(acme: Organization, cast: Cast, quiet: None, model: FakeModel, token: Any) -> None:
    answering.answer(accept(cast).turn_id)
    accepted = accept(cast, user_id="u1", user_token=token())
    with CaptureQueriesContext(connection) as queries:
        answering.answer(accepted.turn_id)

    # 1 claim · 2 turn, transcript, the organisation's version, whether there are passages and anything was done on the
    # site · 3 end user · 4 tickets · 5 conversation's summary, turn, reply, trace
    assert len(without_transactions(queries)) == 5
    assert Turn.objects.get(pk=accepted.turn_id).status == "done"


def test_a_long_transcript_costs_no_more_statements_than_a_short_one(
    acme: Organization, cast: Cast, quiet: None
) -> None:
    def statements(turns: int) -> int:
        accepted = accept(cast)
        answering.answer(accepted.turn_id)
        session = Turn.objects.get(pk=accepted.turn_id).conversation.session.session_id
        for _ in range(turns):
            answering.answer(accept(cast, session_id=session).turn_id)
        last = accept(cast, session_id=session)
        with CaptureQueriesContext(connection) as queries:
            answering.answer(last.turn_id)
        return len(queries)

    assert statements(1) == statements(10)


def test_no_connection_is_held_while_the_model_thinks_or_the_client_waits(visitor: Visitor, model: FakeModel) -> None:
    def held() -> int:
        stats = connection.pool.get_stats()  # type: ignore[attr-defined]
        return int(stats["pool_size"] - stats["pool_available"])

    from concurrent.futures import ThreadPoolExecutor

    assert processes.current_id() is not None
    model.reply("slow", delay=1.0)
    with ThreadPoolExecutor(1) as pool:
        waiting_client = pool.submit(visitor.say)
        while not model.requests:
            time.sleep(0.02)
        time.sleep(0.2)
        connection.close()
        # The sweep may hold one for a moment, every two seconds.
        assert min(held() for _ in range(5) if time.sleep(0.05) is None) == 0
        assert waiting_client.result(timeout=10).status_code == 200
