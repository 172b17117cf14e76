"""What is counted of messages, hour by hour: it adds up, it stays, and it is told against the usual day."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.utils import timezone

from conversations import housekeeping
from conversations.analytics import counting, numbers
from conversations.analytics.counting import whole_hour
from conversations.analytics.today import today
from conversations.models import Conversation, HourNumbers, Turn
from sessions.models import ChatSession
from tests.cast import Cast, House

NOW = whole_hour(timezone.now()) + dt.timedelta(minutes=30)
HOUR = dt.timedelta(hours=1)


def turns(house: House, at: dt.datetime, count: int = 1, *, took: float = 2.0, **columns: Any) -> Conversation:
    """`count` messages of one conversation that were accepted at that time, answered unless `columns` say otherwise."""
    org = house.org
    session = ChatSession.objects.create(org=org, started_at=at)
    conversation = Conversation.objects.create(
        org=org, session=session, agent=house.agent, created_at=at, last_message_at=at
    )
    defaults = {
        "status": "done",
        "outcome": "answered",
        "answer_type": "answerable",
        "response": {},
        "finished_at": at + dt.timedelta(seconds=took),
    }
    Turn.objects.bulk_create(
        Turn(
            org=org, conversation=conversation, seq=n + 1, agent_version=house.agent.current_version, accepted_at=at,
            answer_by=at, **(defaults | columns),
        )
        for n in range(count)
    )  # fmt: skip
    return conversation


def counted(house: House) -> numbers.Numbers:
    hours = numbers.counted(house.org, by=numbers.BY_HOUR, since=NOW - HOUR * 1000, until=NOW)
    return numbers.total(hours.values())


def test_each_message_that_has_ended_counts_as_one_thing(cast: Cast) -> None:
    at = NOW - HOUR * 3
    turns(cast.acme, at, 5)
    turns(cast.acme, at, 2, answer_type="not_in_knowledge")
    turns(cast.acme, at, 1, withheld=True)
    turns(cast.acme, at, 1, answer_type="not_in_knowledge", escalated=True)  # people were called: handed over
    turns(cast.acme, at, 1, outcome="routed")
    turns(cast.acme, at, 1, outcome="apology", error_code="model_timeout")
    turns(cast.acme, at, 2, outcome="human")
    turns(cast.acme, at, 1, status="failed", outcome="", error_code="unavailable")
    turns(cast.acme, at, 1, status="queued", outcome="", finished_at=None)
    turns(cast.globex, at, 7)
    live = numbers.live([cast.acme.org.pk], since=at - HOUR, until=NOW)[cast.acme.org.pk]
    assert (live.messages, live.answered, live.unknown, live.handed_over, live.by_people, live.failed, live.errors) == (
        15, 5, 3, 3, 2, 1, 2,
    )  # fmt: skip
    assert live.ended == 14 and live.unanswered == 4
    counting.run(now=NOW)
    assert counted(cast.acme) == live and counted(cast.globex).messages == 7


def test_answer_times_of_hours_add_up_to_a_percentile(cast: Cast) -> None:
    turns(cast.acme, NOW - HOUR * 2, 95, took=1.2)
    turns(cast.acme, NOW - HOUR * 4, 5, took=22.0)
    counting.run(now=NOW)
    both = counted(cast.acme)
    assert both.timed == 100
    middle, most, worst = both.took(0.5), both.took(0.95), both.took(0.99)
    assert middle and 1.0 < middle < 1.5 and most and most <= 1.5 and worst and 20.0 < worst <= 25.0
    assert numbers.Numbers().took(0.95) is None


def test_counting_again_changes_nothing_and_takes_up_what_came_late(cast: Cast) -> None:
    at = NOW - HOUR * 5
    turns(cast.acme, at, 3, cost=Decimal("0.5"), prompt_tokens=10)
    counting.run(now=NOW)
    counting.run(now=NOW)
    assert counted(cast.acme).messages == 3 and counted(cast.acme).cost == Decimal("1.5")
    turns(cast.acme, at + HOUR, 2, prompt_tokens=5)
    Turn.objects.filter(accepted_at=at, seq=3).update(status="failed", outcome="", accepted_at=NOW - HOUR)
    counting.run(now=NOW)
    assert counted(cast.acme).messages == 5 and counted(cast.acme).failed == 1 and counted(cast.acme).unpriced == 2


def test_the_hour_that_is_not_over_is_not_counted_yet(cast: Cast) -> None:
    turns(cast.acme, NOW - dt.timedelta(minutes=10))
    counting.run(now=NOW)
    assert not HourNumbers.objects.exists()
    counting.run(now=NOW + HOUR)
    assert HourNumbers.objects.get().messages == 1


def test_numbers_stay_when_the_messages_are_past_their_retention(cast: Cast) -> None:
    old = NOW - dt.timedelta(days=800)
    turns(cast.acme, old, 4)
    turns(cast.acme, NOW - HOUR * 3, 1)
    counting.run(now=NOW)
    housekeeping.run(now=NOW)
    counting.run(now=NOW)
    assert Turn.objects.for_org(cast.acme.org).count() == 1
    assert HourNumbers.objects.for_org(cast.acme.org).get(hour=whole_hour(old)).messages == 4


def test_today_is_told_against_the_same_weekday_before(cast: Cast) -> None:
    for days in (0, 1, 7, 14, 21, 28):
        turns(cast.acme, NOW - dt.timedelta(days=days, hours=5), 100 if days % 7 == 0 else 10, took=1.0)
    turns(cast.acme, NOW - dt.timedelta(days=29, hours=5), 1)
    counting.run(now=NOW)
    calm = today(cast.acme.org, now=NOW, several=False)
    assert calm.knows_usual and not calm.worth_a_look
    assert {tile.name: tile.value for tile in calm.tiles}["Messages"] == "100" and calm.tiles[0].usual == "usually 100"
    turns(cast.acme, NOW - HOUR, 40, status="failed", outcome="", error_code="model_timeout")
    turns(cast.acme, NOW - HOUR, 30, took=30.0)
    bad = {tile.name for tile in today(cast.acme.org, now=NOW, several=False).worth_a_look}
    assert bad == {"Answered by the agent", "Unanswered", "Errors", "Answer time, p95"}


def test_a_day_of_silence_is_worth_a_look_and_a_first_day_has_nothing_to_be_held_against(cast: Cast) -> None:
    assert not today(cast.acme.org, now=NOW, several=False).knows_usual
    for days in range(1, 8):
        turns(cast.acme, NOW - dt.timedelta(days=days, hours=2), 60)
    counting.run(now=NOW)
    quiet = today(cast.acme.org, now=NOW, several=False)
    assert [tile.name for tile in quiet.worth_a_look] == ["Messages"]
