"""Agents: versions, status, and which one is active."""

from __future__ import annotations

import pytest
from django.db import Error, transaction

from agents.models import Agent, AgentVersion
from agents.services import change_agent, create_agent, make_default, publish, set_model_endpoint, set_status
from halo.errors import InvalidRequest
from orgs.models import AuditEntry, Organization
from orgs.services import Conflict
from tests.cast import Cast


def test_every_change_is_a_version_and_no_change_is_none(cast: Cast) -> None:
    agent = create_agent(org=cast.acme.org, name="Two", by=cast.sue, instructions="Hello", note="First")
    first = agent.current_version
    assert first is not None
    assert (first.number, first.note, first.config) == (1, "First", agent.draft().to_json())
    assert publish(agent=agent, by=cast.sue) == first
    agent.instructions = "Hello again"
    second = change_agent(agent=agent, names=["instructions", "note", "status"], by=cast.sue, note="Friendlier")
    assert (second.number, second.config["instructions"]) == (2, "Hello again")
    assert Agent.objects.get(pk=agent.pk).current_version == second
    agent.instructions = "Hello"
    assert change_agent(agent=agent, names=["instructions"], by=cast.sue).number == 3  # going back is a version too
    entry = AuditEntry.objects.filter(action="agent.published").latest("pk")
    assert (entry.before, entry.after) == (
        {"version": 2, "instructions": "Hello again"},
        {"version": 3, "instructions": "Hello"},
    )


def test_versions_are_never_changed(cast: Cast) -> None:
    version = cast.acme.agent.current_version
    assert version is not None
    with pytest.raises(Error), transaction.atomic():
        AgentVersion.objects.filter(pk=version.pk).update(note="other")


def test_one_agent_of_an_organisation_is_the_active_one(cast: Cast) -> None:
    second = create_agent(org=cast.acme.org, name="Two", by=None)
    make_default(agent=second, by=cast.sue)
    assert Agent.objects.get(org=cast.acme.org, is_default=True) == second
    assert Agent.objects.get(org=cast.globex.org, is_default=True) == cast.globex.agent
    set_status(agent=second, status="paused", by=cast.sue)
    assert second.is_default  # it comes back as it was
    with pytest.raises(Conflict):
        make_default(agent=second, by=cast.sue)
    set_status(agent=second, status="retired", by=cast.sue)
    assert not Agent.objects.filter(org=cast.acme.org, is_default=True).exists()


def test_a_new_address_is_a_version_without_the_key(cast: Cast) -> None:
    agent = cast.acme.agent
    version = set_model_endpoint(agent=agent, base_url="https://a.example/v1", api_key="sk-1", by=cast.ada)
    assert version.config["base_url"] == "https://a.example/v1" and "sk-1" not in str(version.config)
    same = set_model_endpoint(agent=agent, base_url="https://a.example/v1", api_key="sk-2", by=cast.ada)
    assert same == version and Agent.objects.get(pk=agent.pk).api_key == "sk-2"
    with pytest.raises(InvalidRequest):
        set_model_endpoint(agent=agent, base_url="http://a.example/v1", by=cast.ada)


def test_whatever_the_chat_caches_is_told_of_a_change(cast: Cast) -> None:
    def version() -> int:
        return Organization.objects.get(pk=cast.acme.org.pk).config_version

    before = version()
    set_status(agent=cast.acme.agent, status="paused", by=None)
    assert version() > before
