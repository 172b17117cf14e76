"""Trying a draft out: the production path from case to answer, with hands that touch nothing and no conversation.

A try-out lives in Redis for ten minutes, under an id that cannot be guessed and the person who began it, and nowhere
else. A worker answers it, as a model may take longer than a page may.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.utils import timezone

from agents import costs, guidance, routing
from agents.answer_types import AnswerType
from agents.config import AgentConfig
from agents.deciding import Decision, with_away
from agents.llm.base import ModelError
from agents.models import Agent
from agents.prompts.layers import Briefing, Line
from agents.teams import find_team
from conversations import bell
from conversations.facts import facts_of, page_facts
from conversations.redacting import redactor_for
from conversations.rehearsing_hands import RehearsingHands
from conversations.thinking import Case, Progress, milliseconds_since, think
from halo import wire
from halo.db import release_connection
from halo.errors import HaloError, Unavailable
from orgs import audit
from orgs.models import Organization, User
from orgs.services import Conflict
from sessions import profile

log = structlog.get_logger(__name__)
LIFETIME_SECONDS = 600
# A try-out that has not come back by then was lost with its worker; the person may begin the next one.
LOST_AFTER_SECONDS = 75
WAITING, ANSWERED, ROUTED, FAILED, LOST = "waiting", "answered", "routed", "failed", "lost"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is tried: a message as a visitor's request would bring it, after the `earlier` ones (role, text)."""

    message: str
    mode: str = "chat"
    verified: bool = False
    traits: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    earlier: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A try-out as it stands; `result` is plain JSON, made by `_result`, once there is one."""

    agent_id: str
    asked: Asked
    state: str
    result: dict[str, Any]


def begin(*, agent: Agent, asked: Asked, by: User) -> str:
    """Has a worker answer `asked` with the draft of `agent`; returns the id of the try-out.

    Raises Conflict while another one of this person is on its way, and Unavailable where Redis is away.
    """
    key = secrets.token_urlsafe(24)
    begun = {"agent": str(agent.pk), "org": str(agent.org_id), "asked": dataclasses.asdict(asked), "at": time.time()}
    try:
        with wire.calling() as client:
            if not client.set(_turn_of(by.pk), key, nx=True, ex=LOST_AFTER_SECONDS):
                raise Conflict("Your last try-out has not come back yet. Wait for it, then send this one.")
            client.set(_key(by.pk, key), json.dumps({**begun, "state": WAITING}), ex=LIFETIME_SECONDS)
    except wire.WireAway:
        raise _away() from None
    audit.record(org=agent.org_id, actor=by, action="agent.rehearsed", target=agent)
    if not bell.ring_rehearsal(by.pk, key):
        # What was put into Redis goes by itself, should it be there.
        raise _away()
    return key


def find(*, person: User, key: str) -> Rehearsal | None:
    """The try-out that `person` began; None where there is none, or not any more. Raises Unavailable."""
    try:
        found = _load(person.pk, key)
    except wire.WireAway:
        raise _away() from None
    if found is None:
        return None
    state = found["state"]
    if state == WAITING and time.time() > found["at"] + LOST_AFTER_SECONDS:
        state = LOST
    return Rehearsal(agent_id=found["agent"], asked=_asked(found), state=state, result=found.get("result", {}))


def rehearse(person_id: uuid.UUID, key: str) -> None:
    """Answers a try-out, if it still waits; a second delivery, or one that comes too late, is a normal return."""
    try:
        found = _load(person_id, key)
        if found is None or found["state"] != WAITING:
            return
        seconds_left = found["at"] + LOST_AFTER_SECONDS - time.time() - 2
        if seconds_left <= 0:
            return
        state, result = _answered(found, seconds_left)
        _store(person_id, key, {**found, "state": state, "result": result})
    except wire.WireAway:
        # The page says that it was lost.
        log.warning("rehearsal_lost")
    finally:
        release_connection()


def _answered(found: dict[str, Any], seconds_left: float) -> tuple[str, dict[str, Any]]:
    began, progress = time.monotonic(), Progress()
    agent = Agent.objects.for_org(uuid.UUID(found["org"])).select_related("org").filter(pk=found["agent"]).first()
    if agent is None:
        return FAILED, {"error": "The agent is gone."}
    config, asked = agent.draft(), _asked(found)
    case = _case(agent, config, asked)
    rule = routing.first_match(routing.rules_of(agent.org).get(agent.pk, ()), case.facts)
    if rule is not None:
        text = with_away(rule.acknowledgement, rule.team.away(now=timezone.now()))
        return ROUTED, {"text": text, "rule": rule.name, "team": rule.team.name}
    hands = RehearsingHands(case)
    try:
        decision = think(case, hands, progress, deadline=began + min(config.deadline_seconds, seconds_left))
    except ModelError as error:
        progress.timings["total_ms"] = milliseconds_since(began)
        return FAILED, {**_told(case, config, progress, hands), "error": f"{error.kind}: {error.message}"}
    except HaloError as error:
        return FAILED, {"error": error.message}
    except Exception as error:
        log.exception("rehearsal_failed", error=type(error).__name__)
        return FAILED, {"error": "Something went wrong on our side; the server's log says what."}
    progress.timings["total_ms"] = milliseconds_since(began)
    return ANSWERED, {**_told(case, config, progress, hands), **_decided(agent, decision, hands, progress)}


def _case(agent: Agent, config: AgentConfig, asked: Asked) -> Case:
    team = find_team(agent.org, config.escalation_team)
    known = profile.merge(end_user=None, company=None, custom_fields=asked.traits, claims={}, context=asked.context)
    briefing = Briefing(
        message=Line("user", asked.message),
        mode=asked.mode,
        organization=agent.org.name,
        guidance=guidance.text_of(agent.org),
        transcript=[Line(role, text) for role, text in asked.earlier],
        verified=asked.verified,
        traits=known.traits,
        context=known.context,
    )
    # Where the visitor is comes from the context alone here: a try-out has no browser on the site.
    page = str(page_facts(known.context, "").get("url", ""))
    facts = facts_of(
        known,
        message=asked.message,
        has_company=False,
        page=page,
        mode=asked.mode,
        verified=asked.verified,
        user_id="",
        company_id="",
    )
    return Case(
        org=agent.org,
        agent=agent,
        config=config,
        briefing=briefing,
        facts=facts,
        earlier_answers=sum(role == "assistant" for role, _ in asked.earlier),
        away=team.away(now=timezone.now()) if team else None,
        page=page,
    )


# --- What is shown ---------------------------------------------------------------------------------------------------


def _told(case: Case, config: AgentConfig, progress: Progress, hands: RehearsingHands) -> dict[str, Any]:
    """How the answer came about, or how far it came."""
    told = {
        "model": progress.model_name,
        "prompt_tokens": progress.prompt_tokens,
        "completion_tokens": progress.completion_tokens,
        "cost": _cost(case.org, config, progress),
        "currency": case.org.currency,
        "timings": progress.timings,
        "calls": hands.calls,
        "passages": [
            {"n": e.n, "title": e.title, "url": e.url, "score": round(e.score, 4), "text": e.text}
            for e in progress.excerpts
        ],
        "prompt": progress.prompt,
    }
    # SECURITY: as traces are: what a tool or a page brought in may hold a key.
    shown: dict[str, Any] = redactor_for(org=case.org, agent=case.agent).json(told)
    return shown


def _decided(agent: Agent, decision: Decision, hands: RehearsingHands, progress: Progress) -> dict[str, Any]:
    actions: list[dict[str, Any]] = [{"type": effect.kind, **effect.arguments} for effect in progress.effects]
    if decision.handover is not None:
        team = find_team(agent.org, decision.handover.team)
        actions.append(
            {
                "type": "escalate",
                "reason": decision.handover.reason,
                "team": team.name if team else "",
                "priority": decision.handover.has_priority,
            }
        )
    return {
        "text": decision.text,
        "citations": decision.citations,
        "answer_type": AnswerType(decision.answer_type).label,
        "confidence": decision.confidence,
        "inputs": decision.inputs,
        "withheld": decision.withheld,
        "explanation": decision.explanation,
        "actions": actions,
    }


def _cost(org: Organization, config: AgentConfig, progress: Progress) -> str | None:
    """In the organisation's currency; None where it is not known."""
    found = costs.cost(
        prompt_tokens=progress.prompt_tokens,
        completion_tokens=progress.completion_tokens,
        input_price=costs.own_or(config.input_price, org.input_price),
        output_price=costs.own_or(config.output_price, org.output_price),
    )
    return None if found is None else str(found)


# --- Redis -----------------------------------------------------------------------------------------------------------


def _key(person_id: uuid.UUID, key: str) -> str:
    # SECURITY: the person is part of the name, so that nobody else's id leads to it.
    return f"halo:rehearsal:{person_id}:{key}"


def _turn_of(person_id: uuid.UUID) -> str:
    return f"halo:rehearsing:{person_id}"


def _load(person_id: uuid.UUID, key: str) -> dict[str, Any] | None:
    with wire.calling() as client:
        stored: Any = client.get(_key(person_id, key))
    return json.loads(stored) if stored else None


def _store(person_id: uuid.UUID, key: str, value: dict[str, Any]) -> None:
    with wire.calling() as client:
        client.set(_key(person_id, key), json.dumps(value), ex=LIFETIME_SECONDS)
        if client.get(_turn_of(person_id)) == key:
            client.delete(_turn_of(person_id))


def _asked(found: dict[str, Any]) -> Asked:
    asked = Asked(**found["asked"])
    return dataclasses.replace(asked, earlier=[(role, text) for role, text in asked.earlier])


def _away() -> Unavailable:
    return Unavailable("Redis does not answer at the moment, and try-outs need it. Try again in a minute.")
