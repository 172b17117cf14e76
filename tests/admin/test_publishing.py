"""Agents: versions, status, and which one is active."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import Error, connection, transaction

from agents.config import AgentConfig
from agents.differences import compare, fingerprint
from agents.models import Agent, AgentVersion, CustomTool, Source
from agents.publishing import (
    DraftChanged,
    amend,
    change_agent,
    discard_draft,
    publish,
    roll_back,
    save_draft,
    set_model_endpoint,
)
from agents.services import create_agent, make_default, set_status
from halo.errors import InvalidRequest
from orgs.models import AuditEntry, Organization, Team
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


def test_a_draft_is_kept_apart_until_it_is_published(cast: Cast) -> None:
    agent = cast.acme.agent
    agent.greeting = "Hi"
    assert save_draft(agent=agent, names=["greeting"], by=cast.sue) == ["greeting"]
    assert save_draft(agent=agent, names=["greeting"], by=cast.sue) == []
    stored = Agent.objects.get(pk=agent.pk)
    assert stored.has_changes() and stored.published().greeting == ""
    entry = AuditEntry.objects.get(action="agent.changed")
    assert (entry.before, entry.after) == ({"greeting": ""}, {"greeting": "Hi"})
    agent.name = "Not saved"
    assert publish(agent=agent, by=cast.sue).config["greeting"] == "Hi"
    assert publish(agent=agent, by=cast.sue).config["name"] == "Acme assistant"  # what is stored, not what it was given
    assert not Agent.objects.get(pk=agent.pk).has_changes()


def test_discarding_makes_the_draft_what_is_published(cast: Cast) -> None:
    agent = cast.acme.agent
    agent.greeting, agent.escalation_team = "Hi", Team.objects.create(org=cast.acme.org, name="Billing")
    save_draft(agent=agent, names=["greeting", "escalation_team"], by=cast.sue)
    assert discard_draft(agent=agent, by=cast.sue) == []
    assert (agent.greeting, agent.escalation_team, agent.has_changes()) == ("", None, False)
    assert AuditEntry.objects.get(action="agent.discarded").before["greeting"] == "Hi"


def test_what_a_form_did_not_see_is_not_overwritten_and_what_it_saw_is(cast: Cast) -> None:
    agent = cast.acme.agent
    seen = fingerprint(agent.draft())
    agent.greeting = "Sue's"
    save_draft(agent=agent, names=["greeting"], by=cast.sue, seen=seen)
    agent.greeting = "Ada's"
    for late in (seen, "", "[]", "[" * 10_000, '{"greeting": 1}'):
        with pytest.raises(DraftChanged, match="Greeting"):
            save_draft(agent=agent, names=["greeting"], by=cast.ada, seen=late)
        with pytest.raises(DraftChanged):
            publish(agent=agent, by=cast.ada, seen=late)
        with pytest.raises(DraftChanged):
            discard_draft(agent=agent, by=cast.ada, seen=late)
    assert Agent.objects.get(pk=agent.pk).greeting == "Sue's"
    publish(agent=agent, by=cast.ada, seen=fingerprint(Agent.objects.get(pk=agent.pk).draft()))


def test_going_back_is_a_new_version_and_the_draft_with_it(cast: Cast) -> None:
    agent = cast.acme.agent
    first = agent.current_version
    agent.instructions = "Be brief."
    change_agent(agent=agent, names=["instructions"], by=cast.sue)
    agent.greeting = "Not published"
    save_draft(agent=agent, names=["greeting"], by=cast.sue)
    version, dropped = roll_back(version=first, by=cast.sue)
    assert (version.number, version.note, dropped) == (3, "Back to version 1", [])
    assert version.config == first.config
    stored = Agent.objects.get(pk=agent.pk)
    assert (stored.current_version, stored.greeting, stored.has_changes()) == (version, "", False)
    assert AuditEntry.objects.get(action="agent.rolled_back").after["version"] == 1


def test_going_back_leaves_out_what_is_gone_and_says_so(cast: Cast) -> None:
    agent, org = cast.acme.agent, cast.acme.org
    tools = [CustomTool.objects.create(org=org, name=name, url_template="https://a.example") for name in ("a", "b")]
    team = Team.objects.create(org=org, name="Billing")
    agent.tools, agent.escalation_team = [str(tool.pk) for tool in tools], team
    version = change_agent(agent=agent, names=["tools", "escalation_team"], by=None)
    agent.tools, agent.escalation_team = [], None
    change_agent(agent=agent, names=["tools", "escalation_team"], by=None)
    tools[0].delete()
    team.delete()
    back, dropped = roll_back(version=version, by=cast.sue)
    assert (back.config["tools"], back.config["escalation_team"]) == ([str(tools[1].pk)], "")
    assert len(dropped) == 2 and "1 of 2" in " ".join(dropped)


def test_knowledge_that_is_gone_does_not_become_all_knowledge(cast: Cast) -> None:
    agent = cast.acme.agent
    source = Source.objects.create(org=cast.acme.org, name="Public")
    agent.sources = [str(source.pk)]
    version = change_agent(agent=agent, names=["sources"], by=None)
    agent.sources = []
    change_agent(agent=agent, names=["sources"], by=None)
    source.delete()
    with pytest.raises(Conflict, match="gone"):
        roll_back(version=version, by=cast.sue)
    assert not Agent.objects.get(pk=agent.pk).sources


def test_what_is_gone_or_another_organisation_s_is_not_published(cast: Cast) -> None:
    agent = cast.acme.agent
    theirs = CustomTool.objects.create(org=cast.globex.org, name="a", url_template="https://a.example")
    agent.tools = [str(theirs.pk)]
    with pytest.raises(Conflict, match="a custom tool"):
        change_agent(agent=agent, names=["tools"], by=None)


def test_one_setting_is_amended_without_publishing_the_rest_of_the_draft(cast: Cast) -> None:
    agent = cast.acme.agent
    agent.greeting = "Not yet"
    save_draft(agent=agent, names=["greeting"], by=cast.sue)
    version = amend(agent=agent, by=None, note="Fitted", escalation_threshold=0.6)
    assert (version.config["escalation_threshold"], version.config["greeting"]) == (0.6, "")
    stored = Agent.objects.get(pk=agent.pk)
    assert (stored.escalation_threshold, stored.greeting) == (0.6, "Not yet")


def keys(agent: Agent) -> tuple[str, str]:
    """The key that the published version is given, and the draft's."""
    stored = Agent.objects.get(pk=agent.pk)
    return stored.key_for(stored.published().base_url), stored.key_for(stored.base_url)


def test_a_key_belongs_to_its_address_in_the_draft_and_in_what_is_published(cast: Cast) -> None:
    agent, one, two = cast.acme.agent, "https://one.example/v1", "https://two.example/v1"
    set_model_endpoint(agent=agent, base_url=one, api_key="sk-1", by=cast.ada)
    assert keys(agent) == ("", "sk-1")
    version = publish(agent=agent, by=cast.sue)
    assert version.config["base_url"] == one and "sk-1" not in str(version.config)
    set_model_endpoint(agent=agent, base_url=two, by=cast.ada)
    assert keys(agent) == ("sk-1", "")  # visitors are still answered
    set_model_endpoint(agent=agent, base_url=two, api_key="sk-2", by=cast.ada)
    assert keys(agent) == ("sk-1", "sk-2")
    set_model_endpoint(agent=agent, base_url=one, by=cast.ada)
    assert keys(agent) == ("sk-1", "sk-1")
    set_model_endpoint(agent=agent, base_url=one, api_key="sk-3", by=cast.ada)
    assert keys(agent) == ("sk-3", "sk-3")  # at once: a key is in no version
    set_model_endpoint(agent=agent, base_url=two, api_key="sk-2", by=cast.ada)
    discard_draft(agent=agent, by=cast.sue)
    assert keys(agent) == ("sk-3", "sk-3")
    set_model_endpoint(agent=agent, base_url=two, api_key="sk-2", by=cast.ada)
    publish(agent=agent, by=cast.ada)
    assert keys(agent) == ("sk-2", "sk-2") and not Agent.objects.get(pk=agent.pk).published_key
    with pytest.raises(InvalidRequest):
        set_model_endpoint(agent=agent, base_url="http://a.example/v1", by=cast.ada)


def test_only_who_may_enter_an_address_goes_back_to_one(cast: Cast) -> None:
    agent = cast.acme.agent
    set_model_endpoint(agent=agent, base_url="http://10.0.0.1/v1", api_key="sk-1", by=cast.root)
    private = publish(agent=agent, by=cast.root)
    set_model_endpoint(agent=agent, base_url="", by=cast.root)
    publish(agent=agent, by=cast.root)
    with pytest.raises(Conflict, match="address"):
        roll_back(version=private, by=cast.sue)
    with pytest.raises(InvalidRequest):
        roll_back(version=private, by=cast.ada)
    back, _ = roll_back(version=private, by=cast.root)
    assert back.config["url_trusted"] and keys(agent) == ("", "")  # the key was forgotten


def test_people_who_publish_at_once_go_one_after_the_other(transactional_db: None, cast: Cast) -> None:
    def change(number: int) -> None:
        try:
            agent = Agent.objects.get(pk=cast.acme.agent.pk)
            agent.greeting = f"Hello {number}"
            change_agent(agent=agent, names=["greeting"], by=None)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(4)))
    versions = AgentVersion.objects.filter(agent=cast.acme.agent).order_by("number")
    assert [version.number for version in versions] == [1, 2, 3, 4, 5]
    agent = Agent.objects.get(pk=cast.acme.agent.pk)
    assert agent.current_version == versions[4] and not agent.has_changes()


def test_differences_are_told_line_by_line_and_word_by_word(cast: Cast) -> None:
    org = cast.acme.org
    source = Source.objects.create(org=org, name="Handbook")
    before = AgentConfig(name="A", instructions="One\nTwo\nThree is a long line of words\nFour\nFive\nSix\nSeven")
    after = dataclasses.replace(
        before,
        instructions="One\nTwo\nThree is a longer line of words\nFour\nFive\nSix\nSeven\nEight",
        guard=False,
        sources=(str(source.pk), "0192aaaa-0000-7000-8000-000000000000"),
        audience=({"source": "user", "key": "plan", "op": "exists"},),
    )
    found = {difference.label: difference.lines for difference in compare(org_id=org.pk, before=before, after=after)}
    assert set(found) == {"Instructions", "Guard", "Knowledge", "Only for"}
    kinds = [line.kind for line in found["Instructions"]]
    assert kinds == ["same", "same", "removed", "added", "same", "same", "same", "same", "added"]
    assert [text for text, is_new in found["Instructions"][3].parts if is_new] == ["longer"]
    assert [(line.kind, line.parts[0][0]) for line in found["Guard"]] == [("removed", "Yes"), ("added", "No")]
    knowledge = [line.parts[0][0] for line in found["Knowledge"]]
    assert knowledge == ["All of it", "0192aaaa-0000-7000-8000-000000000000 (gone)", "Handbook"]
    assert compare(org_id=org.pk, before=after, after=after) == []


def test_whatever_the_chat_caches_is_told_of_a_change(cast: Cast) -> None:
    def version() -> int:
        return Organization.objects.get(pk=cast.acme.org.pk).config_version

    before = version()
    set_status(agent=cast.acme.agent, status="paused", by=None)
    assert version() > before
