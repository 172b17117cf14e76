"""Gus of Globex looks for Acme everywhere, and finds nothing; Omar finds it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from agents.models import RoutingRule
from orgs.models import AuditEntry, Team, User
from orgs.tenancy import TenantModel
from sessions.models import EndUser
from tests.admin.furnished import Furnished, nobody
from tests.cast import Cast


@pytest.fixture
def gus(cast: Cast, acme: Furnished, globex: Furnished, as_: Callable[[User], Client]) -> Client:
    return as_(cast.gus)


@pytest.fixture
def omar(cast: Cast, as_: Callable[[User], Client]) -> Client:
    return as_(cast.omar)


def registered() -> list[str]:
    own = {"orgs", "agents", "chat_sessions", "conversations"}
    return sorted(model._meta.label_lower for model in admin.site._registry if model._meta.app_label in own)


def buttons(label: str) -> list[str]:
    page = admin.site._registry[apps.get_model(label)]
    return list(page._extract_action_names(page.actions_detail))  # type: ignore[attr-defined]


def test_every_page_belongs_to_the_tenant_scoped_base_and_is_furnished_here(acme: Furnished) -> None:
    assert set(registered()) == set(acme.rows) | {"orgs.user"}
    for model, page in admin.site._registry.items():
        assert any(base.__name__ == "StaffAdmin" for base in type(page).__mro__), model


def test_every_address_of_a_foreign_row_is_the_404_of_an_unknown_one(gus: Client, acme: Furnished) -> None:
    for label, row in acme.rows.items():
        app, model = label.split(".")
        for page in ["change", "delete", "history", *buttons(label)]:
            name = f"admin:{app}_{model}_{page}"
            for method in (gus.get, gus.post):
                foreign = method(reverse(name, args=[row.pk]))
                unknown = method(reverse(name, args=[nobody() if len(str(row.pk)) > 30 else 999_999]))
                assert foreign.status_code == unknown.status_code == 404, (name, method)
                assert foreign.content == unknown.content


def test_the_own_row_has_every_address(omar: Client, acme: Furnished) -> None:
    for label in acme.rows:
        assert omar.get(acme.url(label)).status_code == 200, label
        assert omar.get(acme.url(label, "history")).status_code == 302, label


def test_lists_show_the_own_rows_and_none_of_others(gus: Client, omar: Client, acme: Furnished) -> None:
    for label in acme.rows:
        app, model = label.split(".")
        url = reverse(f"admin:{app}_{model}_changelist")
        assert b"Acme" not in gus.get(url).content, label
        assert b"Acme" in omar.get(url).content or label in ("orgs.membership", "orgs.identitysecret"), label


def test_searches_find_the_own_rows_and_none_of_others(gus: Client, omar: Client, acme: Furnished) -> None:
    for label, row in acme.rows.items():
        app, model = label.split(".")
        url = reverse(f"admin:{app}_{model}_changelist")
        for term in ("acme", "Acme question", str(row.pk), "u-1", "doc_1"):
            found = gus.get(url, {"q": term})
            assert found.status_code == 200, (label, term)
            assert acme.url(label).encode() not in found.content, (label, term)
    for term in ("question", "acme visitor", "u-1", str(acme.rows["conversations.conversation"].pk)):
        found = omar.get(reverse("admin:conversations_conversation_changelist"), {"q": term})
        assert acme.url("conversations.conversation").encode() in found.content, term


def test_filters_offer_no_foreign_choice_and_a_foreign_value_finds_nothing(
    gus: Client, omar: Client, acme: Furnished
) -> None:
    url = reverse("admin:conversations_conversation_changelist")
    agent, person = acme.house.agent.pk, acme.rows["chat_sessions.enduser"].pk
    for query in ({"agent__id__exact": agent}, {"person": person}):
        assert acme.url("conversations.conversation").encode() not in gus.get(url, query).content
        assert acme.url("conversations.conversation").encode() in omar.get(url, query).content
    assert gus.get(url, {"person": person}).content.count(b"Acme") == 0
    assert b"Acme" not in gus.get(reverse("admin:agents_routingrule_changelist")).content


def test_hidden_columns_cannot_be_guessed_at_by_filtering(gus: Client, omar: Client, globex: Furnished) -> None:
    for model, lookup in (
        ("conversations_conversation", "session__session_id__startswith"),
        ("orgs_identitysecret", "secret__startswith"),
        ("orgs_membership", "user__password__startswith"),
        ("agents_agent", "api_key__contains"),
        ("orgs_team", "org__model_api_key"),
        ("conversations_conversation", "agent__api_key__contains"),
        ("chat_sessions_enduser", "company__org__model_api_key"),
    ):
        answer = gus.get(reverse(f"admin:{model}_changelist"), {lookup: "s"})
        assert answer.status_code in (302, 400), (model, lookup)
    assert gus.get(reverse("admin:agents_agent_changelist"), {"status__exact": "active"}).status_code == 200


def test_an_audit_row_outside_every_organisation_is_a_superusers(
    cast: Cast, gus: Client, as_: Callable[[User], Client]
) -> None:
    entry = AuditEntry.objects.create(actor_label="somebody@else.example", action="login.failed")
    url = reverse("admin:orgs_auditentry_change", args=[entry.pk])
    assert gus.get(url).status_code == 404
    assert as_(cast.root).get(url).status_code == 200


def test_autocomplete_finds_companies_of_the_form_s_organisation_only(
    cast: Cast, gus: Client, omar: Client, acme: Furnished, globex: Furnished, as_: Callable[[User], Client]
) -> None:
    asked = {"app_label": "chat_sessions", "model_name": "enduser", "field_name": "company", "term": ""}
    url = reverse("admin:autocomplete")

    def names(browser: Client, org: object) -> list[str]:
        return [found["text"] for found in browser.get(url, {**asked, "org": str(org)}).json()["results"]]

    assert names(gus, globex.house.org.pk) == ["Globex customer"]
    assert names(gus, acme.house.org.pk) == []
    assert names(gus, "") == []
    assert names(omar, acme.house.org.pk) == ["Acme customer"]
    assert names(as_(cast.root), acme.house.org.pk) == ["Acme customer"]


def test_relations_offer_and_take_rows_of_the_own_organisation_only(
    gus: Client, omar: Client, acme: Furnished, globex: Furnished
) -> None:
    form = gus.get(reverse("admin:agents_routingrule_add")).content
    assert b"Globex billing" in form and b"Acme" not in form
    assert b"Acme" not in gus.get(reverse("admin:orgs_team_add")).content

    rule = {"name": "Mine", "position": "0", "phrases": "help", "conditions": "[]", "acknowledgement": "Thanks"}
    foreign = {**rule, "agent": acme.house.agent.pk, "team": acme.rows["orgs.team"].pk}
    assert gus.post(reverse("admin:agents_routingrule_add"), foreign).status_code == 200  # the form again
    assert not RoutingRule.objects.filter(name="Mine").exists()
    own = {**rule, "agent": globex.house.agent.pk, "team": globex.rows["orgs.team"].pk}
    assert gus.post(reverse("admin:agents_routingrule_add"), own).status_code == 302
    assert RoutingRule.objects.get(name="Mine").org == globex.house.org

    person = EndUser.objects.get(org=globex.house.org)
    moved = {"name": "x", "company": acme.rows["chat_sessions.company"].pk, "custom_fields": "{}", "context": "{}"}
    gus.post(globex.url("chat_sessions.enduser"), moved)
    person.refresh_from_db()
    assert person.company != acme.rows["chat_sessions.company"]


def test_a_foreign_person_cannot_be_put_into_a_team(cast: Cast, gus: Client, globex: Furnished) -> None:
    url = globex.url("orgs.team")
    assert gus.post(url, {"name": "T", "members": [str(cast.omar.pk)]}).status_code == 200  # the form again
    assert gus.post(url, {"name": "T", "members": [str(cast.gus.pk)]}).status_code == 302
    assert list(Team.objects.get(org=globex.house.org).members.all()) == [cast.gus]


def test_nothing_can_be_added_to_a_foreign_organisation(gus: Client, acme: Furnished) -> None:
    for label in registered():
        app, model = label.split(".")
        page = admin.site._registry[apps.get_model(label)]
        if issubclass(page.model, TenantModel) and page.may_add and page.edit:  # type: ignore[attr-defined]
            url = reverse(f"admin:{app}_{model}_add")
            for org in (acme.house.org.pk, nobody(), "x"):
                assert gus.get(f"{url}?org={org}").status_code == 404, label
                assert gus.post(f"{url}?org={org}", {"name": "x"}).status_code == 404, label


def test_bulk_actions_leave_foreign_rows_alone(gus: Client, omar: Client, acme: Furnished, globex: Furnished) -> None:
    def delete(browser: Client, row: object) -> None:
        url = reverse("admin:agents_routingrule_changelist")
        asked = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}  # type: ignore[attr-defined]
        browser.post(url, asked)

    theirs, own = acme.rows["agents.routingrule"], globex.rows["agents.routingrule"]
    delete(gus, theirs)
    assert RoutingRule.objects.filter(pk=theirs.pk).exists()
    delete(gus, own)
    assert not RoutingRule.objects.filter(pk=own.pk).exists()
    delete(omar, theirs)
    assert not RoutingRule.objects.filter(pk=theirs.pk).exists()


def test_images_and_turns_are_reached_through_their_own_conversation_only(
    gus: Client, omar: Client, acme: Furnished, globex: Furnished
) -> None:
    mine, theirs = globex.rows["conversations.conversation"].pk, acme.rows["conversations.conversation"].pk
    for name, key in (("image", acme.image.pk), ("turn", acme.turn.pk)):
        for conversation in (mine, theirs):
            url = reverse(f"admin:conversations_conversation_{name}", args=[conversation, key])
            assert gus.get(url).status_code == 404
        url = reverse(f"admin:conversations_conversation_{name}", args=[theirs, key])
        assert omar.get(url).status_code == 200


def test_nul_and_nonsense_in_addresses_are_no_errors(omar: Client, acme: Furnished) -> None:
    for label in acme.rows:
        app, model = label.split(".")
        url = reverse(f"admin:{app}_{model}_changelist")
        for query in ("q=%00", "org=x", "person=x", "agent__id__exact=x", "status__exact=%00", "p=9999", "o=99", "e=1"):
            assert omar.get(f"{url}?{query}").status_code in (200, 302, 400), (label, query)
        assert omar.get(reverse(f"admin:{app}_{model}_change", args=["%00"])).status_code == 404
    assert omar.get(f"{acme.url('conversations.conversation')}?before=x").status_code == 200
    assert omar.get(f"{acme.url('conversations.conversation')}?before=%F3%A0%84%80").status_code == 200
