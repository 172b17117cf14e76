"""Organisations' settings, agents and rules, as staff edit them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client
from django.urls import reverse

from agents.models import Agent, Article, RoutingRule
from agents.tasks import read_article
from orgs.models import AuditEntry, IdentitySecret, Organization, Team, User
from tests.admin.furnished import Furnished, audited
from tests.cast import Cast

AGENT: dict[str, Any] = {
    "name": "Acme assistant",
    "instructions": "",
    "greeting": "",
    "backend": "",
    "model": "",
    "deadline_seconds": "30",
    "on_failure": "error",
    "failure_text": "Sorry.",
    "takeover_text": "A teammate is here.",
    "handover_text": "A person will get back to you.",
    "unknown_text": "I do not know.",
    "escalation": "always",
    "escalation_attempts": "2",
    "live_help_label": "Talk to a person",
    "primary_colour": "#2f5bea",
    "dark_primary_colour": "#8fabff",
    "theme": "auto",
    "position": "right",
}
SETTINGS: dict[str, Any] = {
    "currency": "USD",
    "name": "Acme",
    "guidance": "",
    "model_backend": "",
    "model_name": "",
    "retain_messages_months": "24",
    "retain_traces_days": "90",
    "retain_events_days": "30",
}


def conditions(*rows: dict[str, str]) -> dict[str, str]:
    """What a browser posts for rows of conditions."""
    blank = {"source": "", "key": "", "op": "is", "value": ""}
    filled = {
        f"conditions-{number}-{part}": text
        for number, row in enumerate(rows)
        for part, text in {**blank, **row}.items()
    }
    return {"conditions-rows": str(len(rows)), **filled}


def test_a_new_agent_is_published_and_active(cast: Cast, as_: Callable[[User], Client]) -> None:
    assert as_(cast.sue).post("/admin/agents/agent/add/", {**AGENT, "name": "Second"}).status_code == 302
    agent = Agent.objects.get(name="Second")
    assert agent.current_version is not None and agent.current_version.number == 1
    assert (agent.org, agent.status, agent.is_default) == (cast.acme.org, "active", False)


def test_the_model_key_is_taken_and_never_shown(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    browser, url = as_(cast.ada), acme.url("agents.agent")
    asked = {**AGENT, "base_url": "https://models.example/v1", "new_key": "sk-very-secret"}
    assert browser.post(url, asked).status_code == 302
    agent = Agent.objects.get(pk=acme.house.agent.pk)
    assert (agent.base_url, agent.api_key, agent.url_trusted) == ("https://models.example/v1", "sk-very-secret", False)
    page = browser.get(url).content.decode()
    assert "sk-very-secret" not in page and 'type="password"' in page
    assert "sk-very-secret" not in str(list(AuditEntry.objects.values()))
    assert agent.current_version is not None and "sk-very-secret" not in str(agent.current_version.config)

    browser.post(url, {**AGENT, "base_url": "https://models.example/v1", "new_key": ""})
    agent.refresh_from_db()
    assert agent.api_key == "sk-very-secret"  # empty keeps it
    browser.post(url, {**AGENT, "base_url": "https://other.example/v1", "new_key": ""})
    agent.refresh_from_db()
    assert (agent.base_url, agent.api_key) == ("https://other.example/v1", "")


def test_a_supporter_edits_the_agent_but_neither_its_model_address_nor_its_key(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    asked = {**AGENT, "greeting": "Hi", "base_url": "https://mine.example/v1", "new_key": "sk-mine"}
    assert as_(cast.sue).post(acme.url("agents.agent"), asked).status_code == 302
    agent = Agent.objects.get(pk=acme.house.agent.pk)
    assert (agent.greeting, agent.base_url, agent.api_key) == ("Hi", "", "")
    as_(cast.sue).post("/admin/agents/agent/add/", {**asked, "name": "Second"})
    assert Agent.objects.get(name="Second").base_url == ""


def test_how_the_agent_looks_on_the_site_is_edited_and_checked(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, url = as_(cast.sue), acme.url("agents.agent")
    looks = {"suggested_messages": "Where is my order?\n\n Prices? ", "primary_colour": "#AA0000", "avatar": "🦊"}
    assert browser.post(url, {**AGENT, **looks, "voice_language": "en-GB"}).status_code == 302
    agent = Agent.objects.get(pk=acme.house.agent.pk)
    assert agent.suggested_messages == ["Where is my order?", "Prices?"] and agent.primary_colour == "#AA0000"
    assert "Where is my order?" in browser.get(url).content.decode()
    for bad in (
        {"primary_colour": "red"},
        {"dark_primary_colour": "#12345"},
        {"suggested_messages": "\n".join("1234567")},
        {"suggested_messages": "x" * 201},
        {"voice_language": "en_GB; drop"},
        {"theme": "pink"},
    ):
        assert browser.post(url, {**AGENT, **bad}).status_code == 200, bad


def test_only_a_superuser_s_address_may_be_private(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    url, local = acme.url("agents.agent"), {**AGENT, "base_url": "http://127.0.0.1:11434/v1"}
    refused = as_(cast.omar).post(url, local)
    assert refused.status_code == 200 and "must begin with https://" in refused.content.decode()
    assert as_(cast.root).post(url, local).status_code == 302
    assert Agent.objects.get(pk=acme.house.agent.pk).url_trusted


def test_agents_are_paused_made_active_and_retired_but_never_deleted(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, agent = as_(cast.sue), acme.house.agent
    for button, status in (("pause", "paused"), ("activate", "active"), ("retire", "retired")):
        browser.post(acme.url("agents.agent", button))
        agent.refresh_from_db()
        assert agent.status == status
    assert not agent.is_default
    assert browser.post(acme.url("agents.agent", "make_active")).status_code == 302
    agent.refresh_from_db()
    assert not agent.is_default  # not while it is retired
    browser.post(acme.url("agents.agent", "activate"))
    browser.post(acme.url("agents.agent", "make_active"))
    agent.refresh_from_db()
    assert agent.is_default
    assert as_(cast.root).post(acme.url("agents.agent", "delete"), {"post": "yes"}).status_code == 403


def test_a_rule_that_could_never_match_or_has_bad_conditions_is_refused(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, url = as_(cast.sue), "/admin/agents/routingrule/add/"
    rule = {
        "name": "VIP",
        "agent": acme.house.agent.pk,
        "team": acme.rows["orgs.team"].pk,
        "position": "1",
        "phrases": "",
        "acknowledgement": "Thanks",
    }
    assert "matches nothing" in browser.post(url, {**rule, **conditions()}).content.decode()
    for bad in (
        {"source": "moon", "key": "phase", "value": "full"},
        {"key": "plan", "value": "x"},
        {"source": "user", "value": "x"},
        {"source": "user", "key": "plan"},
        {"source": "user", "key": "seats", "op": "gt", "value": "many"},
        {"source": "user", "key": "plan", "op": "sounds_like", "value": "x"},
        {"source": "user", "key": "plan", "op": "in", "value": " , "},
        {"source": "user", "key": "plan", "value": "x" * 1001},
    ):
        refused = browser.post(url, {**rule, **conditions(bad)})
        assert refused.status_code == 200 and "Condition 1" in refused.content.decode(), bad
    assert browser.post(url, {**rule, **conditions(*[{"source": "message", "value": "x"}] * 31)}).status_code == 200
    good = [
        {"source": "user", "key": " plan ", "op": "in", "value": 'pro, "a, b", 5'},
        {},
        {"source": "user", "key": "seats", "op": "gt", "value": "10"},
        {"source": "message", "key": "ignored", "op": "contains", "value": "007"},
        {"source": "context", "key": "cart", "op": "exists", "value": "ignored"},
        {"source": "page", "key": "path", "op": "matches", "value": "/billing/*\0"},
    ]
    posted = {**rule, "has_priority": "on", **conditions(*good)}
    assert browser.post(url, posted).status_code == 302
    made = RoutingRule.objects.get(name="VIP")
    assert made.has_priority
    assert made.conditions == [
        {"source": "user", "key": "plan", "op": "in", "value": ["pro", "a, b", 5]},
        {"source": "user", "key": "seats", "op": "gt", "value": 10},
        {"source": "message", "op": "contains", "value": "007"},
        {"source": "context", "key": "cart", "op": "exists"},
        {"source": "page", "key": "path", "op": "matches", "value": made.conditions[4]["value"]},
    ]
    assert "\0" not in made.conditions[4]["value"]

    # Saved again as it is shown, it is the same rule; without its rows, what is stored is kept; with none, it is gone.
    at = reverse("admin:agents_routingrule_change", args=[made.pk])
    shown = browser.get(at).content.decode()
    assert "pro,&quot;a, b&quot;,5" in shown and "halo/conditions.js" in shown
    before = AuditEntry.objects.count()
    browser.post(at, {**posted, **conditions(*good)})
    assert AuditEntry.objects.count() == before
    browser.post(at, {**rule, "phrases": "x"})
    assert RoutingRule.objects.get(pk=made.pk).conditions == made.conditions
    browser.post(at, {**rule, "phrases": "x", **conditions()})
    assert RoutingRule.objects.get(pk=made.pk).conditions == []


def test_who_may_not_change_a_rule_or_a_team_reads_it_in_words(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    RoutingRule.objects.filter(org=cast.acme.org).update(
        conditions=[{"source": "user", "key": "plan", "op": "is", "value": "<b>gold"}]
    )
    Team.objects.filter(org=cast.acme.org).update(hours={"mon": ["09:00-17:00"]})
    rule = as_(cast.ana).get(acme.url("agents.routingrule")).content.decode()
    assert "user plan is “&lt;b&gt;gold”" in rule and "conditions-rows" not in rule
    team = as_(cast.ana).get(acme.url("orgs.team")).content.decode()
    assert "Monday: 09:00-17:00" in team and "Sunday: closed" in team and "hours-mon" not in team


def test_a_team_has_hours_a_time_zone_and_words_for_when_it_is_away(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, url = as_(cast.sue), acme.url("orgs.team")
    team = {"name": "Billing", "time_zone": "Europe/Berlin", "away_text": "Back {opens}.", "hours-tue": " Closed "}
    for wrong, says in (({"hours-mon": "9-25"}, "Monday"), ({"time_zone": "Mars/Base"}, "Mars/Base")):
        refused = browser.post(url, {**team, "hours-mon": "9-17", **wrong})
        assert refused.status_code == 200 and says in refused.content.decode()
    assert browser.post(url, {**team, "hours-mon": "9-12:30, 13:30-17"}).status_code == 302
    stored = Team.objects.get(pk=acme.rows["orgs.team"].pk)
    assert (stored.time_zone, stored.away_text) == ("Europe/Berlin", "Back {opens}.")
    assert {day: spans for day, spans in stored.hours.items() if spans} == {"mon": ["09:00-12:30", "13:30-17:00"]}
    assert audited(cast.acme.org, "team.changed").after["time_zone"] == "Europe/Berlin"
    page = browser.get(url).content.decode()
    assert 'value="09:00-12:30, 13:30-17:00"' in page and 'value="closed"' in page
    before = AuditEntry.objects.count()
    browser.post(url, {**team, "hours-mon": "09:00-12:30, 13:30-17:00", "hours-wed": "closed"})
    assert AuditEntry.objects.count() == before
    browser.post(url, {**team, "hours-mon": "", "hours-tue": ""})
    stored.refresh_from_db()
    assert stored.hours == {}


def test_a_team_that_has_tickets_is_not_deleted_and_one_without_is(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.sue)
    page = browser.get(acme.url("orgs.team", "delete")).content.decode()
    assert "protected related objects" in page
    browser.post("/admin/orgs/team/add/", {"name": "Empty"})
    again = browser.post("/admin/orgs/team/add/", {"name": "EMPTY"})
    assert again.status_code == 200  # names are unique in an organisation
    empty = AuditEntry.objects.get(action="team.added").target_id
    assert browser.post(reverse("admin:orgs_team_delete", args=[empty]), {"post": "yes"}).status_code == 302
    assert audited(cast.acme.org, "team.deleted").before["name"] == "Empty"


def test_an_owner_changes_settings_and_an_admin_only_the_model_key(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    url = acme.url("orgs.organization")
    assert as_(cast.omar).post(url, {**SETTINGS, "guidance": "We are Acme.", "slug": "mine"}).status_code == 302
    org = Organization.objects.get(pk=cast.acme.org.pk)
    assert (org.guidance, org.slug) == ("We are Acme.", "acme")
    asked = {**SETTINGS, "guidance": "", "verify_identity": "on", "new_key": "sk-ada"}
    assert as_(cast.ada).post(url, asked).status_code == 302
    org.refresh_from_db()
    assert (org.guidance, org.verify_identity, org.model_api_key) == ("We are Acme.", False, "sk-ada")
    assert audited(org, "organization.model_endpoint").after == {"model_api_key": "replaced"}
    assert "sk-ada" not in as_(cast.omar).get(url).content.decode()
    as_(cast.omar).post(url, {**SETTINGS, "forget_key": "on"})
    org.refresh_from_db()
    assert org.model_api_key == ""


def test_an_owner_enters_what_the_model_costs(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    url, prices = acme.url("orgs.organization"), {"input_price": "0.4", "output_price": "1.6", "currency": "eur"}
    assert as_(cast.omar).post(url, {**SETTINGS, **prices}).status_code == 302
    org = Organization.objects.get(pk=cast.acme.org.pk)
    assert (org.input_price, org.output_price, org.currency) == (0.4, 1.6, "EUR")
    assert audited(org, "organization.changed").after["input_price"] == 0.4
    for wrong in ({"currency": "€€"}, {"input_price": "-1"}):
        assert as_(cast.omar).post(url, {**SETTINGS, **prices, **wrong}).status_code == 200


def test_switching_verification_on_without_a_secret_warns(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    IdentitySecret.objects.filter(org=cast.acme.org).delete()
    asked = {**SETTINGS, "verify_identity": "on"}
    answer = as_(cast.omar).post(acme.url("orgs.organization"), asked, follow=True)
    assert "there is no active identity secret" in answer.content.decode()


def test_traits_are_json_objects_that_can_be_stored(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    browser, url = as_(cast.sue), acme.url("chat_sessions.enduser")
    person = {"name": "Peter", "custom_fields": "{}", "context": "{}"}
    for bad in ("[]", "1", '{"a": 1, "a": 2}', '{"a": NaN}', '{"\\u0000": 1}', '{"a": ' * 30 + "1" + "}" * 30):
        assert browser.post(url, {**person, "custom_fields": bad}).status_code == 200, bad
    assert browser.post(url, {**person, "context": '{"plan": "pro"}'}).status_code == 200
    context = '{"plan": {"label": "Plan", "value": "pro"}}'
    asked = {**person, "custom_fields": '{"note": "a\\u0000b"}', "context": context, "external_id": "other"}
    assert browser.post(url, asked).status_code == 302
    stored = acme.rows["chat_sessions.enduser"]
    stored.refresh_from_db()
    assert stored.custom_fields == {"note": "a\N{REPLACEMENT CHARACTER}b"}
    assert stored.context["plan"]["value"] == "pro"
    assert stored.external_id == "u-1"  # the customer's systems know the person by it


def test_an_address_that_staff_typed_is_not_verified(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    person = acme.rows["chat_sessions.enduser"]
    type(person).objects.filter(pk=person.pk).update(email="a@acme.example", email_verified=True)
    asked = {"name": "Peter", "email": "a@acme.example", "custom_fields": "{}", "context": "{}"}
    for email, verified in (("a@acme.example", True), ("b@acme.example", False)):
        as_(cast.sue).post(acme.url("chat_sessions.enduser"), {**asked, "email": email})
        person.refresh_from_db()
        assert (person.email, person.email_verified) == (email, verified)


def test_two_people_cannot_have_one_id(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    asked = {"external_id": "u-1", "name": "Twin", "custom_fields": "{}", "context": "{}"}
    assert as_(cast.sue).post("/admin/chat_sessions/enduser/add/", asked).status_code == 200
    assert as_(cast.sue).post("/admin/chat_sessions/enduser/add/", {**asked, "external_id": "u-2"}).status_code == 302


def test_an_article_is_stored_at_once_and_found_when_a_worker_has_read_it(
    cast: Cast, as_: Callable[[User], Client], django_capture_on_commit_callbacks: Any
) -> None:
    browser = as_(cast.sue)
    asked = {"title": "Returns", "url": "shop.example/returns", "content": "# Returns\n\nWithin 30 days."}
    with django_capture_on_commit_callbacks() as after:
        assert browser.post("/admin/agents/article/add/", asked).status_code == 302
    article = Article.objects.get(title="Returns")
    assert (article.org, article.source.name, article.url) == (
        cast.acme.org,
        "Written here",
        "https://shop.example/returns",
    )
    assert len(after) == 1 and not article.passages.exists()
    read_article(str(article.pk))
    article.refresh_from_db()
    assert article.content_hash and article.passages.get().org == cast.acme.org
    read_article(str(article.pk))  # a second delivery changes nothing
    assert article.passages.count() == 1
    assert browser.post(reverse("admin:agents_article_delete", args=[article.pk]), {"post": "yes"}).status_code == 302
    read_article(str(article.pk))
    assert not Article.objects.filter(pk=article.pk).exists()
