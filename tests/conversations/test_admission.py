"""How many turns may be in flight, what is refused beyond that, and that no organisation holds up another."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from conversations import admission, bell, in_hand, sweep, turns
from conversations.models import Conversation, IdempotencyKey, Message, Turn
from halo import wire
from halo.errors import RateLimited, Unavailable
from orgs.models import Organization
from sessions.models import ChatSession
from tests.cast import Cast, House
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel, Received, Reply


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    def forget() -> None:
        admission.doorman.calm_down()
        admission.accepting.set_number(admission.ACCEPTING)
        in_hand.set_room(0)
        wire.mark_back()
        with wire.calling() as client:
            for key in [*client.keys("halo:turns:*"), *client.keys("halo:limit:*")]:
                client.delete(key)

    forget()
    yield
    forget()


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody rings, so what is accepted stays in the queue."""
    monkeypatch.setattr(bell, "_send", lambda name, *args: False)


def places() -> int:
    with wire.calling() as client:
        return int(client.zcard("halo:turns:all"))


def say_in_background(pool: ThreadPoolExecutor, visitor: Visitor, **kwargs: Any) -> Any:
    def say() -> Any:
        try:
            return Visitor(visitor.key).say(**kwargs)
        finally:
            connections.close_all()

    return pool.submit(say)


def until(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at
        connection.close()
        time.sleep(0.02)


def test_above_its_bound_an_organisation_gets_a_429_nothing_is_stored_and_others_get_in(
    visitor: Visitor, stranger: Visitor, acme: Organization, model: FakeModel
) -> None:
    Organization.objects.filter(pk=acme.pk).update(turn_limit=2)
    model.reply("slow", delay=1.5, times=2)
    with ThreadPoolExecutor(2) as pool:
        slow = [say_in_background(pool, visitor) for _ in range(2)]
        until(lambda: len(model.requests) == 2)

        refused = visitor.say(headers={"Idempotency-Key": "k" * 16})

        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert int(refused["Retry-After"]) >= 1
        assert Message.objects.count() == 2 and IdempotencyKey.objects.count() == 0
        assert stranger.say().status_code == 200
        assert [one.result().status_code for one in slow] == [200, 200]
    assert visitor.say(headers={"Idempotency-Key": "k" * 16}).status_code == 200, "places are left"
    assert places() == 0


def test_above_the_bound_of_all_everybody_gets_a_503_but_replays_and_joins_are_free(
    visitor: Visitor, stranger: Visitor, model: FakeModel, settings: Any
) -> None:
    key = {"Idempotency-Key": "k" * 16}
    done = {"Idempotency-Key": "d" * 16}
    first = visitor.told("Before", headers=done)
    settings.HALO_TURNS = 1
    model.reply("slow", delay=1.5)
    with ThreadPoolExecutor(2) as pool:
        slow = [say_in_background(pool, visitor, message="Now", headers=key)]
        until(lambda: len(model.requests) == 2)

        refused = stranger.say()
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused["Retry-After"]) >= 1
        assert visitor.told("Before", headers=done) == first
        slow.append(say_in_background(pool, visitor, message="Now", headers=key))
        assert slow[0].result().content == slow[1].result().content
    until(lambda: admission.doorman.knock() is None)
    assert stranger.say().status_code == 200


def test_a_request_that_is_refused_for_load_costs_nothing_of_its_limits(
    visitor: Visitor, acme: Organization, unheard: None, settings: Any, model: FakeModel
) -> None:
    settings.HALO_RATE_LIMITS = "visitor=2,key=2"
    Organization.objects.filter(pk=acme.pk).update(turn_limit=1)
    acme.refresh_from_db()
    other = uuid.uuid4()
    admission.enter(other, org=acme)
    assert [visitor.say().status_code for _ in range(4)] == [429] * 4

    admission.leave(other, org_id=acme.pk)
    with wire.calling() as client:
        counted = [int(client.hget(key, "current") or 0) for key in client.keys("halo:limit:*")]
    assert not any(counted)


def test_who_floods_uses_up_his_own_limit_and_not_the_keys(visitor: Visitor, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "visitor=3,key=6"
    flood = [visitor.say(user_id="flooder").status_code for _ in range(12)]
    others = [visitor.say(user_id=f"guest {n}").status_code for n in range(3)]

    assert flood == [200] * 3 + [429] * 9
    assert others == [200] * 3
    assert visitor.say(user_id="late").status_code == 429, "the key's own limit holds all the same"


def test_places_are_exact_however_many_come_at_once(acme: Organization, settings: Any) -> None:
    settings.HALO_TURNS = 7

    def passes(_: int) -> bool:
        try:
            admission.enter(uuid.uuid4(), org=acme)
        except Unavailable:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(passes, range(40))) == 7


def test_a_turn_that_goes_to_a_teammate_or_a_team_at_once_leaves_its_place(
    visitor: Visitor, cast: Cast, acme: Organization
) -> None:
    session = visitor.told()["session_id"]
    Conversation.objects.update(taken_over_by=cast.sue, taken_over_at=timezone.now())

    assert visitor.told(session_id=session)["routing"] == {"action": "human"}
    assert places() == 0


def test_the_sweep_sets_places_right_by_the_rows(visitor: Visitor, acme: Organization, unheard: None) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = say_in_background(pool, visitor)
        until(lambda: Turn.objects.filter(status="queued").exists())
        with wire.calling() as client:
            client.flushdb()
            # A place of before whose turn has ended while Redis was away.
            now, _ = client.time()
            gone = uuid.uuid4()
            client.zadd("halo:turns:all", {f"{gone}:{acme.pk}": (now + 40) * 1000})
            client.zadd(f"halo:turns:org:{acme.pk}", {str(gone): (now + 40) * 1000})

        assert admission.set_right() == 2

        assert places() == 1
        with wire.calling() as client:
            assert client.zrange(f"halo:turns:org:{acme.pk}", 0, -1) == [str(Turn.objects.get().pk)]
        turns.close_unanswered(Turn.objects.get().pk, code="unavailable")
        with wire.calling() as client:
            client.xadd(f"halo:tape:{Turn.objects.get().pk}", {"attempt": 0, "kind": "done", "data": "{}"})
        assert waiting.result().status_code == 503


def test_while_redis_is_away_the_rows_are_counted(visitor: Visitor, acme: Organization, unheard: None) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = say_in_background(pool, visitor)
        until(lambda: Turn.objects.filter(status="queued").exists())
        wire.mark_away()
        acme.turn_limit = 1
        with pytest.raises(RateLimited):
            admission.enter(uuid.uuid4(), org=acme)
        acme.turn_limit = 2
        admission.enter(uuid.uuid4(), org=acme)
        wire.mark_back()
        sweep.run(may_free=False)
        turns.close_unanswered(Turn.objects.get().pk, code="unavailable")
        with wire.calling() as client:
            client.xadd(f"halo:tape:{Turn.objects.get().pk}", {"attempt": 0, "kind": "done", "data": "{}"})
        assert waiting.result().status_code == 503


def test_counting_the_rows_reads_no_more_than_the_bound_and_uses_the_partial_indexes(cast: Cast) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + admission._COUNT, {"org": cast.acme.org.pk, "own": 10, "all": 20})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan" not in plan and "turn_in_flight" in plan and plan.count("Limit") == 2


def wait_in(org: Organization, number: int) -> None:
    for _ in range(number):
        admission.enter(uuid.uuid4(), org=org)


def heard_lately(number: int, *, calm_ago_ms: int) -> None:
    """As if workers had come for `number` turns a second, and the queue had been short so long ago."""
    with wire.calling() as client:
        now, micros = client.time()
        for second in range(now - 6, now + 3):
            client.set(f"halo:turns:heard:{second}", number, ex=10)
        client.set("halo:turns:calm", now * 1000 + micros // 1000 - calm_ago_ms)


def test_a_burst_may_wait_but_a_queue_that_stays_long_may_hold_two_seconds_of_work(acme: Organization) -> None:
    wait_in(acme, 30)
    heard_lately(10, calm_ago_ms=2000)
    admission.enter(uuid.uuid4(), org=acme)
    heard_lately(10, calm_ago_ms=6000)
    admission.enter(uuid.uuid4(), org=acme)

    heard_lately(10, calm_ago_ms=20_000)
    with pytest.raises(Unavailable) as refused:
        admission.enter(uuid.uuid4(), org=acme)
    assert refused.value.retry_after == 4, "32 wait, and ten a second are come for"

    heard_lately(20, calm_ago_ms=20_000)
    admission.enter(uuid.uuid4(), org=acme)


def test_while_workers_have_enough_to_do_fewer_requests_are_accepted_at_once(acme: Organization) -> None:
    many, few = admission.ACCEPTING, admission.ACCEPTING_BESIDE_A_QUEUE
    wait_in(acme, 17)
    assert admission.accepting.number == many > few, "a short queue"
    admission.enter(uuid.uuid4(), org=acme)
    assert admission.accepting.number == few

    heard_lately(40, calm_ago_ms=0)
    admission.enter(uuid.uuid4(), org=acme)
    assert admission.accepting.number == many, "nineteen are come for within half a second"

    heard_lately(10, calm_ago_ms=0)
    admission.enter(uuid.uuid4(), org=acme)
    assert admission.accepting.number == few
    wire.mark_away()
    admission.enter(uuid.uuid4(), org=acme)
    assert admission.accepting.number == many, "nobody knows"


def test_bells_that_will_be_heard_are_not_rung_again_and_where_none_is_heard_they_may_be_lost(
    acme: Organization,
) -> None:
    wait_in(acme, 30)
    assert admission.seconds_to_be_heard() == 0
    heard_lately(10, calm_ago_ms=0)
    assert admission.seconds_to_be_heard() == 3
    wire.mark_away()
    assert admission.seconds_to_be_heard() == 0


# --- Organisations beside each other in one worker -------------------------------------------------------------------


@pytest.fixture
def slow_for_acme(model: FakeModel) -> Callable[[float], None]:
    def be_slow(seconds: float) -> None:
        def step(request: Received) -> Reply:
            said = str(request.messages[-1]["content"])
            return Reply(text="At last.", delay=seconds) if said.startswith("slow") else Reply()

        model.script(*[step] * 60)

    return be_slow


def test_an_organisation_whose_model_hangs_slows_no_other(
    visitor: Visitor, stranger: Visitor, slow_for_acme: Callable[[float], None]
) -> None:
    in_hand.set_room(10)
    slow_for_acme(4.0)
    with ThreadPoolExecutor(20) as pool:
        hanging = [say_in_background(pool, visitor, message=f"slow {n}") for n in range(20)]
        until(lambda: len(in_hand.claims()) >= 8)

        began = time.monotonic()
        assert stranger.told("quick")["text"] == "You said: quick"
        assert time.monotonic() - began < 8
        # Claims that were on their way together may pass at once.
        assert Turn.objects.filter(status="running").count() <= 8 + in_hand.BEGINNING
        assert Turn.objects.filter(status="queued").count() >= 8
        assert [one.result().status_code for one in hanging] == [200] * 20


def test_turns_that_were_held_back_are_taken_as_others_of_their_organisation_end_in_the_order_they_came(
    visitor: Visitor, slow_for_acme: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sweep's rings would do it too, only later.
    monkeypatch.setattr(turns, "due_for_another_ring", list)
    in_hand.set_room(10)
    slow_for_acme(0.8)
    with ThreadPoolExecutor(20) as pool:
        waiting = [say_in_background(pool, visitor, message=f"slow {n}") for n in range(20)]
        assert [one.result().status_code for one in waiting] == [200] * 20
    claimed = list(Turn.objects.order_by("claimed_at").values_list("accepted_at", flat=True))
    # Accepting is not quite in one order with ringing: one may be overtaken at the edge.
    assert len(set(claimed[-6:]) & set(sorted(claimed)[-6:])) >= 5


def test_shares_leave_room_for_whoever_comes_next() -> None:
    def claim(org: uuid.UUID) -> turns.Claim:
        return turns.Claim(uuid.uuid4(), uuid.uuid4(), org, 1, 1, 0, 50.0, waited=0.0, request_id="")

    held: list[turns.Claim] = []

    def fill(org: uuid.UUID) -> int:
        number = 0
        while org not in in_hand.full_orgs():
            held.append(claim(org))
            in_hand.took(held[-1])
            number += 1
        return number

    in_hand.set_room(640)
    assert not in_hand.claims()
    try:
        taken = [fill(uuid.uuid4()) for _ in range(4)]
        assert taken == [512, 103, 20, 4]
    finally:
        for one in held:
            in_hand.put_down(one)


@pytest.mark.django_db
def test_of_an_organisation_with_many_turns_in_flight_few_are_rung_for_again(cast: Cast) -> None:
    def queue(house: House, status: str) -> Turn:
        session = ChatSession.objects.create(org=house.org)
        conversation = Conversation.objects.create(org=house.org, session=session, agent=house.agent, seq=1)
        now = timezone.now()
        running = {"claimed_by": 1, "claimed_epoch": 0, "claimed_at": now} if status == "running" else {}
        return Turn(
            org=house.org,
            conversation=conversation,
            seq=1,
            agent_version_id=house.agent.current_version_id,
            status=status,
            accepted_at=now,
            answer_by=now + dt.timedelta(seconds=50),
            rung_at=now - dt.timedelta(seconds=20),
            rings=3,
            **running,
        )

    house = replace(cast.acme, agent=type(cast.acme.agent).objects.get(pk=cast.acme.agent.pk))
    Turn.objects.bulk_create(
        [queue(house, "running") for _ in range(185)] + [queue(house, "queued") for _ in range(30)]
    )
    lost = queue(cast.globex, "queued")
    lost.save(force_insert=True)

    due = [turn.turn_id for turn in turns.due_for_another_ring()]

    assert lost.pk in due and len(due) == 21
    Turn.objects.filter(status="running").update(status="failed", finished_at=timezone.now())
    assert len(turns.due_for_another_ring()) == 10, "the others were rung for a moment ago"
