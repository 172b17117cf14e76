"""Counting what happened, hour by hour, so that pages add up a few numbers where they would read a million messages.

The numbers stay when messages are deleted. What was counted lately is counted anew each time: a failed message may be
tried again, and an answer may have been under way.
"""

from __future__ import annotations

import datetime as dt

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import Max
from django.utils import timezone

from conversations.analytics.days import count_days
from conversations.analytics.gaps import take_up
from conversations.analytics.numbers import OF_TURNS, TURNS
from conversations.models import DayArticle, DayConversations, HourNumbers, Turn
from orgs.models import Organization

log = structlog.get_logger(__name__)
AGAIN = dt.timedelta(hours=48)
# Of one statement; what was never counted is counted in steps.
STEP = dt.timedelta(days=7)

_COUNT = f"""
INSERT INTO conversations_hournumbers (org_id, hour, agent_version_id, {", ".join(OF_TURNS)})
SELECT t.org_id, date_trunc('hour', t.accepted_at, 'UTC'), t.agent_version_id, {", ".join(OF_TURNS.values())}
  FROM {TURNS.format(where="t.org_id = %(org)s AND t.accepted_at >= %(since)s AND t.accepted_at < %(until)s")}
 GROUP BY 1, 2, 3
    ON CONFLICT (org_id, hour, agent_version_id)
    DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in OF_TURNS)}
"""  # noqa: S608  words of ours


def run(*, now: dt.datetime | None = None) -> None:
    """Counts what is new in every organisation."""
    now = now or timezone.now()
    for org in Organization.objects.all():
        try:
            count_hours(org=org, now=now)
            count_days(org=org, now=now)
            take_up(org=org, now=now)
        except DatabaseError:
            # One organisation's trouble must not keep the others from being counted.
            log.exception("counting_failed", org=str(org.pk))


def count_hours(*, org: Organization, now: dt.datetime) -> None:
    """Counts the whole hours that are over, from two days before the newest one that was counted."""
    until = whole_hour(now)
    newest = HourNumbers.objects.for_org(org).aggregate(newest=Max("hour"))["newest"]
    since = newest - AGAIN if newest else _first_message(org)
    while since is not None and since < until:
        end = min(since + STEP, until)
        with transaction.atomic(), connection.cursor() as cursor:
            # Hours that have lost all their messages since.
            HourNumbers.objects.for_org(org).filter(hour__gte=since, hour__lt=end).delete()
            cursor.execute(_COUNT, {"org": org.pk, "since": since, "until": end})
        since = end


def count_afresh(*, org: Organization, since: dt.datetime, now: dt.datetime) -> None:
    """Counts again from `since` on, after talk of that time was brought in or taken away."""
    HourNumbers.objects.for_org(org).filter(hour__gte=whole_hour(since)).delete()
    for model in (DayConversations, DayArticle):
        model._default_manager.for_org(org).filter(day__gte=since.astimezone(dt.UTC).date()).delete()
    count_hours(org=org, now=now)
    count_days(org=org, now=now)


def whole_hour(moment: dt.datetime) -> dt.datetime:
    """The beginning of its hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def _first_message(org: Organization) -> dt.datetime | None:
    first = Turn.objects.for_org(org).order_by("accepted_at").values_list("accepted_at", flat=True).first()
    return whole_hour(first) if first else None
