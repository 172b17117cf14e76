"""The numbers after talk of another time has come or gone: they are counted ahead, and mostly forwards."""

from __future__ import annotations

import datetime as dt

from django.db.models import Min
from django.utils import timezone

from conversations.analytics.counting import count_afresh
from conversations.models import Conversation, Turn
from orgs.models import Organization


def earliest(org: Organization, origin: Conversation.Origin) -> dt.datetime | None:
    """The moment of the first message of this origin; None where there is none."""
    theirs = Turn.objects.for_org(org).filter(conversation__origin=origin)
    found: dt.datetime | None = theirs.aggregate(first=Min("accepted_at"))["first"]
    return found


def count_from(moment: dt.datetime | None, *, org: Organization) -> None:
    """Counts everything since `moment` again; None: there is nothing to count."""
    if moment is not None:
        count_afresh(org=org, since=moment, now=timezone.now())
