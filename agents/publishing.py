"""Drafts and versions: what is edited, what visitors are answered with, and the way back.

The columns of an agent are its draft. Every function here takes the lock of the organisation first, so that two people
who save, publish or go back go one after the other, and looks at what is stored, not at what it was given.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Max

from agents import thresholds
from agents.config import AgentConfig
from agents.differences import changed_since, label_of
from agents.models import Agent, AgentVersion, CustomTool, Source
from orgs import audit
from orgs.models import Team, User
from orgs.permissions import Action, may
from orgs.services import Conflict, lock_org, next_endpoint

ENDPOINT = ("base_url", "api_key", "url_trusted")
_KEPT = ("published_url", "published_key")
# What a draft does not hold: other functions, or nobody, may change it.
_OTHERS = {"id", "org", "status", "is_default", "current_version", "created_at", *ENDPOINT, *_KEPT}
DRAFT = tuple(field.name for field in Agent._meta.concrete_fields if field.name not in _OTHERS)
MAX_NOTE = 500


class DraftChanged(Conflict):
    """409: somebody saved the draft since the page was opened that this comes from."""

    def __init__(self, names: Iterable[str]) -> None:
        labels = ", ".join(f"“{label_of(name)}”" for name in names)
        super().__init__(f"Somebody else changed {labels} after you opened this page.")


@transaction.atomic
def save_draft(*, agent: Agent, names: Iterable[str], by: User | None, seen: str | None = None) -> list[str]:
    """Writes those of the named columns that make up a version, and returns the names of those that changed.

    Visitors notice nothing until `publish`. The model's address and key go through `set_model_endpoint`. `seen` is the
    fingerprint of the draft that `agent` was made from: raises DraftChanged where the stored one is another.
    """
    stored = _locked(agent, seen=seen)
    names = [name for name in names if name in DRAFT]
    if not names:
        return []
    before = audit.state(stored, names)
    agent.save(update_fields=names)
    was, now_is = audit.changes(before, audit.state(agent, names))
    if now_is:
        audit.record(org=agent.org_id, actor=by, action="agent.changed", target=agent, before=was, after=now_is)
    return list(now_is)


@transaction.atomic
def set_model_endpoint(
    *, agent: Agent, base_url: str, api_key: str | None = None, by: User | None, seen: str | None = None
) -> Agent:
    """Where the draft's own model answers. `api_key` None keeps the key of this address, empty removes it.

    A key is in no version: one for the published address is used from now on. While the draft names another address,
    the published version keeps its own.
    """
    stored = _locked(agent, seen=seen)
    for name in (*ENDPOINT, *_KEPT):
        setattr(agent, name, getattr(stored, name))
    _move(agent, base_url=base_url, api_key=api_key, by=by)
    agent.save(update_fields=[*ENDPOINT, *_KEPT])
    was, now_is = audit.changes(audit.state(stored, ENDPOINT), audit.state(agent, ENDPOINT))
    new_key = bool(api_key) and api_key != stored.api_key
    if now_is or new_key:
        after = now_is | ({"api_key": "replaced"} if new_key else {})
        audit.record(org=agent.org_id, actor=by, action="agent.model_endpoint", target=agent, before=was, after=after)
    return agent


@transaction.atomic
def publish(*, agent: Agent, by: User | None, note: str = "", seen: str | None = None) -> AgentVersion:
    """The version that holds the stored draft: a new one where that differs from the current one.

    Raises Conflict where the draft names what is gone, and DraftChanged where it is not the one `seen`.
    """
    stored = _locked(agent, seen=seen)
    missing = _missing(stored.org_id, stored.draft())
    if missing:
        raise Conflict(f"The draft names {missing.sentence()} that is gone. Save the agent without it first.")
    return _publish(agent, stored, stored.draft(), by=by, note=note)


@transaction.atomic
def change_agent(*, agent: Agent, names: Iterable[str], by: User | None, note: str = "") -> AgentVersion:
    """`save_draft` and `publish` in one, for commands; whatever else the draft holds is published too."""
    save_draft(agent=agent, names=names, by=by)
    return publish(agent=agent, by=by, note=note)


@transaction.atomic
def amend(*, agent: Agent, by: User | None, note: str, **values: Any) -> AgentVersion:
    """Sets these columns in the draft and in a new version, and publishes nothing else that the draft holds."""
    stored = _locked(agent)
    for name, value in values.items():
        if name not in DRAFT:
            raise TypeError(f"{name} is not a column of the draft")
        setattr(stored, name, value)
        setattr(agent, name, value)
    stored.save(update_fields=list(values))
    draft = stored.draft()
    config = dataclasses.replace(stored.published() or draft, **{name: getattr(draft, name) for name in values})
    return _publish(agent, stored, config, by=by, note=note)


@transaction.atomic
def put_in_force(*, agent: Agent, budget: float, threshold: float, note: str, by: User | None) -> AgentVersion | None:
    """Publishes the current version with this threshold and nothing else; what nobody has published stays a draft.

    None where there is nothing to do: the budget in force is another one by now, or the threshold hardly moves.
    """
    stored = _locked(agent)
    live = stored.published()
    if live is None or live.error_budget != budget:
        return None
    was = live.escalation_threshold
    if was is not None and abs(was - threshold) < thresholds.STEP - 1e-9:
        return None
    version = amend(agent=stored, by=by, note=note, escalation_threshold=threshold)
    audit.record(
        org=agent.org_id,
        actor=by,
        action="agent.threshold_set",
        target=stored,
        before={"escalation_threshold": was},
        after={"version": version.number, "escalation_threshold": threshold, "note": note},
    )
    return version


@transaction.atomic
def discard_draft(*, agent: Agent, by: User | None, seen: str | None = None) -> list[str]:
    """Makes the draft what is published; returns sentences about what is gone and was left out."""
    stored = _locked(agent, seen=seen)
    if stored.current_version is None:
        raise Conflict(f"{stored.name} has no version to go back to.")
    dropped = _restore(stored, stored.current_version, by=by, action="agent.discarded")
    agent.refresh_from_db()
    return dropped


@transaction.atomic
def roll_back(*, version: AgentVersion, by: User | None) -> tuple[AgentVersion, list[str]]:
    """A new version that is as `version` was, and the draft with it; sentences about what is gone and was left out.

    Raises Conflict where the agent would be something else without what is gone, and where the version names another
    model's address and `by` may not enter one.
    """
    agent = version.agent
    stored = _locked(agent)
    # SECURITY: going back to an address is entering it: whoever may not, cannot send the visitors' words there.
    moves = version.config.get("base_url", "") not in {stored.base_url, (stored.published() or stored).base_url}
    if moves and by is not None and not may(by, Action.MANAGE_SECRETS, stored.org_id):
        raise Conflict(f"{version} names another model address, which owners and admins may go back to.")
    dropped = _restore(stored, version, by=by, action="agent.rolled_back")
    note = f"Back to version {version.number}" + (f": {version.note}" if version.note else "")
    return _publish(agent, stored, stored.draft(), by=by, note=note[:MAX_NOTE]), dropped


def what_is_gone(*, version: AgentVersion) -> list[str]:
    """Sentences about what `version` names and is not there any more; what goes back to it goes back without."""
    _, dropped = _restorable(version)
    return dropped


# --- What they have in common ----------------------------------------------------------------------------------------


def _locked(agent: Agent, *, seen: str | None = None) -> Agent:
    """The stored agent, after waiting for whoever else is changing agents of this organisation."""
    lock_org(agent.org_id)
    stored: Agent = Agent.objects.for_org(agent.org_id).select_related("current_version").get(pk=agent.pk)
    if seen is not None and (names := changed_since(seen, stored.draft())):
        raise DraftChanged(names)
    return stored


def _publish(agent: Agent, stored: Agent, config: AgentConfig, *, by: User | None, note: str) -> AgentVersion:
    current = stored.current_version
    if current is not None and AgentConfig.from_json(current.config) == config:
        agent.current_version = current
        return current
    newest = AgentVersion.objects.for_org(stored.org_id).filter(agent=stored).aggregate(newest=Max("number"))["newest"]
    version = AgentVersion(
        org_id=stored.org_id,
        agent=agent,
        number=(newest or 0) + 1,
        config=config.to_json(),
        note=note,
        created_by=by,
    )
    version.save(force_insert=True)
    if config.error_budget and config.error_budget != (current.config.get("error_budget") if current else None):
        thresholds.ask_for(agent)
    written = ["current_version"]
    stored.current_version = version
    if stored.base_url == config.base_url:
        # The key of the address before is forgotten: in-flight turns apart, nobody asks there any more.
        stored.published_url = stored.published_key = ""
        written += _KEPT
    stored.save(update_fields=written)
    for name in (*written, *ENDPOINT):
        setattr(agent, name, getattr(stored, name))
    was, now_is = audit.changes(current.config if current else {}, version.config)
    audit.record(
        org=agent.org_id,
        actor=by,
        action="agent.published",
        target=agent,
        before={"version": current.number, **was} if current else None,
        after={"version": version.number, **now_is},
    )
    return version


def _restore(stored: Agent, version: AgentVersion, *, by: User | None, action: str) -> list[str]:
    """Makes `version` the draft of `stored`, as far as what it names is still there."""
    config, dropped = _restorable(version)
    before = stored.draft().to_json()
    stored.take(config)
    _move(stored, base_url=config.base_url, api_key=None, by=by)
    stored.save(update_fields=[*DRAFT, *ENDPOINT, *_KEPT])
    was, now_is = audit.changes(before, stored.draft().to_json())
    if now_is or action == "agent.rolled_back":
        after = {"version": version.number, **now_is}
        audit.record(org=stored.org_id, actor=by, action=action, target=stored, before=was, after=after)
    return dropped


def _move(agent: Agent, *, base_url: str, api_key: str | None, by: User | None) -> None:
    """Points the unsaved draft at `base_url`; the published version's key waits while the draft is elsewhere."""
    live = agent.published()
    if live is not None and base_url.strip() == live.base_url != agent.base_url:
        # Back to where visitors are answered from: what was entered for it is still there.
        agent.base_url, agent.url_trusted = live.base_url, live.url_trusted
        agent.api_key = agent.published_key if api_key is None else api_key
        agent.published_url = agent.published_key = ""
        return
    was = (agent.base_url, agent.api_key, agent.url_trusted)
    address, key, trusted = next_endpoint(was=was, base_url=base_url, api_key=api_key, by=by)
    if live is not None and agent.base_url == live.base_url != address:
        agent.published_url, agent.published_key = agent.base_url, agent.api_key
    agent.base_url, agent.api_key, agent.url_trusted = address, key, trusted


@dataclasses.dataclass(frozen=True, slots=True)
class _Missing:
    """Ids that a configuration names and the organisation has not, or not any more."""

    team: bool
    sources: frozenset[str]
    tools: frozenset[str]

    def __bool__(self) -> bool:
        return self.team or bool(self.sources or self.tools)

    def sentence(self) -> str:
        kinds = (("a team", self.team), ("a knowledge source", self.sources), ("a custom tool", self.tools))
        return " and ".join(kind for kind, gone in kinds if gone)


def _missing(org_id: uuid.UUID, config: AgentConfig) -> _Missing:
    def gone(model: type[Team] | type[Source] | type[CustomTool], ids: Iterable[str]) -> frozenset[str]:
        wanted = frozenset(ids) - {""}
        if not wanted:
            return wanted
        # SECURITY: another organisation's is as good as gone.
        there = model.objects.for_org(org_id).filter(pk__in=wanted).values_list("pk", flat=True)
        return wanted - {str(pk) for pk in there}

    return _Missing(
        team=bool(gone(Team, [config.escalation_team])),
        sources=gone(Source, config.sources),
        tools=gone(CustomTool, config.tools),
    )


def _restorable(version: AgentVersion) -> tuple[AgentConfig, list[str]]:
    """The version's configuration without what is gone, and a sentence about each kind of it."""
    config = AgentConfig.from_json(version.config)
    missing = _missing(version.org_id, config)
    sources = tuple(key for key in config.sources if key not in missing.sources)
    if config.sources and not sources:
        raise Conflict(
            f"All the knowledge that {str(version).lower()} answered from is gone, and without it the agent would "
            "answer from everything. Choose its knowledge by hand."
        )
    dropped = []
    if missing.team:
        dropped.append("The team that it hands over to is gone: its tickets are everybody's.")
    if missing.sources:
        dropped.append(
            f"Of the knowledge that it answered from, {len(missing.sources)} of {len(config.sources)} is gone."
        )
    if missing.tools:
        dropped.append(f"Of its custom tools, {len(missing.tools)} of {len(config.tools)} is gone.")
    return dataclasses.replace(
        config,
        escalation_team="" if missing.team else config.escalation_team,
        sources=sources,
        tools=tuple(key for key in config.tools if key not in missing.tools),
    ), dropped
