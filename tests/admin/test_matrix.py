"""Every address of the admin, for every role and a stranger, by the table in tests/admin/matrix.py; and what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from agents.models import Guidance, RoutingRule
from agents.publishing import change_agent, save_draft
from conversations.models import Conversation
from orgs.models import User
from tests.admin.furnished import Furnished, audited
from tests.admin.matrix import BULK, ELSEWHERE, MODELS, OWN, PLAIN
from tests.cast import Cast

PEOPLE = ["omar", "ada", "sue", "ana", "root", "gus"]
MOST_QUERIES = 20
# Tables that grow with the visitors: a count that is not of a bounded part reads all of an organisation's rows.
LARGE = "auditentry|event|enduser|company|chatsession|conversation|message|turn|turntrace|toolcall|ticket|answerlabel"
EXACT_COUNT = re.compile(rf'SELECT COUNT\(\*\) AS "__count" FROM "[a-z_]+_({LARGE})"')
PAGES_OF_A_MODEL = ("changelist", "add", "change", "delete", "history")


def names(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from names(entry, path)
        elif isinstance(entry, URLPattern) and path.startswith("admin/") and entry.name:
            yield entry.name


def named(label: str, page: str) -> str:
    return f"{label.replace('.', '_')}_{page}"


def test_every_address_of_the_admin_is_in_the_matrix() -> None:
    known = {named(label, page) for label in MODELS for page in PAGES_OF_A_MODEL}
    known |= {named(label, button) for label, model in MODELS.items() for button, _ in model.buttons}
    assert set(names(get_resolver())) == known | set(PLAIN) | set(ELSEWHERE) | OWN


def test_every_action_on_chosen_rows_is_in_the_matrix() -> None:
    offered = set()
    for model, page in admin.site._registry.items():
        label = model._meta.label_lower
        if label not in MODELS:
            continue
        own = {name for name in page.actions or () if isinstance(name, str)}  # type: ignore[union-attr]
        offered |= {(label, name) for name in own}
        if MODELS[label].delete:
            offered.add((label, "delete_selected"))
    assert offered == set(BULK)


@pytest.fixture
def rows(cast: Cast, acme: Furnished, globex: Furnished) -> dict[str, Any]:
    """Acme's rows, with a draft that can be published, and a version that is not the current one."""
    agent = acme.house.agent
    agent.greeting = "Hi"
    change_agent(agent=agent, names=["greeting"], by=None)
    agent.greeting = "Hello"
    save_draft(agent=agent, names=["greeting"], by=None)
    return {**acme.rows, "orgs.user": cast.sue}


@pytest.mark.parametrize("person", PEOPLE)
def test_each_role_gets_in_where_the_matrix_says_and_no_page_costs_more_than_twenty_queries(
    person: str, cast: Cast, rows: dict[str, Any], as_: Callable[[User], Client]
) -> None:
    browser, org = as_(getattr(cast, person)), {"org": str(cast.acme.org.pk)}

    shown_pages: dict[str, bytes] = {}

    def get(name: str, *args: Any, **query: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            answer = browser.get(reverse(f"admin:{name}", args=args), query)
            shown_pages[name] = b"".join(answer) if answer.streaming else answer.content
        statements = [query["sql"] for query in asked.captured_queries]
        assert len(statements) <= MOST_QUERIES, (name, len(statements), statements)
        assert not [sql for sql in statements if EXACT_COUNT.search(sql)], (name, statements)
        return int(answer.status_code)

    for label, model in MODELS.items():
        row, strange = rows[label], person == "gus"
        read = person in model.read
        # A stranger has the role of an owner at home: the lists are there, and none of this is in them.
        if not strange:
            assert get(named(label, "changelist")) == (200 if read else 403), label
            assert get(named(label, "add"), **org) == (200 if person in model.add else 403), (label, "add")
        shown = 200 if read and not strange else 404
        assert get(named(label, "change"), row.pk) == shown, (label, "change")
        if shown == 200 and label != "conversations.conversation":
            saves = b'name="_save"' in shown_pages[named(label, "change")]
            assert saves == (person in model.change), (label, "save button")
        delete = get(named(label, "delete"), row.pk)
        assert delete == (404 if shown == 404 else 200 if person in model.delete else 403), (label, "delete")
        history = get(named(label, "history"), row.pk)
        may_read_audit = person in MODELS["orgs.auditentry"].read
        assert history == (404 if shown == 404 else 302 if may_read_audit else 403), (label, "history")
        for button, pressing in model.buttons:
            # A button whose time has not come leads back, for those who might press it.
            expected = {200, 302} if person in pressing else {403} if shown == 200 else {404}
            assert get(named(label, button), row.pk) in expected, (label, button)
            if person not in pressing:
                pressed = browser.post(reverse(f"admin:{named(label, button)}", args=[row.pk])).status_code
                assert pressed in ({403, 405} if shown == 200 else {404, 405}), (label, button)
        if person not in model.change:
            assert browser.post(reverse(f"admin:{named(label, 'change')}", args=[row.pk]), {"name": "x"}).status_code in (
                403, 404, 405,
            ), (label, "change")  # fmt: skip
    for name, (reading, pressing) in PLAIN.items():
        if person == "gus":
            allowed_get = allowed_post = {404, 405}
        else:
            allowed_get = {200} if person in reading else {403, 405}
            allowed_post = {302} if person in pressing else {403, 405}
        # Whom the pages of data protection are about.
        about = {"person": str(rows["chat_sessions.enduser"].pk)} if name.startswith("privacy") else {}
        assert get(name, **org, **about) in allowed_get, name
        if name != "index":  # Django's, and it does not look at the method
            assert browser.post(f"{reverse(f'admin:{name}')}?org={org['org']}", about).status_code in allowed_post, name


@pytest.mark.parametrize("person", PEOPLE)
def test_actions_on_chosen_rows_ask_and_act_for_those_who_may(
    person: str, cast: Cast, rows: dict[str, Any], as_: Callable[[User], Client]
) -> None:
    browser = as_(getattr(cast, person))
    for (label, name), pressing in BULK.items():
        url, row = reverse(f"admin:{named(label, 'changelist')}"), rows[label]
        # Each action has something to do.
        RoutingRule.objects.filter(pk=rows["agents.routingrule"].pk).update(is_active=name != "turn_on")
        asked = browser.post(url, {"action": name, "_selected_action": [str(row.pk)]})
        if person in pressing:
            # What other rows hang on cannot be deleted, which the same page says.
            assert asked.status_code == 200, (label, name)
        else:
            assert f'value="{row.pk}">'.encode() not in asked.content, (label, name)
            confirmed = {"action": name, "_selected_action": [str(row.pk)], "confirmed": "yes", "post": "yes"}
            browser.post(url, confirmed)
            assert type(row)._default_manager.filter(pk=row.pk).exists(), (label, name)
    if person in ("ana", "gus"):
        assert Conversation.objects.get(pk=rows["conversations.conversation"].pk).status == "open"
        assert Guidance.objects.get(pk=rows["agents.guidance"].pk).is_active


def test_a_confirmed_action_is_done_to_each_row_by_its_service_and_audited(
    cast: Cast, rows: dict[str, Any], as_: Callable[[User], Client]
) -> None:
    browser, rule = as_(cast.sue), rows["agents.routingrule"]
    off = RoutingRule.objects.create(org=rule.org, agent=rule.agent, name="Off", team=rule.team, is_active=False)
    url = reverse("admin:agents_routingrule_changelist")
    chosen = {"action": "turn_off", "_selected_action": [str(rule.pk), str(off.pk)]}
    asked = browser.post(url, chosen).content.decode()
    assert "Turn off: 1 routing rule" in asked and "1 of those that you chose is left as it is" in asked
    assert RoutingRule.objects.get(pk=rule.pk).is_active
    answer = browser.post(url, {**chosen, "confirmed": "yes"}, follow=True)
    assert "1 routing rule: turned off." in answer.content.decode()
    assert not RoutingRule.objects.get(pk=rule.pk).is_active
    assert audited(rule.org, "routingrule.changed").actor == cast.sue


def test_every_list_counts_up_to_a_bound_and_says_so(
    cast: Cast, rows: dict[str, Any], as_: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    for model, page in admin.site._registry.items():
        if model._meta.app_label in {app.label for app in apps.get_app_configs()}:
            assert page.paginator.__name__ == "BoundedPaginator", model
    browser = as_(cast.ana)
    url = reverse("admin:conversations_conversation_changelist")
    exact, cut = re.compile(rb"\s1\s+conversation"), re.compile(rb"\s1\+\s+conversation")
    assert exact.search(browser.get(url).content)
    monkeypatch.setattr("orgs.staff_lists.BoundedPaginator.MOST", 1)
    assert cut.search(browser.get(url).content)
