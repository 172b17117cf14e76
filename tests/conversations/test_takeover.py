"""Teammates step in: no agent message after a takeover."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from conversations import takeover, turns
from conversations.models import Conversation, Message, Turn
from conversations.recording import Overtaken, Reply, settle
from conversations.takeover import NotOpen
from orgs.models import AuditEntry
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

# Real threads, so each costs a second; `make faults` plays more of them.
ROUNDS = int(os.environ.get("HALO_TAKEOVERS", "2"))


def test_while_a_teammate_has_taken_over_no_model_is_called(visitor: Visitor, cast: Cast, model: FakeModel) -> None:
    session = visitor.told()["session_id"]
    takeover.take_over(conversation=Conversation.objects.get(), by=cast.sue)
    asked = len(model.requests)

    answer = visitor.told("Still there?", session_id=session)

    assert len(model.requests) == asked
    assert answer["text"] == cast.acme.agent.takeover_text
    assert (answer["routing"], answer["confidence"], answer["session_id"]) == ({"action": "human"}, None, session)
    assert Message.objects.filter(text="Still there?").exists()
    assert Turn.objects.get(pk=answer["turn_id"]).outcome == "human"


def test_a_turn_that_is_overtaken_in_mid_answer_ends_as_the_teammates(
    visitor: Visitor, cast: Cast, model: FakeModel
) -> None:
    model.reply("too late", delay=4)

    def say() -> Any:
        try:
            return visitor.told("Help")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(say)
        while not model.requests:
            time.sleep(0.02)
        began = time.monotonic()
        takeover.take_over(conversation=Conversation.objects.get(), by=cast.sue)
        answer = waiting.result(timeout=20)
        took = time.monotonic() - began

    assert took < 3, "whoever waits is told at once"
    assert (answer["text"], answer["routing"]) == (cast.acme.agent.takeover_text, {"action": "human"})
    time.sleep(4.2 - took)
    assert not Message.objects.filter(author="agent").exists()


def test_after_handing_back_the_agent_answers_again(visitor: Visitor, cast: Cast) -> None:
    session = visitor.told()["session_id"]
    conversation = Conversation.objects.get()
    takeover.take_over(conversation=conversation, by=cast.sue)
    visitor.told("to a person", session_id=session)
    takeover.hand_back(conversation=conversation, by=cast.sue)

    assert "routing" not in visitor.told("to the agent", session_id=session)


def test_the_epoch_alone_keeps_an_answer_of_before_out(visitor: Visitor, cast: Cast) -> None:
    """Ending what is in flight keeps it out too; neither may rely on the other."""
    visitor.told()
    turn = Turn.objects.select_related("agent_version").get()
    Turn.objects.update(status="queued", finished_at=None)
    held = turns.claim(turn.pk, process_id=1)
    Conversation.objects.update(epoch=F("epoch") + 1)

    with pytest.raises(Overtaken), transaction.atomic():
        settle(turn, Reply(outcome=Turn.Outcome.ANSWERED, text="too late"), held=held)

    assert not Message.objects.filter(text="too late").exists()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_while_visitors_workers_and_a_teammate_are_all_at_it_no_agent_speaks_after_a_takeover(
    visitor: Visitor, cast: Cast, model: FakeModel, number: int
) -> None:
    dice = random.Random(number)
    model.reply(times=None, delay=0.02)
    session = visitor.told("first")["session_id"]
    conversation = Conversation.objects.get()
    breaches: list[str] = []

    def write(name: str) -> list[str]:
        try:
            return [visitor.told(f"{name}-{n}", session_id=session)["session_id"] for n in range(3)]
        finally:
            connection.close()

    def said() -> int:
        return Message.objects.filter(conversation=conversation, author=Message.Author.AGENT).count()

    def step_in() -> int:
        try:
            for _ in range(6):
                time.sleep(dice.uniform(0, 0.06))
                takeover.take_over(conversation=conversation, by=cast.sue)
                before = said()
                time.sleep(dice.uniform(0, 0.06))
                if said() != before:
                    breaches.append("while a person had it")
                takeover.hand_back(conversation=conversation, by=cast.sue)
            takeover.close(conversation=conversation, by=cast.sue)
            return said()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, name) for name in "abc"]
        at_close = pool.submit(step_in).result(timeout=60)
        for one in writing:
            one.result(timeout=60)

    assert not breaches
    assert said() == at_close, "nothing is said in a closed conversation"
    assert not Turn.objects.exclude(status="done").exists()
    for one in Conversation.objects.all():
        said_there = Message.objects.filter(conversation=one).order_by("seq", "part").values_list("seq", "part")
        assert list(said_there) == [(seq, part) for seq in range(1, one.seq + 1) for part in (0, 1)]


def test_each_step_bumps_the_epoch_and_is_audited(visitor: Visitor, cast: Cast) -> None:
    visitor.told()
    conversation = Conversation.objects.get()

    takeover.take_over(conversation=conversation, by=cast.sue)
    takeover.hand_back(conversation=conversation, by=cast.omar)
    takeover.close(conversation=conversation, by=cast.ada)

    conversation.refresh_from_db()
    assert (conversation.epoch, conversation.status) == (3, "closed")
    entries = AuditEntry.objects.filter(action__startswith="conversation.").order_by("id")
    assert list(entries.values_list("action", "actor__email")) == [
        ("conversation.take_over", "sue@acme.example"),
        ("conversation.hand_back", "omar@acme.example"),
        ("conversation.close", "ada@acme.example"),
    ]


def test_steps_that_make_no_sense_are_refused(visitor: Visitor, cast: Cast) -> None:
    visitor.told()
    conversation = Conversation.objects.get()

    with pytest.raises(NotOpen):
        takeover.hand_back(conversation=conversation, by=cast.sue)
    takeover.close(conversation=conversation, by=cast.sue)
    for step in (takeover.take_over, takeover.hand_back, takeover.close):
        with pytest.raises(NotOpen):
            step(conversation=conversation, by=cast.sue)
