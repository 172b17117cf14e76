"""What is done to agents beside what they say: made, made the active one, paused and retired, never deleted."""

from __future__ import annotations

import dataclasses

from django.db import transaction

from agents.models import Agent
from agents.publishing import amend, change_agent, discard_draft, publish, roll_back, save_draft, set_model_endpoint
from orgs import audit
from orgs.models import Organization, User
from orgs.services import (
    Conflict,
    create_identity_secret,
    create_organization,
    create_widget_key,
    lock_org,
    next_endpoint,
)

# Commands and tests reach everything that is done to an agent from here.
__all__ = [
    "ReadyOrg",
    "add_agent",
    "amend",
    "change_agent",
    "create_agent",
    "create_ready_org",
    "discard_draft",
    "make_default",
    "publish",
    "roll_back",
    "save_draft",
    "set_model_endpoint",
    "set_status",
]


@dataclasses.dataclass(frozen=True, slots=True)
class ReadyOrg:
    """A new organisation that can answer its first message; `identity_secret` in clear exists only here."""

    org: Organization
    widget_key: str
    identity_secret: str
    agent: Agent


@transaction.atomic
def create_ready_org(
    *,
    name: str,
    slug: str | None = None,
    verify_identity: bool = False,
    model_backend: str = "",
    by: User | None = None,
) -> ReadyOrg:
    """An organisation with an active agent, a widget key for every site, and an identity secret."""
    org = create_organization(name=name, slug=slug, by=by, verify_identity=verify_identity, model_backend=model_backend)
    key = create_widget_key(org=org, label="Website", by=by)
    _, plain = create_identity_secret(org=org, by=by)
    agent = make_default(agent=create_agent(org=org, name="Assistant", by=by), by=by)
    return ReadyOrg(org=org, widget_key=key.value, identity_secret=plain, agent=agent)


def create_agent(
    *,
    org: Organization,
    name: str,
    by: User | None,
    instructions: str = "",
    greeting: str = "",
    backend: str = "",
    model: str = "",
    note: str = "",
) -> Agent:
    """A new active agent with its first version published."""
    agent = Agent(org=org, name=name, instructions=instructions, greeting=greeting, backend=backend, model=model)
    return add_agent(agent=agent, by=by, note=note)


@transaction.atomic
def add_agent(*, agent: Agent, by: User | None, base_url: str = "", api_key: str = "", note: str = "") -> Agent:
    """Stores the unsaved `agent`, whose model answers at `base_url`, and publishes its first version."""
    lock_org(agent.org_id)
    agent.base_url, agent.api_key, agent.url_trusted = next_endpoint(
        was=("", "", False), base_url=base_url, api_key=api_key, by=by
    )
    agent.save(force_insert=True)
    audit.record(
        org=agent.org_id, actor=by, action="agent.created", target=agent, after=audit.state(agent, ["name", "status"])
    )
    publish(agent=agent, by=by, note=note)
    return agent


@transaction.atomic
def make_default(*, agent: Agent, by: User | None) -> Agent:
    """`agent` answers requests that name none. Raises Conflict where it is paused or retired."""
    lock_org(agent.org_id)
    agent.refresh_from_db(fields=["status", "is_default"])
    if agent.status != Agent.Status.ACTIVE:
        raise Conflict(f"{agent.name} is {agent.get_status_display().lower()}: activate it first.")
    if not agent.is_default:
        others = Agent.objects.for_org(agent.org_id).filter(is_default=True)
        was = [str(other.pk) for other in others]
        others.update(is_default=False)
        agent.is_default = True
        agent.save(update_fields=["is_default"])
        audit.record(org=agent.org_id, actor=by, action="agent.made_default", target=agent, before={"default": was})
    return agent


@transaction.atomic
def set_status(*, agent: Agent, status: str, by: User | None) -> Agent:
    """Active, paused or retired. A retired agent is no longer the active one; its transcripts stay."""
    lock_org(agent.org_id)
    agent.refresh_from_db(fields=["status", "is_default"])
    wanted = Agent.Status(status)
    if agent.status != wanted:
        before = audit.state(agent, ["status", "is_default"])
        agent.status = wanted
        agent.is_default = agent.is_default and wanted != Agent.Status.RETIRED
        agent.save(update_fields=["status", "is_default"])
        was, now_is = audit.changes(before, audit.state(agent, ["status", "is_default"]))
        audit.record(org=agent.org_id, actor=by, action="agent.status", target=agent, before=was, after=now_is)
    return agent
