"""What whoever waits does when things take too long, or when Redis is away."""

from __future__ import annotations

import datetime as dt
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import bell, ending, lookout, tape, waiting
from conversations.lookout import Lookout
from conversations.models import Conversation, Message, Turn
from halo import db, wire
from halo.errors import ModelTimeout, RateLimited
from orgs.models import Organization
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Redis refuses connections; the worker keeps the one it has and is never rung for."""
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    wire.forget_connections()
    monkeypatch.setattr(bell, "_send", lambda name, *args: False)
    yield
    wire.forget_connections()
    wire.mark_back()


def stuck_turn(visitor: Visitor, *, seconds: float) -> tuple[Turn, Turn]:
    """A running turn, and one that has waited for it."""
    visitor.told()
    conversation = Conversation.objects.get()
    first = Turn.objects.get()
    Turn.objects.filter(pk=first.pk).update(
        status="running", claimed_by=F("claimed_by"), answer_by=timezone.now() + dt.timedelta(seconds=50)
    )
    Conversation.objects.update(seq=2)
    accepted = timezone.now() - dt.timedelta(seconds=seconds)
    second = Turn.objects.create(
        org=conversation.org,
        conversation=conversation,
        seq=2,
        agent_version=first.agent_version,
        accepted_at=accepted,
        answer_by=accepted + dt.timedelta(seconds=55),
        rung_at=timezone.now(),
    )
    Message.objects.create(
        org=conversation.org, conversation=conversation, turn=second, seq=2, author="visitor", text="Next"
    )
    return first, second


def test_a_turn_that_waits_over_thirty_seconds_for_its_predecessor_is_closed_with_a_429(
    visitor: Visitor, acme: Organization
) -> None:
    _, second = stuck_turn(visitor, seconds=31)

    with pytest.raises(RateLimited):
        waiting.wait_for(second.pk, org=acme, fresh=False)

    second.refresh_from_db()
    assert (second.status, second.error_code) == ("failed", "rate_limited")
    assert Message.objects.get(turn=second, part=0).unanswered


def test_a_turn_that_waits_for_its_predecessor_for_less_goes_on_waiting(visitor: Visitor, acme: Organization) -> None:
    first, second = stuck_turn(visitor, seconds=20)

    def end_first() -> None:
        time.sleep(0.5)
        Turn.objects.filter(pk=first.pk).update(status="done")
        ending.announce(first.pk, first.conversation_id, org_id=first.org_id)

    threading.Thread(target=end_first).start()

    assert waiting.wait_for(second.pk, org=acme, fresh=False)["text"] == "You said: Next"


def test_whoever_waits_past_the_turns_time_closes_it_with_a_504(visitor: Visitor, acme: Organization) -> None:
    _, second = stuck_turn(visitor, seconds=56)

    with pytest.raises(ModelTimeout):
        waiting.wait_for(second.pk, org=acme, fresh=False)

    second.refresh_from_db()
    assert (second.status, second.error_code) == ("failed", "model_timeout")


def test_an_end_that_was_not_told_is_found_all_the_same(
    visitor: Visitor, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 0.2)
    first, _ = stuck_turn(visitor, seconds=1)

    def end_first() -> None:
        time.sleep(0.5)
        # As by a worker that was killed between the record and the word of it.
        Turn.objects.filter(pk=first.pk).update(status="done")
        connection.close()

    threading.Thread(target=end_first).start()

    assert waiting.wait_for(first.pk, org=acme, fresh=False)["turn_id"] == str(first.pk)


def test_all_who_wait_ask_with_one_statement(visitor: Visitor, acme: Organization) -> None:
    running, queued = stuck_turn(visitor, seconds=20)
    visitor.told("Another session")
    ended = Turn.objects.exclude(pk__in=[running.pk, queued.pk]).get()
    turns = [running.pk, queued.pk, ended.pk]
    patient, hasty = Lookout(patience=30), Lookout(patience=19)

    with ExitStack() as stack:
        for turn in turns:
            stack.enter_context(patient.waiting_for(turn))
            stack.enter_context(hasty.waiting_for(turn))
        with CaptureQueriesContext(connection) as queries:
            assert patient.look() == [ended.pk]
        # 1 all of them
        assert len(queries) == 1
        assert set(hasty.look()) == {ended.pk, queued.pk}, "something may be in its way"
    assert patient.look() == [], "nobody waits any more"
    told = {turn: [entry.kind for entry in tape.read(turn, after="0", wait_seconds=0.1)] for turn in turns}
    assert [told[turn].count("look") for turn in turns] == [0, 1, 2]


def test_who_looks_for_others_looks_again_when_the_database_is_back(
    visitor: Visitor, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 0.05)
    first, _ = stuck_turn(visitor, seconds=1)
    run, refused = db.run, threading.Semaphore(3)

    def refuse(statement: str, params: Any) -> Any:
        if statement == lookout._WORTH_IT and refused.acquire(blocking=False):
            raise OperationalError
        return run(statement, params)

    monkeypatch.setattr(db, "run", refuse)
    threading.Timer(0.1, lambda: (Turn.objects.filter(pk=first.pk).update(status="done"), connection.close())).start()

    assert waiting.wait_for(first.pk, org=acme, fresh=False)["turn_id"] == str(first.pk)
    assert not refused.acquire(blocking=False)


def test_while_redis_is_away_whoever_waits_answers(visitor: Visitor, no_redis: None, model: FakeModel) -> None:
    answer = visitor.told("Anybody?", headers={"Idempotency-Key": "k" * 16})

    assert answer["text"] == "You said: Anybody?"
    assert visitor.told("Anybody?", headers={"Idempotency-Key": "k" * 16}) == answer
    assert len(model.requests) == 1


def test_while_redis_is_away_more_than_the_hands_can_answer_get_a_503_and_may_retry(
    visitor: Visitor, no_redis: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_hands", threading.BoundedSemaphore(1))
    key = {"Idempotency-Key": "k" * 16}
    with waiting._hands:
        response = visitor.say("Anybody?", headers=key)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response["Retry-After"]

    assert visitor.told("Anybody?", headers=key)["text"] == "You said: Anybody?"
    assert Message.objects.count() == 2


def test_a_session_waits_for_its_own_turns_only(visitor: Visitor, acme: Organization, cast: Cast) -> None:
    stuck_turn(visitor, seconds=20)

    assert visitor.told("Another session")["text"] == "You said: Another session"
