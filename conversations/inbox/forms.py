"""What the inbox's forms send, checked and turned into rows of the organisation."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone

from conversations.inbox.ticketing import people_of
from conversations.models import Ticket
from orgs.models import Organization, Team, User

# What one chooses instead of a moment.
SNOOZES = {"hour": "For an hour", "evening": "For four hours", "tomorrow": "Until tomorrow", "week": "For a week"}


class TicketForm(forms.Form):
    """One or several columns of a ticket; what was not sent stays as it is."""

    status = forms.ChoiceField(choices=Ticket.Status.choices, required=False)
    priority = forms.ChoiceField(choices=Ticket.Priority.choices, required=False)
    team = forms.ModelChoiceField(queryset=Team.objects.none(), required=False)
    assignee = forms.ModelChoiceField(queryset=User.objects.none(), required=False)
    due_at = forms.DateTimeField(required=False, input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%z"])
    snooze = forms.ChoiceField(choices=list(SNOOZES.items()), required=False)

    def __init__(self, *args: Any, org: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # SECURITY: neither offered nor accepted unless they are the same organisation's.
        self.fields["team"].queryset = Team.objects.for_org(org).order_by("name")  # type: ignore[attr-defined]
        self.fields["assignee"].queryset = people_of(org)  # type: ignore[attr-defined]

    def changes(self, *, zone: str, now: dt.datetime | None = None) -> dict[str, Any]:
        """The columns that were sent, as ticketing.change_ticket takes them; mornings are those of `zone`."""
        now = now or timezone.now()
        data = self.cleaned_data
        found = {name: data[name] for name in ("team", "assignee", "due_at") if name in self.data}
        found |= {name: data[name] for name in ("status", "priority") if data.get(name)}
        if snooze := data.get("snooze"):
            found |= {"status": Ticket.Status.SNOOZED, "snoozed_until": _until(snooze, now.astimezone(ZoneInfo(zone)))}
        return found


def _until(snooze: str, now: dt.datetime) -> dt.datetime:
    if snooze == "tomorrow":
        return (now + dt.timedelta(days=1)).replace(hour=8, minute=0, second=0, microsecond=0)
    return now + {"hour": dt.timedelta(hours=1), "evening": dt.timedelta(hours=4)}.get(snooze, dt.timedelta(days=7))
