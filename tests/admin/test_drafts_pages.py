"""Drafts, versions and what differs, as staff see and change them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from agents.models import Agent, AgentVersion, CustomTool, Source
from agents.publishing import change_agent
from orgs.models import Team, User
from tests.admin.furnished import Furnished, audited
from tests.admin.test_agents_pages import AGENT
from tests.cast import Cast


def conditions(field: str, **row: str) -> dict[str, str]:
    """What a browser posts for one row of conditions."""
    filled = {"source": "user", "key": "plan", "op": "is", "value": "enterprise"} | row
    return {f"{field}-rows": "1", **{f"{field}-0-{part}": text for part, text in filled.items()}}


def stored(acme: Furnished) -> Agent:
    return Agent.objects.select_related("current_version").get(pk=acme.house.agent.pk)


def seen(browser: Client, url: str) -> str:
    """What the page gives the browser to send back."""
    found: str = browser.get(url).content.decode().partition('name="seen" value="')[2].partition('"')[0]
    assert found
    return found.replace("&quot;", '"')


def test_saving_stores_the_draft_and_publishing_makes_it_a_version(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, url, publishing = as_(cast.sue), acme.url("agents.agent"), acme.url("agents.agent", "publish_draft")
    assert "Unpublished changes" not in browser.get(url).content.decode()
    assert browser.get(publishing).status_code == 302  # nothing to publish
    assert browser.post(url, {**AGENT, "instructions": "Be brief."}).status_code == 302
    assert stored(acme).current_version.number == 1
    assert audited(cast.acme.org, "agent.changed").after["instructions"] == "Be brief."
    for page in (url, reverse("admin:agents_agent_changelist")):
        assert "Unpublished changes" in as_(cast.ana).get(page).content.decode()
    asked = browser.get(publishing).content.decode()
    assert "Be brief." in asked and "Added: " in asked
    mark = seen(browser, publishing)
    assert "required" in browser.post(publishing, {"seen": mark}).content.decode()  # a note
    assert browser.post(publishing, {"seen": mark, "note": "Shorter"}).status_code == 302
    version = stored(acme).current_version
    assert (version.number, version.note, version.created_by) == (2, "Shorter", cast.sue)
    assert audited(cast.acme.org, "agent.published").after["instructions"] == "Be brief."
    assert "Shorter" in browser.get(url).content.decode()  # the tab of versions


def test_a_draft_is_discarded(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    browser, url = as_(cast.sue), acme.url("agents.agent", "discard")
    browser.post(acme.url("agents.agent"), {**AGENT, "greeting": "Hi"})
    assert browser.post(url, {"seen": seen(browser, url)}).status_code == 302
    assert stored(acme).greeting == AGENT["greeting"] and not stored(acme).has_changes()


def test_a_form_that_somebody_overtook_says_so_and_keeps_what_was_typed(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    sue, ada, url = as_(cast.sue), as_(cast.ada), acme.url("agents.agent")
    sue.post(url, AGENT)
    mine, publishing = seen(sue, url), acme.url("agents.agent", "publish_draft")
    to_publish = seen(sue, publishing)
    ada.post(url, {**AGENT, "greeting": "Ada was here", "seen": seen(ada, url)})
    broken = sue.post(url, {**AGENT, "greeting": "Sue", "escalation": "never", "seen": mine}).content.decode()
    assert "Somebody else" not in broken and mine.replace('"', "&quot;") in broken  # still what she had seen
    refused = sue.post(url, {**AGENT, "greeting": "Sue", "seen": mine})
    page = refused.content.decode()
    assert refused.status_code == 200 and "Somebody else changed “Greeting”" in page and 'value="Sue"' in page
    assert stored(acme).greeting == "Ada was here"
    told = sue.post(publishing, {"seen": to_publish, "note": "Mine"}).content.decode()
    assert "Somebody else changed" in told and "Ada was here" in told
    again = page.partition('name="seen" value="')[2].partition('"')[0].replace("&quot;", '"')
    assert sue.post(url, {**AGENT, "greeting": "Sue", "seen": again}).status_code == 302
    assert stored(acme).greeting == "Sue"


def test_every_setting_is_on_the_form_and_stored(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    org, browser, url = cast.acme.org, as_(cast.sue), acme.url("agents.agent")
    tool = CustomTool.objects.create(org=org, name="order_status", description="Where it is", url_template="https://a")
    off = CustomTool.objects.create(org=org, name="old", url_template="https://a", is_active=False)
    source, team = Source.objects.get(org=org), acme.rows["orgs.team"]
    page = browser.get(url).content.decode()
    assert "order_status: Where it is" in page and source.name in page and str(off.pk) not in page
    asked = {
        **AGENT,
        "sources": [str(source.pk)],
        "tools": [str(tool.pk)],
        "may_guide": "on",
        "guard": "on",
        "escalation": "conditional",
        "escalation_threshold": "0.4",
        "escalation_attempts": "3",
        "escalation_phrases": "lawyer",
        **conditions("audience"),
        **conditions("priority"),
        "escalation_team": str(team.pk),
        "input_price": "2.5",
    }
    assert browser.post(url, asked).status_code == 302
    draft = stored(acme).draft()
    assert (draft.sources, draft.tools) == ((str(source.pk),), (str(tool.pk),))
    assert (draft.may_open_tickets, draft.may_guide, draft.guard) == (False, True, True)
    assert (draft.escalation, draft.escalation_threshold, draft.escalation_attempts) == ("conditional", 0.4, 3)
    assert draft.audience == draft.priority and draft.audience[0]["value"] == "enterprise"
    assert (draft.escalation_team, draft.input_price) == (str(team.pk), 2.5)
    for label in ("order_status", source.name, "Acme billing"):
        assert label in as_(cast.ana).get(url).content.decode(), label  # by name, also where nothing can be changed


@pytest.mark.parametrize(
    ("field", "posted"),
    [
        ("audience", conditions("audience", source="moon")),
        ("audience", conditions("audience", key="")),
        ("priority", conditions("priority", op="gt", value="many")),
        ("escalation_threshold", {"escalation_threshold": "1.5"}),
        ("error_budget", {"error_budget": "0.9"}),
        ("escalation_attempts", {"escalation_attempts": "0"}),
        ("escalation", {"escalation": "sometimes"}),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_beside_its_field(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client], field: str, posted: dict[str, str]
) -> None:
    answer = as_(cast.sue).post(acme.url("agents.agent"), {**AGENT, **posted})
    assert answer.status_code == 200 and field in answer.context["adminform"].form.errors


def test_another_organisation_s_team_source_and_tool_are_neither_offered_nor_taken(
    cast: Cast, acme: Furnished, globex: Furnished, as_: Callable[[User], Client]
) -> None:
    theirs = {
        "sources": Source.objects.get(org=cast.globex.org),
        "tools": CustomTool.objects.create(org=cast.globex.org, name="secret_tool", url_template="https://a"),
        "escalation_team": Team.objects.get(org=cast.globex.org),
    }
    browser, url = as_(cast.sue), acme.url("agents.agent")
    page = browser.get(url).content.decode()
    for field, row in theirs.items():
        assert str(row.pk) not in page, field
        answer = browser.post(url, {**AGENT, field: str(row.pk)})
        assert answer.status_code == 200 and field in answer.context["adminform"].form.errors
    assert not stored(acme).has_changes()


def test_a_threshold_that_follows_from_an_error_budget_is_not_typed(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, url = as_(cast.sue), acme.url("agents.agent")
    Agent.objects.filter(pk=acme.house.agent.pk).update(escalation_threshold=0.37)
    browser.post(url, {**AGENT, "error_budget": "0.05", "escalation_threshold": "0.9"})
    assert (stored(acme).error_budget, stored(acme).escalation_threshold) == (0.05, 0.37)
    page = browser.get(url).content.decode()
    assert "0.37" in page and "empty the error budget" in page and 'name="escalation_threshold"' not in page
    browser.post(url, {**AGENT, "error_budget": "0.05", "escalation_threshold": "0.9"})
    assert stored(acme).escalation_threshold == 0.37
    browser.post(url, {**AGENT, "error_budget": ""})
    assert 'name="escalation_threshold"' in browser.get(url).content.decode()


def test_versions_are_compared_and_gone_back_to(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    browser, agent = as_(cast.sue), acme.house.agent
    first = agent.current_version
    agent.instructions = "One"
    second = change_agent(agent=agent, names=["instructions"], by=cast.sue, note="Words")
    browser.post(acme.url("agents.agent"), {**AGENT, "instructions": "One\nTwo"})

    def page(version: AgentVersion, wanted: object = "") -> str:
        url = reverse("admin:agents_agentversion_change", args=[version.pk])
        found = as_(cast.ana).get(url, {"with": wanted} if wanted else {})
        assert found.status_code in (200, 404)
        return found.content.decode() if found.status_code == 200 else "404"

    assert "There is no version before it" in page(first) and "1 message" in page(first)
    assert "From version 1 to version 2" in page(second) and "Added: " in page(second)
    assert "From version 1 to version 2" in page(first, second.pk)
    assert "Two" in page(second, "draft")
    for unknown in (cast.globex.agent.current_version.pk, "9" * 30, "x"):
        assert page(second, unknown) == "404"
    listed = browser.get(reverse("admin:agents_agentversion_changelist")).content.decode()
    assert "Current" in listed and "1 message" in listed

    back = reverse("admin:agents_agentversion_roll_back", args=[first.pk])
    asked = browser.get(back).content.decode()
    assert "Removed: " in asked and "unpublished changes, which are lost" in asked
    answer = browser.post(back)
    newest = AgentVersion.objects.filter(agent=agent).latest("number")
    assert answer["Location"] == reverse("admin:agents_agentversion_change", args=[newest.pk])
    assert (newest.number, newest.note, newest.config) == (3, "Back to version 1", first.config)
    assert stored(acme).current_version == newest and not stored(acme).has_changes()


def test_hostile_words_in_a_draft_are_text_wherever_it_is_shown(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, nasty = as_(cast.sue), "<script>alert(1)</script>"
    browser.post(acme.url("agents.agent"), {**AGENT, "instructions": nasty, "greeting": nasty})
    for page in ("change", "publish_draft", "discard"):
        assert "<script>alert" not in browser.get(acme.url("agents.agent", page)).content.decode(), page
