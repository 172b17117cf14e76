"""What is done to agents: every change of what they are is a published version, and none is ever deleted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Max

from agents import thresholds
from agents.config import AgentConfig
from agents.models import Agent, AgentVersion
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

_ENDPOINT = ("base_url", "api_key", "url_trusted")
# What `change_agent` writes: not what other functions of this module, or nobody, may change.
_OURS = {"id", "org", "status", "is_default", "current_version", "created_at", *_ENDPOINT}
_CHANGEABLE = {field.name for field in Agent._meta.concrete_fields} - _OURS


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
def change_agent(*, agent: Agent, names: Iterable[str], by: User | None, note: str = "") -> AgentVersion:
    """Writes those of the named columns that make up a version, and publishes what `agent` is now.

    Status, being the active agent, and the model's address and key have functions of their own.
    """
    lock_org(agent.org_id)
    names = [name for name in names if name in _CHANGEABLE]
    if names:
        agent.save(update_fields=names)
    return publish(agent=agent, by=by, note=note)


@transaction.atomic
def publish(*, agent: Agent, by: User | None, note: str = "") -> AgentVersion:
    """The version that holds what `agent` is now: a new one where that differs from the current one."""
    lock_org(agent.org_id)
    config = agent.draft().to_json()
    current = agent.current_version
    if current is not None and AgentConfig.from_json(current.config) == agent.draft():
        return current
    newest = AgentVersion.objects.for_org(agent.org_id).filter(agent=agent).aggregate(newest=Max("number"))["newest"]
    version = AgentVersion(
        org_id=agent.org_id, agent=agent, number=(newest or 0) + 1, config=config, note=note, created_by=by
    )
    version.save(force_insert=True)
    agent.current_version = version
    agent.save(update_fields=["current_version"])
    if config["error_budget"] and config["error_budget"] != (current.config if current else {}).get("error_budget"):
        thresholds.ask_for(agent)
    was, now_is = audit.changes(current.config if current else {}, config)
    audit.record(
        org=agent.org_id,
        actor=by,
        action="agent.published",
        target=agent,
        before={"version": current.number, **was} if current else None,
        after={"version": version.number, **now_is},
    )
    return version


@transaction.atomic
def set_model_endpoint(
    *, agent: Agent, base_url: str, api_key: str | None = None, by: User | None, note: str = ""
) -> AgentVersion:
    """Where this agent's own model answers. `api_key` None keeps the stored key, empty removes it."""
    lock_org(agent.org_id)
    stored = Agent.objects.for_org(agent.org_id).get(pk=agent.pk)
    agent.base_url, agent.api_key, agent.url_trusted = next_endpoint(
        was=(stored.base_url, stored.api_key, stored.url_trusted), base_url=base_url, api_key=api_key, by=by
    )
    agent.save(update_fields=list(_ENDPOINT))
    was, now_is = audit.changes(audit.state(stored, _ENDPOINT), audit.state(agent, _ENDPOINT))
    new_key = bool(api_key) and api_key != stored.api_key
    if now_is or new_key:
        after = now_is | ({"api_key": "replaced"} if new_key else {})
        audit.record(org=agent.org_id, actor=by, action="agent.model_endpoint", target=agent, before=was, after=after)
    return publish(agent=agent, by=by, note=note)


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
