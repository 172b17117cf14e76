"""What people do: tickets by team and by teammate, and conversations that were taken over."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Count

from conversations.analytics.period import Asked
from orgs.models import AuditEntry, Organization, Team, User

_TICKETS = """
SELECT {key}, count(*), count(*) FILTER (WHERE t.status IN ('open', 'in_progress', 'snoozed')),
       count(*) FILTER (WHERE t.status = 'resolved'), count(*) FILTER (WHERE t.status = 'spam'),
       extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY t.updated_at - t.created_at)
                          FILTER (WHERE t.status = 'resolved'))::float8,
       min(t.created_at) FILTER (WHERE t.status IN ('open', 'in_progress', 'snoozed'))
  FROM conversations_ticket AS t
 WHERE t.org_id = %(org)s AND t.created_at >= %(since)s AND t.created_at < %(until)s
 GROUP BY 1 ORDER BY 2 DESC
"""


@dataclass(frozen=True, slots=True)
class Load:
    """Tickets of a team or a teammate that were opened in the period."""

    name: str
    opened: int
    waiting: int
    resolved: int
    spam: int
    # Half of the resolved ones took no longer, as far as their last change tells.
    typical: dt.timedelta | None
    oldest: dt.datetime | None
    taken_over: int = 0


def by_team(asked: Asked) -> list[Load]:
    """Each team, and what belongs to none."""
    names = dict(Team.objects.for_org(asked.org).values_list("pk", "name"))
    return [_load(names.get(key, "No team"), rest) for key, *rest in _read("t.team_id", asked)]


def by_teammate(asked: Asked) -> list[Load]:
    """Each teammate with tickets of theirs, or who took a conversation over, and what is nobody's."""
    found = {key: rest for key, *rest in _read("t.assignee_id", asked)}
    taken = _taken_over(asked.org, asked.since, asked.until)
    people = {person.pk: str(person) for person in User.objects.filter(pk__in=[key for key in {*found, *taken} if key])}
    rows = []
    for key in [*found, *(key for key in taken if key not in found)]:
        name = people.get(key, "Somebody who is gone") if key else "Nobody yet"
        rows.append(_load(name, found.get(key, [0, 0, 0, 0, None, None]), taken.get(key, 0)))
    return rows


def _read(key: str, asked: Asked) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_TICKETS.format(key=key), {"org": asked.org.pk, "since": asked.since, "until": asked.until})
        return list(cursor.fetchall())


def _load(name: str, rest: list[Any], taken_over: int = 0) -> Load:
    opened, waiting, resolved, spam, typical, oldest = rest
    took = dt.timedelta(seconds=typical) if isinstance(typical, float) else None
    return Load(name, int(opened), int(waiting), int(resolved), int(spam), took, oldest, taken_over)


def _taken_over(org: Organization, since: dt.datetime, until: dt.datetime) -> dict[Any, int]:
    """By the audit, whose index on actions this goes by."""
    entries = AuditEntry.objects.for_org(org).filter(
        action="conversation.take_over", created_at__gte=since, created_at__lt=until
    )
    return dict(entries.values("actor").annotate(count=Count("pk")).values_list("actor", "count"))
