"""A visitor asks for a person with a button: no model is asked whether that is so."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import transaction

from agents import catalog, escalation
from agents.catalog import AgentCard
from agents.deciding import with_away
from agents.escalation import Handover
from agents.teams import find_team
from conversations import bell, tickets, waiting
from conversations.arrivals import Arrival, facts_about
from conversations.at_once import leave_to_teammate, settle_at_once
from conversations.idempotency import hashed
from conversations.models import Conversation, Message, Ticket, Turn
from conversations.recording import Reply
from conversations.requests import ChatRequest
from conversations.storing import store
from halo.db import release_connection
from halo.errors import HaloError, NotFound
from halo.ids import uuid7
from orgs import throttling
from orgs.models import Organization
from sessions import visitors
from sessions.identity import identify_bearer
from sessions.models import ChatSession
from sessions.visitors import Visit, find_owned

# What the visitor says by pressing a button that bears no words of the agent's.
ASKING = "Talk to a person"
# So far back a handover is looked for that still holds; behind so many others it is asked for anew.
LOOK_BACK = 20


class NotOffered(HaloError):
    """409: the agent hands over nobody like this visitor."""

    status = 409

    def __init__(self) -> None:
        super().__init__("not_offered", "A person cannot be called in for this visitor.")


def ask_for_person(
    *,
    org: Organization,
    key_id: int,
    session_id: str,
    user_token: str,
    address: str,
    page: str,
    request_id: str,
    now: dt.datetime,
) -> dict[str, Any]:
    """Opens the conversation's ticket, or takes the open one, and returns the answer as `POST /chat` would.

    Asked again while that ticket is open it is the same answer, and nothing is written. Checks in the order 403, 404,
    429, 409; whatever is not theirs is NotFound.
    """
    identity = identify_bearer(org=org, token=user_token, now=now)
    session = find_owned(org=org, session_id=session_id, identity=identity, now=now)
    if session is None:
        raise NotFound
    agent, earlier = _agent(org, session), _latest(org, session)
    release_connection()
    visitor = f"user:{identity.user_id}" if identity.user_id else f"address:{address}"
    throttling.take(
        [
            throttling.bucket("key", str(key_id), override=org.key_rate_limit),
            throttling.bucket("visitor", hashed(f"{org.pk}:{visitor}")),
            throttling.bucket("session", hashed(f"{org.pk}:{session_id}")),
        ]
    )
    known = earlier.snapshot if earlier is not None else {}
    request = ChatRequest(
        message=agent.config.live_help_label or ASKING,
        # Of the request before: a button brings nothing along.
        user_id=identity.user_id or known.get("user_id", ""),
        company_id=known.get("company_id", ""),
        session_id=session_id,
        custom_fields=known.get("custom_fields", {}),
        context=known.get("context", {}),
    )
    arrival = Arrival(org, identity, agent, request, "", page or known.get("page", ""), request_id, now, "")
    turn_id = _hand_over(arrival)
    bell.ring_outbox()
    return waiting.response_of(waiting.look(org, turn_id))


@transaction.atomic
def _hand_over(arrival: Arrival) -> uuid.UUID:
    """The turn that holds the answer. Presses of one session wait for each other at the session's row."""
    org, config = arrival.org, arrival.agent.config
    visit = visitors.enter(
        org=org,
        identity=arrival.identity,
        session_id=arrival.request.session_id,
        company_id=arrival.request.company_id,
        # A closed conversation goes on in a fresh session, as with a message.
        may_start=True,
        now=arrival.now,
    )
    before = Conversation.objects.for_org(org).filter(session=visit.session).first()
    ticket = tickets.open_ticket_of(before) if before is not None else None
    if before is not None and ticket is not None and (same := _answered_with(before, ticket)) is not None:
        return same
    handover, why = escalation.decide_button(config, facts_about(arrival, visit))
    if handover is None:
        raise NotOffered
    about = (_last_words(before) if before is not None else "") or handover.reason
    turn_id = uuid7()
    stored = store(arrival, visit, turn_id)
    turn = stored.turn(arrival, visit, turn_id)
    if stored.taken_over_by_id is not None:
        leave_to_teammate(turn, config.takeover_text)
        return turn.pk
    ticket = _ticket(visit, turn, handover, about=about)
    team = find_team(org, config.escalation_team)
    away = team.away(now=arrival.now) if team else None
    settle_at_once(
        turn,
        Reply(
            outcome=Turn.Outcome.ROUTED,
            text=tickets.with_number(with_away(config.handover_text, away), ticket.number, away),
            actions=[{"type": "escalate", "reason": handover.reason, "ticket_id": str(ticket.pk)}],
            routing={"action": "route_to_team", "ticket_id": str(ticket.pk)},
            escalated=True,
            explanation={
                **why,
                "ticket": ticket.number,
                "team": team.name if team else "",
                **({"away": away.sentence} if away else {}),
            },
        ),
    )
    return turn.pk


def _ticket(visit: Visit, turn: Turn, handover: Handover, *, about: str) -> Ticket:
    """The conversation's open ticket, or a new one; the conversation is locked."""
    priority = Ticket.Priority.PRIORITY if handover.has_priority else Ticket.Priority.NORMAL
    ticket = tickets.open_ticket_of(turn.conversation)
    if ticket is not None:
        tickets.raise_priority(ticket, priority)
        return ticket
    return tickets.open_ticket(
        org=turn.org,
        session=visit.session,
        conversation=turn.conversation,
        turn=turn,
        team_id=tickets.team_of(turn.org, handover.team),
        subject=tickets.subject_of(about),
        message=about,
        source="handover",
        effect_key=f"turn:{turn.pk}:handover",
        priority=priority,
        metadata={"reason": handover.reason, "sign": handover.sign},
    )


def _answered_with(conversation: Conversation, ticket: Ticket) -> uuid.UUID | None:
    """The turn in which the visitor was told of this ticket after asking with the button."""
    routed = (
        Turn.objects.for_org(conversation.org_id)
        .filter(conversation=conversation, outcome=Turn.Outcome.ROUTED, escalated=True)
        .order_by("-seq")
        .values_list("pk", "response")[:LOOK_BACK]
    )
    return next((pk for pk, told in routed if told and told["routing"].get("ticket_id") == str(ticket.pk)), None)


def _last_words(conversation: Conversation) -> str:
    """What the visitor wrote last: what it is about."""
    said = Message.objects.for_org(conversation.org_id).filter(conversation=conversation, author=Message.Author.VISITOR)
    return said.order_by("-seq").values_list("text", flat=True).first() or ""


def _agent(org: Organization, session: ChatSession) -> AgentCard:
    """The one that the visitor has been talking to, if it still answers."""
    spoken = Conversation.objects.for_org(org).filter(session=session).values_list("agent_id", flat=True).first()
    try:
        return catalog.choose(org, str(spoken or ""))
    except NotFound:
        return catalog.choose(org, "")


def _latest(org: Organization, session: ChatSession) -> Turn | None:
    found: Turn | None = (
        Turn.objects.for_org(org).filter(conversation__session=session).only("snapshot").order_by("-seq").first()
    )
    return found
