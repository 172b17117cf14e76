"""A request on its way in, and what is kept of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from agents.catalog import AgentCard
from agents.conditions import Facts
from conversations.facts import facts_of
from conversations.requests import ChatRequest
from orgs.models import Organization
from sessions import profile
from sessions.identity import Identity
from sessions.visitors import Visit

Listening = Literal["", "events", "text"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request with all that is known about it before the transaction."""

    org: Organization
    identity: Identity
    agent: AgentCard
    request: ChatRequest
    key: str
    page: str
    request_id: str
    now: dt.datetime
    listening: Listening


def snapshot_of(arrival: Arrival, visit: Visit) -> dict[str, Any]:
    """What this request brought, kept with the turn; absent things are left out."""
    request = arrival.request
    values: dict[str, Any] = {
        "user_id": request.user_id,
        "company_id": request.company_id,
        "page": arrival.page,
        "claims": arrival.identity.claims,
        "custom_fields": request.custom_fields,
        "context": request.context,
        "behavior_context": request.behavior_context,
        "conversation_history": list(request.conversation_history),
        "end_user": str(visit.end_user.pk) if visit.end_user and _may_load_user(arrival) else "",
        "company": str(visit.company.pk) if visit.company else "",
    }
    return {name: value for name, value in values.items() if value}


def _may_load_user(arrival: Arrival) -> bool:
    # SECURITY: with verification on, only who has proved to be the user is answered from the user's data.
    return arrival.identity.verified or not arrival.org.verify_identity


def facts_about(arrival: Arrival, visit: Visit) -> Facts:
    """What routing rules are held against."""
    request = arrival.request
    known = profile.merge(
        end_user=visit.end_user if _may_load_user(arrival) else None,
        company=visit.company,
        custom_fields=request.custom_fields,
        claims=arrival.identity.claims,
        context=request.context,
    )
    return facts_of(
        known,
        message=request.message,
        has_company=visit.company is not None,
        page=arrival.page,
        mode=request.mode,
        verified=arrival.identity.verified,
        user_id=request.user_id,
        company_id=request.company_id,
    )
