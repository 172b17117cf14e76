"""Accepting a message: everything that must be true before the client may rely on it, in one transaction."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from agents import catalog, routing
from agents.conditions import Facts
from agents.deciding import with_away
from conversations import admission, bell, idempotency, tape, tickets, turns
from conversations.arrivals import Arrival, Listening, facts_about
from conversations.at_once import leave_to_teammate, settle_at_once
from conversations.models import Conversation, Ticket, Turn
from conversations.recording import Reply
from conversations.requests import ChatRequest
from conversations.storing import make_room, store
from halo.db import release_connection
from halo.errors import HaloError, Unavailable
from halo.ids import uuid7
from orgs import throttling
from orgs.models import Organization
from sessions import visitors
from sessions.identity import identify
from sessions.visitors import Visit


@dataclass(frozen=True, slots=True)
class Accepted:
    """A turn that the client may wait for; with its session's id where this request has just put it into the queue."""

    turn_id: uuid.UUID
    session_id: str = ""

    @property
    def fresh(self) -> bool:
        """Whether this request has put it there."""
        return bool(self.session_id)


class _TwinWasFirst(Exception):
    """Another request with the same key committed while this one was on its way in."""


@admission.accepting.taken()
def accept(
    *,
    org: Organization,
    key_id: int,
    request: ChatRequest,
    idempotency_key: str,
    address: str,
    request_id: str,
    now: dt.datetime,
    page: str = "",
    listening: Listening = "",
) -> Accepted:
    """Stores the message and its turn, or finds the turn that the key stands for; rings where there is work.

    `page` is where the browser says the visitor is: an address, or an origin alone. `listening` is how the client
    follows the answer: `events`, or `text`, which cannot be taken back; empty where it waits for the whole.
    Checks in the order 403, 404, 409, 429; raises halo.errors.HaloError.
    """
    identity = identify(org=org, user_id=request.user_id, token=request.user_token, now=now)
    agent = catalog.choose(org, request.agent_id)
    arrival = Arrival(org, identity, agent, request, idempotency_key, page, request_id, now, listening)
    known = _find(arrival)
    replayed = known is not None and not _is_failed(org, known)
    for_key = throttling.bucket("key", str(key_id), override=org.key_rate_limit)
    release_connection()
    if known is not None and replayed:
        # Replays and joins count against the key's limit only.
        throttling.take([for_key])
        return Accepted(known)
    limits = _limits(arrival, for_key, address=address, reopening=known is not None)
    throttling.take(limits)
    turn_id = known or uuid7()
    session_id, keeps_place = "", False
    try:
        admission.enter(turn_id, org=org)
    except HaloError:
        throttling.give_back(limits)
        raise
    try:
        # A session that cannot be continued is found out inside the transaction; its limit is network, so outside.
        try:
            session_id = _accept(arrival, turn_id, reopening=known is not None, may_start=not request.session_id)
        except visitors.NewSessionNeeded:
            throttling.take([throttling.bucket("new", f"{org.pk}:{address}")])
            session_id = _accept(arrival, turn_id, reopening=known is not None, may_start=True)
    except _TwinWasFirst:
        joined = _find(arrival)
        # The twin's key ran out in this very instant: the client's retry begins anew.
        if joined is None:
            raise Unavailable from None
        # Where it was reopened by the twin, the place is the twin's too.
        keeps_place = joined == turn_id
        return Accepted(joined)
    finally:
        if not (session_id or keeps_place):
            admission.leave(turn_id, org_id=org.pk)
    return Accepted(turn_id, session_id)


def _find(arrival: Arrival) -> uuid.UUID | None:
    if not arrival.key:
        return None
    return idempotency.find(
        org=arrival.org,
        scope=arrival.identity.scope,
        key=arrival.key,
        body_hash=arrival.request.body_hash,
    )


def _is_failed(org: Organization, turn_id: uuid.UUID) -> bool:
    return Turn.objects.for_org(org).filter(pk=turn_id, status=Turn.Status.FAILED).exists()


def _limits(
    arrival: Arrival, for_key: throttling.Bucket | None, *, address: str, reopening: bool
) -> list[throttling.Bucket | None]:
    org, request = arrival.org, arrival.request
    visitor = f"user:{arrival.identity.user_id}" if arrival.identity.user_id else f"address:{address}"
    starting = not request.session_id and not reopening
    return [
        for_key,
        throttling.bucket("visitor", idempotency.hashed(f"{org.pk}:{visitor}")),
        throttling.bucket("new", f"{org.pk}:{address}") if starting else None,
        None
        if not request.session_id
        else throttling.bucket("session", idempotency.hashed(f"{org.pk}:{request.session_id}")),
    ]


def _accept(arrival: Arrival, turn_id: uuid.UUID, *, reopening: bool, may_start: bool) -> str:
    """Writes it all down and tells the workers; the session's id where the turn waits for an answer, else nothing."""
    with transaction.atomic() if reopening or _takes_several(arrival) else contextlib.nullcontext():
        if arrival.key and not reopening and not _reserve(arrival, turn_id):
            raise _TwinWasFirst
        if reopening:
            session_id = _reopen(arrival, turn_id)
        else:
            session_id = _store(arrival, turn_id, may_start=may_start)
    # After the commit, so that whoever hears the bell finds the row.
    if session_id:
        if reopening:
            tape.forget(turn_id)
        if arrival.listening:
            # Before anybody can begin to answer.
            tape.open_for(turn_id)
        bell.ring(turn_id)
    else:
        if reopening:
            # Others may be waiting for the turn that has just gone to a teammate.
            tape.append(turn_id, attempt=0, kind="done")
        bell.ring_outbox()
    return session_id


def _takes_several(arrival: Arrival) -> bool:
    """Whether accepting it may take more statements than the one that stores it, which is a transaction by itself."""
    request = arrival.request
    return bool(arrival.key or arrival.identity.user_id or request.session_id or request.images or arrival.agent.rules)


def _reserve(arrival: Arrival, turn_id: uuid.UUID) -> bool:
    return idempotency.reserve(
        org=arrival.org,
        scope=arrival.identity.scope,
        key=arrival.key,
        body_hash=arrival.request.body_hash,
        turn_id=turn_id,
    )


def _store(arrival: Arrival, turn_id: uuid.UUID, *, may_start: bool) -> str:
    """Writes session, conversation, turn and message; as `_accept`."""
    request = arrival.request
    visit = visitors.enter(
        org=arrival.org,
        identity=arrival.identity,
        session_id=request.session_id,
        company_id=request.company_id,
        may_start=may_start,
        now=arrival.now,
        store=False,
    )
    stored = store(arrival, visit, turn_id)
    facts = facts_about(arrival, visit) if arrival.agent.rules else None
    rule = routing.first_match(arrival.agent.rules, facts) if facts is not None else None
    if rule is None and stored.taken_over_by_id is None:
        return visit.session.session_id
    turn = stored.turn(arrival, visit, turn_id)
    if rule is None or facts is None or stored.taken_over_by_id is not None:
        leave_to_teammate(turn, arrival.agent.config.takeover_text)
    else:
        _route(arrival, visit, turn, rule, facts)
    return ""


def _route(arrival: Arrival, visit: Visit, turn: Turn, rule: routing.Rule, facts: Facts) -> None:
    """Sends the message straight to the rule's team: ticket and acknowledgement, and no model."""
    priority = Ticket.Priority.PRIORITY if rule.has_priority else Ticket.Priority.NORMAL
    # The first message has no ticket yet, and later ones on the same matter need no second.
    ticket = None if turn.seq == 1 else tickets.open_ticket_of(turn.conversation, team_id=rule.team.id)
    actions = []
    if ticket is not None:
        tickets.raise_priority(ticket, priority)
    else:
        ticket = tickets.open_ticket(
            org=arrival.org,
            session=visit.session,
            conversation=turn.conversation,
            turn=turn,
            team_id=rule.team.id,
            subject=tickets.subject_of(arrival.request.message),
            message=arrival.request.message,
            source="routing",
            effect_key=f"turn:{turn.pk}:route",
            priority=priority,
            metadata={"rule": rule.name},
        )
        actions = [{"type": "create_ticket", "ticket_id": str(ticket.pk)}]
    away = rule.team.away(now=arrival.now)
    why = {**routing.explain(rule, arrival.agent.rules, facts), "ticket": ticket.number}
    reply = Reply(
        outcome=Turn.Outcome.ROUTED,
        text=tickets.with_number(with_away(rule.acknowledgement, away), ticket.number, away),
        actions=actions,
        routing={"action": "route_to_team", "ticket_id": str(ticket.pk)},
        explanation={**why, **({"away": away.sentence} if away else {})},
        routing_rule_id=rule.id,
    )
    settle_at_once(turn, reply)


def _reopen(arrival: Arrival, turn_id: uuid.UUID) -> str:
    """Puts the key's failed turn back into the queue, in the session its owner continues; as `_accept`."""
    turn = Turn.objects.for_org(arrival.org).select_related("conversation__session", "agent_version").get(pk=turn_id)
    visit = visitors.enter(
        org=arrival.org,
        identity=arrival.identity,
        session_id=turn.conversation.session.session_id,
        company_id=arrival.request.company_id,
        may_start=True,
        now=arrival.now,
    )
    old = turn.conversation_id
    room = make_room(arrival, visit)
    conversation = room.conversation(arrival, visit)
    if not turns.reopen(
        turn_id,
        conversation=conversation,
        request_id=arrival.request_id,
        keeps_text=arrival.listening == "text",
    ):
        raise _TwinWasFirst
    # Its message is stored once, wherever it ends up, so it is counted once.
    Conversation.objects.for_org(arrival.org).filter(pk=old).update(message_count=F("message_count") - 1)
    turn.conversation, turn.seq = conversation, conversation.seq
    if room.taken_over_by_id is not None:
        leave_to_teammate(turn, catalog.config_of(turn.agent_version_id).takeover_text)
        return ""
    return visit.session.session_id
