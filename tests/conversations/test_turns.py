"""The interleavings that docs/adr/0001 names: claims, clocks, lost processes, order. One test each."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator

import pytest
from django.contrib.postgres.functions import TransactionNow
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from conversations import bursts, leaving, processes, recording, sweep, turns, waiting
from conversations.models import Conversation, Message, Turn
from conversations.recording import Overtaken, Reply
from sessions.models import ChatSession
from tests.cast import Cast

ME, OTHER = 1 << 61 | 1, 1 << 61 | 3


@pytest.fixture
def conversation(cast: Cast) -> Conversation:
    session = ChatSession.objects.create(org=cast.acme.org)
    return Conversation.objects.create(org=cast.acme.org, session=session, agent=cast.acme.agent)


def queue(conversation: Conversation, **fields: object) -> Turn:
    Conversation.objects.filter(pk=conversation.pk).update(seq=F("seq") + 1)
    conversation.refresh_from_db()
    now = timezone.now()
    values: dict[str, object] = {
        "org": conversation.org,
        "conversation": conversation,
        "seq": conversation.seq,
        "agent_version_id": conversation.agent.current_version_id,
        "accepted_at": now,
        "answer_by": now + dt.timedelta(seconds=55),
        "rung_at": now,
    }
    turn = Turn.objects.create(**{**values, **fields})
    Message.objects.create(
        org=conversation.org, conversation=conversation, turn=turn, seq=turn.seq, author="visitor", text="hi"
    )
    return turn


def answered(turn: Turn) -> Reply:
    return Reply(outcome=Turn.Outcome.ANSWERED, text="yes", confidence=0.5)


def status(turn: Turn) -> str:
    turn.refresh_from_db()
    return str(turn.status)


def test_a_turn_is_claimed_once(conversation: Conversation) -> None:
    turn = queue(conversation)

    first = turns.claim(turn.pk, process_id=ME)

    assert first is not None and first.attempt == 1 and 50 < first.seconds_left < 56
    assert turns.claim(turn.pk, process_id=OTHER) is None
    assert turns.claim(uuid.uuid4(), process_id=ME) is None


def test_a_later_turn_cannot_be_claimed_before_an_earlier_one_has_ended(conversation: Conversation) -> None:
    first, second = queue(conversation), queue(conversation)
    assert turns.claim(second.pk, process_id=ME) is None

    held = turns.claim(first.pk, process_id=ME)
    assert turns.claim(second.pk, process_id=ME) is None
    recording.settle(first, answered(first), held=held)

    assert turns.next_queued(conversation.pk) == (second.pk, "")
    assert turns.claim(second.pk, process_id=ME) is not None


def test_turns_of_different_conversations_do_not_wait_for_each_other(conversation: Conversation, cast: Cast) -> None:
    session = ChatSession.objects.create(org=cast.acme.org)
    other = Conversation.objects.create(org=cast.acme.org, session=session, agent=cast.acme.agent)
    first, second = queue(conversation), queue(other)

    assert turns.claim(first.pk, process_id=ME) and turns.claim(second.pk, process_id=ME)


def test_a_turn_past_its_time_cannot_be_claimed_and_is_closed_once(conversation: Conversation) -> None:
    turn = queue(conversation, answer_by=timezone.now() - dt.timedelta(seconds=1))
    assert turns.claim(turn.pk, process_id=ME) is None

    sweep.run(may_free=True)

    assert (status(turn), turn.error_code) == ("failed", "model_timeout")
    assert Message.objects.get(turn=turn).unanswered
    assert turns.close_unanswered(turn.pk, code="model_timeout", overdue=True) is None


def test_a_turn_within_its_time_is_not_closed_as_overdue(conversation: Conversation) -> None:
    turn = queue(conversation)
    assert turns.close_unanswered(turn.pk, code="model_timeout", overdue=True) is None
    assert status(turn) == "queued"


def test_a_late_reply_to_a_closed_turn_is_dropped(conversation: Conversation) -> None:
    turn = queue(conversation)
    held = turns.claim(turn.pk, process_id=ME)
    turns.close_unanswered(turn.pk, code="model_timeout")

    with pytest.raises(Overtaken):
        recording.settle(turn, answered(turn), held=held)

    assert Message.objects.filter(part=1).count() == 0


def test_a_failure_of_an_attempt_that_lost_its_claim_closes_nothing(conversation: Conversation) -> None:
    turn = queue(conversation)
    stale = turns.claim(turn.pk, process_id=ME)
    assert stale is not None
    Turn.objects.update(status="queued", claimed_by=None, claimed_epoch=None)
    turns.claim(turn.pk, process_id=OTHER)

    assert turns.close_unanswered(turn.pk, code="unavailable", held=stale) is None
    assert status(turn) == "running"


def test_a_reply_of_a_lost_attempt_is_dropped_and_the_next_ones_kept(conversation: Conversation) -> None:
    turn = queue(conversation)
    stale = turns.claim(turn.pk, process_id=ME)
    sweep.run(may_free=True)
    held = turns.claim(turn.pk, process_id=OTHER)
    assert held is not None and held.attempt == 2

    with pytest.raises(Overtaken):
        recording.settle(turn, answered(turn), held=stale)
    recording.settle(turn, answered(turn), held=held)

    assert status(turn) == "done" and Message.objects.filter(part=1).count() == 1


def test_a_turn_of_a_process_without_its_lock_goes_back_to_the_queue(conversation: Conversation) -> None:
    turn = queue(conversation)
    turns.claim(turn.pk, process_id=ME)

    sweep.run(may_free=False)
    assert status(turn) == "running"
    sweep.run(may_free=True)
    assert (status(turn), turn.lost, turn.claimed_by) == ("queued", 1, None)


@pytest.fixture
def alive() -> Iterator[int]:
    """A process that holds its lock, over a connection of its own."""
    with processes._connect() as other:
        assert processes._try_lock(other, ME)
        yield ME


def test_a_turn_of_a_living_process_is_left_alone(conversation: Conversation, alive: int) -> None:
    turn = queue(conversation)
    turns.claim(turn.pk, process_id=alive)

    sweep.run(may_free=True)

    assert status(turn) == "running"


def test_a_turn_that_was_lost_three_times_fails_readably(conversation: Conversation) -> None:
    turn = queue(conversation)
    for _ in range(3):
        assert turns.claim(turn.pk, process_id=ME) is not None
        sweep.run(may_free=True)

    assert (status(turn), turn.error_code, turn.lost) == ("failed", "unavailable", 3)


def test_a_stopping_process_returns_its_turn_at_no_cost(conversation: Conversation) -> None:
    turn = queue(conversation)
    held = turns.claim(turn.pk, process_id=ME)
    assert held is not None

    assert turns.give_back(held)
    assert (status(turn), turn.lost) == ("queued", 0)
    assert not turns.give_back(held)


def test_a_waiting_turn_is_rung_for_again_with_growing_pauses(conversation: Conversation) -> None:
    turn = queue(conversation)

    def due(seconds_ago: float) -> bool:
        Turn.objects.update(rung_at=TransactionNow() - dt.timedelta(seconds=seconds_ago))
        return [due.turn_id for due in turns.due_for_another_ring()] == [turn.pk]

    assert not due(1.5) and due(2.1)
    assert not due(3.5) and due(4.1)
    assert not due(7.5) and due(8.1)
    assert not due(15.5) and due(16.1)
    assert not due(15.5) and due(16.1)


def test_a_turn_in_a_long_queue_is_not_rung_for_again_before_its_bell_can_have_been_heard(
    conversation: Conversation,
) -> None:
    turn = queue(conversation)
    Turn.objects.update(rung_at=TransactionNow() - dt.timedelta(seconds=5))

    assert turns.due_for_another_ring(wait=6) == []
    assert [due.turn_id for due in turns.due_for_another_ring(wait=4)] == [turn.pk]


def test_only_claimable_turns_are_rung_for(conversation: Conversation) -> None:
    first, _second = queue(conversation), queue(conversation)
    Turn.objects.update(rung_at=timezone.now() - dt.timedelta(seconds=60))

    assert [due.turn_id for due in turns.due_for_another_ring()] == [first.pk]


def test_the_database_itself_allows_one_running_turn_a_conversation(conversation: Conversation) -> None:
    first, second = queue(conversation), queue(conversation)
    turns.claim(first.pk, process_id=ME)

    with pytest.raises(IntegrityError), transaction.atomic():
        Turn.objects.filter(pk=second.pk).update(status="running", claimed_by=ME, claimed_epoch=0)


def test_a_claim_of_before_a_reopening_never_holds_after_it(conversation: Conversation) -> None:
    turn = queue(conversation)
    stale = turns.claim(turn.pk, process_id=ME)
    turns.close_unanswered(turn.pk, code="model_timeout")
    conversation.seq += 1
    assert turns.reopen(turn.pk, conversation=conversation)
    held = turns.claim(turn.pk, process_id=ME)
    assert held is not None and stale is not None and held.attempt > stale.attempt

    turn.refresh_from_db()
    with pytest.raises(Overtaken), transaction.atomic():
        recording.settle(turn, answered(turn), held=stale)
    assert not turns.give_back(stale)
    recording.settle(turn, answered(turn), held=held)


def test_a_turn_that_was_claimed_without_anybody_learning_of_it_goes_back_to_the_queue(
    conversation: Conversation,
) -> None:
    turn = queue(conversation)
    turns.claim(turn.pk, process_id=ME)
    assert turns.requeue_orphans(ME, in_hand=[]) == [], "the claim is younger than its news may be"
    Turn.objects.update(claimed_at=TransactionNow() - dt.timedelta(seconds=6))

    assert turns.requeue_orphans(OTHER, in_hand=[]) == []
    assert turns.requeue_orphans(ME, in_hand=[turn.pk]) == []
    assert [freed.turn_id for freed in turns.requeue_orphans(ME, in_hand=[])] == [turn.pk]
    assert (status(turn), turn.lost) == ("queued", 0)


def test_leaving_with_nothing_in_hand_is_immediate(conversation: Conversation) -> None:
    assert leaving.leave(grace_seconds=0) == 0
    assert processes._process is None or processes._process.stopping.is_set()
    if processes._process is not None:
        processes._process.stopping.clear()


# --- Turns that are answered together --------------------------------------------------------------------------------


def queue_burst(conversation: Conversation, number: int, **fields: object) -> list[Turn]:
    """Turns of an agent that merges."""
    return [queue(conversation, covers_to=conversation.seq + 1, **fields) for _ in range(number)]


def merged_into(turn: Turn) -> object:
    turn.refresh_from_db()
    return turn.merged_into_id


def test_a_claim_takes_along_what_is_right_behind_it_and_later_attempts_take_the_same(
    conversation: Conversation,
) -> None:
    first, second, third = queue_burst(conversation, 3)
    held = turns.claim(first.pk, process_id=ME)

    assert held is not None and set(held.merged) == {second.pk, third.pk}
    (later,) = queue_burst(conversation, 1)
    assert all(turns.claim(turn.pk, process_id=OTHER) is None for turn in (second, third, later))
    assert turns.give_back(held)

    again = turns.claim(first.pk, process_id=OTHER)
    assert again is not None and set(again.merged) == set(held.merged) and again.attempt == 2
    first.refresh_from_db()
    recording.settle(first, answered(first), held=again)
    assert [merged_into(turn) for turn in (second, third, later)] == [first.pk, first.pk, None]
    assert [status(turn) for turn in (second, third, later)] == ["done", "done", "queued"]
    # One reply, behind all that it answers; and whoever was merged is no next turn.
    assert list(Message.objects.filter(part=1).values_list("turn", "seq")) == [(first.pk, third.seq)]
    assert turns.next_queued(conversation.pk) == (later.pk, "")


def test_what_stands_in_between_ends_the_run(conversation: Conversation) -> None:
    def taken(*between: dict[str, object]) -> int:
        Turn.objects.filter(status="queued").update(status="done", finished_at=timezone.now(), response={})
        first, *_ = [queue_burst(conversation, 1, **fields)[0] for fields in ({}, *between, {})]
        held = turns.claim(first.pk, process_id=ME)
        assert held is not None
        turns.close_unanswered(first.pk, code="unavailable", held=held)
        return len(held.merged)

    assert taken() == 1 and taken({}, {}) == 3
    ended = {"status": "done", "finished_at": timezone.now(), "response": {}}
    for other in (ended, {"verified": True}, {"mode": "voice"}, {"snapshot": {"user_id": "u1"}}):
        assert taken(other) == 0
    assert taken({"snapshot": {"company": "c"}}) == 0 and taken({"snapshot": {"page": "https://acme.example"}}) == 2
    assert taken(*[{}] * bursts.MOST) == bursts.MOST - 1


def test_what_is_merged_is_neither_rung_for_nor_closed_for_waiting(conversation: Conversation) -> None:
    long_ago = timezone.now() - dt.timedelta(seconds=40)
    first, second, third = queue_burst(conversation, 3, accepted_at=long_ago, rung_at=long_ago)
    assert waiting.look(conversation.org, second.pk).is_stuck
    held = turns.claim(first.pk, process_id=ME)
    assert held is not None

    assert turns.due_for_another_ring() == [] and turns.next_of_org(conversation.org_id) is None
    assert not waiting.look(conversation.org, second.pk).is_stuck
    assert turns.close_unanswered(second.pk, code="rate_limited", queued_only=True) is None
    # One that is past its own time is closed all the same, and takes nobody with it.
    assert turns.close_unanswered(third.pk, code="model_timeout") is not None
    first.refresh_from_db()
    recording.settle(first, answered(first), held=held)
    assert [status(turn) for turn in (second, third)] == ["done", "failed"]


def test_where_the_first_fails_the_others_are_claimed_by_themselves(conversation: Conversation) -> None:
    first, second, third = queue_burst(conversation, 3)
    held = turns.claim(first.pk, process_id=ME)
    assert held is not None and len(held.merged) == 2
    assert turns.close_unanswered(first.pk, code="unavailable", held=held) is not None
    assert [merged_into(turn) for turn in (second, third)] == [None, None]

    alone = turns.claim(second.pk, process_id=OTHER)
    # Whoever read along with the first one's attempt tells them apart by their numbers; none of them was lost.
    assert alone is not None and alone.merged == () and alone.attempt == 2
    second.refresh_from_db()
    assert second.lost == 0 and status(third) == "queued"


def test_a_reply_to_several_is_recorded_for_all_of_them_or_none(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = queue_burst(conversation, 2)
    held = turns.claim(first.pk, process_id=ME)
    assert held is not None
    first.refresh_from_db()

    def die(*_: object, **__: object) -> None:
        raise OSError

    with monkeypatch.context() as patched, pytest.raises(OSError):
        patched.setattr(bursts, "finish", die)
        recording.settle(first, answered(first), held=held)
    assert [status(turn) for turn in (first, second)] == ["running", "queued"]
    assert not Message.objects.filter(part=1).exists()
    recording.settle(first, answered(first), held=held)
    assert [status(turn) for turn in (first, second)] == ["done", "done"]


def test_an_answer_that_broke_off_is_no_answer_to_the_others(conversation: Conversation) -> None:
    first, second = queue_burst(conversation, 2)
    held = turns.claim(first.pk, process_id=ME)
    assert held is not None
    first.refresh_from_db()
    recording.settle(first, dataclasses.replace(answered(first), covers=False), held=held)

    assert (status(first), status(second), merged_into(second)) == ("done", "queued", None)
    assert list(Message.objects.filter(part=1).values_list("turn", "seq")) == [(first.pk, first.seq)]


def test_a_process_of_the_release_before_that_ends_the_first_strands_nobody(conversation: Conversation) -> None:
    first, second, third = queue_burst(conversation, 3)
    assert turns.claim(first.pk, process_id=ME) is not None
    Turn.objects.filter(pk=first.pk).update(status="failed", finished_at=timezone.now())

    held = turns.claim(second.pk, process_id=ME)
    assert held is not None and held.merged == (third.pk,) and merged_into(second) is None
