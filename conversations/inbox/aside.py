"""What stands beside a conversation or a ticket: who the visitor is, their tickets, and what was before."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.prompts.values import humanised
from conversations.models import Conversation, Ticket, Turn
from sessions import profile
from sessions.models import Company, EndUser

MOST_TRAITS, MOST_EARLIER, MOST_TICKETS = 12, 5, 10


@dataclass(frozen=True, slots=True)
class Aside:
    """About one conversation or ticket."""

    person: EndUser | None
    company: Company | None
    verified: bool
    # Where the visitor's browser said it was: shown as text, as anybody can say anything there.
    page: str
    traits: list[tuple[str, str]]
    company_traits: list[tuple[str, str]]
    tickets: list[Ticket]
    earlier: list[Conversation]

    @property
    def has_open_ticket(self) -> bool:
        """Whether something is still to be done."""
        return any(ticket.status in Ticket.UNSETTLED for ticket in self.tickets)


def read(conversation: Conversation) -> Aside:
    """Of a conversation, whose session has been read with person and company."""
    org = conversation.org_id
    session = conversation.session
    turns = Turn.objects.for_org(org).filter(conversation=conversation)
    snapshot = turns.order_by("-seq").values_list("snapshot", flat=True).first() or {}
    known = profile.merge(
        end_user=session.end_user,
        company=session.company,
        custom_fields=snapshot.get("custom_fields", {}),
        claims=snapshot.get("claims", {}),
        context={},
    )
    return Aside(
        person=session.end_user,
        company=session.company,
        verified=conversation.verified,
        page=str(snapshot.get("page", ""))[:500],
        traits=_shown(known.traits),
        company_traits=_shown(known.company_traits),
        tickets=list(
            Ticket.objects.for_org(org)
            .filter(conversation=conversation)
            .select_related("team", "assignee")
            .order_by("-number")[:MOST_TICKETS]
        ),
        earlier=_earlier(org, session.end_user, but=conversation.pk),
    )


def read_ticket(ticket: Ticket) -> Aside:
    """Of a ticket that has no conversation."""
    person = ticket.requester
    return Aside(
        person=person,
        company=person.company if person is not None else None,
        verified=False,
        page="",
        traits=_shown(person.custom_fields if person is not None else {}),
        company_traits=[],
        tickets=[ticket],
        earlier=_earlier(ticket.org_id, person, but=None),
    )


def _earlier(org: uuid.UUID, person: EndUser | None, *, but: uuid.UUID | None) -> list[Conversation]:
    if person is None:
        return []
    rows = Conversation.objects.for_org(org).filter(session__end_user=person)
    if but is not None:
        rows = rows.exclude(pk=but)
    return list(rows.order_by("-last_message_at")[:MOST_EARLIER])


def _shown(traits: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The first of them, with words for keys; what has its own place on the page is left out."""
    told = [
        (humanised(str(key)), str(value)[:200])
        for key, value in traits.items()
        if value not in (None, "", [], {}) and key not in ("name", "email")
    ]
    return told[:MOST_TRAITS]
