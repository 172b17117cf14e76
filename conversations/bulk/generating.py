"""Conversations made up for volume: in the shape of real ones, over months, and marked, so that they can be removed."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator

from django.db import connection
from django.utils import timezone

from conversations.bulk import phrases
from conversations.bulk.house import House, Person, find_house
from conversations.bulk.recounting import count_from, earliest
from conversations.bulk.removing import MADE_UP
from conversations.bulk.talking import Talk
from conversations.bulk.writing import Rows
from conversations.models import Conversation, Message
from halo.errors import InvalidRequest
from halo.ids import uuid7_at
from orgs import audit
from orgs.models import Organization
from sessions.models import Company, EndUser

MOST = 20_000_000
BATCH = 400
MONTH = dt.timedelta(days=30)
# How busy the hours are (UTC), and what a Saturday or Sunday has of a weekday.
_BUSY = (2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 18, 16, 17, 18, 17, 15, 12, 9, 7, 6, 5, 4, 3)
HOURS = tuple(hour for hour, busy in enumerate(_BUSY) for _ in range(busy))
WEEKEND = 0.35

Progress = Callable[[int, int], None]


def generate(
    *,
    org: Organization,
    messages: int,
    months: int = 6,
    seed: int = 1,
    now: dt.datetime | None = None,
    progress: Progress = lambda done, total: None,
) -> int:
    """Stores at least so many messages, over so many months before `now`; how many conversations those are.

    The same seed makes the same words. What was stored before it was broken off stays, and `remove` takes it away.
    """
    if not 0 < messages <= MOST:
        raise InvalidRequest(f"The number of messages is 1 to {MOST:,}.", field="messages")
    if not 0 < months <= 60:
        raise InvalidRequest("The number of months is 1 to 60.", field="months")
    now = now or timezone.now()
    chance = random.Random(seed)  # noqa: S311
    house = find_house(org)
    rows = Rows()
    _people(house, rows, chance, conversations=messages // 7 + 1, began=now - MONTH * months, now=now)
    rows.store()
    stored = made = 0
    while (written := stored + len(rows.of(Message))) < messages:
        share = written / messages
        moment = _moment(share, chance, began=now - MONTH * months, now=now)
        Talk(rows, house, chance, began=moment, now=now).make(share=share)
        made += 1
        if len(rows.of(Conversation)) == BATCH:
            stored += len(rows.of(Message))
            rows.store()
            progress(min(stored, messages), messages)
    rows.store()
    progress(messages, messages)
    _analyse()
    count_from(earliest(org, Conversation.Origin.GENERATED), org=org)
    audit.record(
        org=org, actor=None, action="conversations.generated", after={"conversations": made, "messages": written}
    )
    return made


def _people(
    house: House, rows: Rows, chance: random.Random, *, conversations: int, began: dt.datetime, now: dt.datetime
) -> None:
    """Firms and end users in numbers that fit so many conversations; known ones from before are left alone."""
    org = house.org
    run = f"{MADE_UP}{int(now.timestamp()):x}{chance.getrandbits(16):04x}"
    for number in range(max(3, min(conversations // 120, 5000))):
        name = f"{chance.choice(phrases.FIRM_NAMES)} {chance.choice(phrases.FIRM_KINDS)}"
        plan = chance.choice(phrases.PLANS)
        key = uuid7_at(began, chance)
        house.companies.append((key, plan))
        rows.add(
            Company,
            id=key,
            org_id=org.pk,
            external_id=f"{run}-c{number}",
            name=name if number < 100 else f"{name} {number}",
            domain=f"{name.split()[0].lower()}{number}.example",
            industry=chance.choice(phrases.INDUSTRIES),
            plan=plan,
            employee_count=int(chance.lognormvariate(4, 1.4)) + 1,
            created_at=began,
            updated_at=began,
        )
    for number in range(max(8, int(conversations / 2.2))):
        company, plan = (
            chance.choice(house.companies) if chance.random() < 0.6 else (None, chance.choice(phrases.PLANS))
        )
        name = f"{chance.choice(phrases.FIRST_NAMES)} {chance.choice(phrases.LAST_NAMES)}"
        key = uuid7_at(began, chance)
        external_id = f"{run}-u{number}"
        tongue = chance.choice(phrases.SPOKEN)
        house.people.append(Person(key, name, external_id, company, plan, tongue))
        rows.add(
            EndUser,
            id=key,
            org_id=org.pk,
            external_id=external_id,
            name=name,
            email=f"{external_id}@visitors.example",
            company_id=company,
            first_seen=began,
            last_seen=began,
            updated_at=began,
        )


def _moment(share: float, chance: random.Random, *, began: dt.datetime, now: dt.datetime) -> dt.datetime:
    """When a conversation begins that stands at `share` of all: towards the end there are twice as many a day."""
    days = (now - began) * ((1 + 3 * share) ** 0.5 - 1)
    moment = began + days
    if moment.weekday() >= 5 and chance.random() > WEEKEND:
        moment -= dt.timedelta(days=moment.weekday() - 4)
    hour = chance.choice(HOURS)
    moment = moment.replace(
        hour=hour, minute=chance.randrange(60), second=chance.randrange(60), microsecond=chance.randrange(1_000_000)
    )
    # What would lie ahead was said a day earlier.
    return moment if moment < now - dt.timedelta(minutes=2) else moment - dt.timedelta(days=1)


def _analyse() -> None:
    """Tells the planner what has come; where autovacuum would, some time later."""
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"ANALYZE {table}")


def _tables() -> Iterator[str]:
    for model in (Conversation, Message, EndUser, Company):
        yield model._meta.db_table
    yield "chat_sessions_chatsession"
    yield "conversations_turn"
    yield "conversations_ticket"
