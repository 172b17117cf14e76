"""Role by page: the table of orgs.permissions, as the pages keep it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from agents.publishing import change_agent, save_draft
from orgs.models import User
from tests.admin.furnished import Furnished
from tests.cast import Cast

EVERYBODY = {"omar", "ada", "sue", "ana", "root"}
BUILDERS = EVERYBODY - {"ana"}
MANAGERS = BUILDERS - {"sue"}

# (page, who may read it, who may add, who gets a form that saves)
PAGES = [
    ("orgs.organization", MANAGERS, {"root"}, MANAGERS),
    ("orgs.membership", MANAGERS, MANAGERS, MANAGERS - {"ada"}),  # the row is the owner's
    ("orgs.team", EVERYBODY, BUILDERS, BUILDERS),
    ("orgs.widgetkey", BUILDERS, BUILDERS, BUILDERS),
    ("orgs.identitysecret", MANAGERS, MANAGERS, MANAGERS),
    ("orgs.auditentry", MANAGERS, set(), set()),
    ("agents.agent", EVERYBODY, BUILDERS, BUILDERS),
    ("agents.agentversion", EVERYBODY, set(), set()),
    ("agents.routingrule", EVERYBODY, BUILDERS, BUILDERS),
    ("agents.source", EVERYBODY, BUILDERS, BUILDERS),
    ("agents.guidance", EVERYBODY, BUILDERS, BUILDERS),
    ("agents.article", EVERYBODY, BUILDERS, set()),  # one that a source brings: read and deleted
    ("chat_sessions.enduser", EVERYBODY, BUILDERS, BUILDERS),
    ("chat_sessions.company", EVERYBODY, BUILDERS, BUILDERS),
    ("chat_sessions.event", EVERYBODY, set(), set()),
    ("conversations.conversation", EVERYBODY, set(), set()),
    ("conversations.ticket", EVERYBODY, set(), set()),
    ("conversations.cannedreply", EVERYBODY, BUILDERS, BUILDERS),
    ("conversations.webhook", MANAGERS, MANAGERS, MANAGERS),
    ("conversations.outboxitem", MANAGERS, set(), set()),
]
# (button, who may press it)
BUTTONS = [
    ("orgs.widgetkey", "rotate", BUILDERS),
    ("orgs.widgetkey", "revoke", BUILDERS),
    ("orgs.identitysecret", "rotate", MANAGERS),
    ("orgs.identitysecret", "revoke", MANAGERS),
    ("agents.agent", "pause", BUILDERS),
    ("agents.agent", "retire", BUILDERS),
    ("agents.agent", "publish_draft", BUILDERS),
    ("agents.agent", "discard", BUILDERS),
    ("agents.agentversion", "roll_back", BUILDERS),
    ("agents.article", "read_again", BUILDERS),
    ("agents.source", "add_files", BUILDERS),
    ("agents.source", "remove", BUILDERS),
    ("conversations.conversation", "take_over", BUILDERS),
    ("conversations.conversation", "close", BUILDERS),
    ("conversations.webhook", "send_test", MANAGERS),
    ("conversations.webhook", "rotate", MANAGERS),
    ("conversations.outboxitem", "repeat", MANAGERS),
]
PEOPLE = ["omar", "ada", "sue", "ana", "root"]


@pytest.mark.parametrize("person", PEOPLE)
def test_each_role_reads_adds_and_changes_what_the_table_says(
    person: str, cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(getattr(cast, person))
    for label, reads, adds, changes in PAGES:
        app, model = label.split(".")
        listed = browser.get(reverse(f"admin:{app}_{model}_changelist"))
        assert listed.status_code == (200 if person in reads else 403), (label, "list")
        shown = browser.get(acme.url(label))
        assert shown.status_code == (200 if person in reads else 404), (label, "page")
        if person in reads and label != "conversations.conversation":
            assert (b'name="_save"' in shown.content) == (person in changes), (label, "save button")
        new = browser.get(reverse(f"admin:{app}_{model}_add"), {"org": acme.house.org.pk})
        assert new.status_code == (200 if person in adds else 403), (label, "add")
        if person not in changes:
            assert browser.post(acme.url(label), {"name": "x"}).status_code in (403, 404, 405), (label, "change")


@pytest.mark.parametrize("person", PEOPLE)
def test_each_role_presses_the_buttons_that_the_table_gives_it(
    person: str, cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(getattr(cast, person))
    agent = acme.house.agent
    agent.greeting = "Hi"
    change_agent(agent=agent, names=["greeting"], by=None)  # the furnished version is an earlier one now
    agent.greeting = "Hello"
    save_draft(agent=agent, names=["greeting"], by=None)
    for label, button, pressing in BUTTONS:
        url = acme.url(label, button)
        asked = browser.get(url)
        if person in pressing:
            assert asked.status_code == 200, (label, button)
        else:
            assert asked.status_code in (403, 404), (label, button)
            assert browser.post(url).status_code in (403, 404), (label, button)


def test_a_person_without_an_organisation_is_not_let_in_and_a_member_is(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    lonely = User.objects.create_user("lonely@acme.example", "correct horse battery")
    assert as_(lonely).get("/admin/").status_code == 302
    assert as_(cast.ana).get("/admin/").status_code == 200


def test_a_member_who_was_removed_is_out_at_the_next_click(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.ana)
    assert browser.get(reverse("admin:agents_agent_changelist")).status_code == 200
    cast.ana.memberships.all().delete()
    assert browser.get(reverse("admin:agents_agent_changelist")).status_code == 302


def test_the_front_page_and_the_sidebar_offer_only_what_a_role_may_see(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    keys, secrets, people = (
        reverse(f"admin:orgs_{name}_changelist").encode() for name in ("widgetkey", "identitysecret", "user")
    )
    for person, expected in (("omar", (1, 1, 0)), ("sue", (1, 0, 0)), ("ana", (0, 0, 0)), ("root", (1, 1, 1))):
        page = as_(getattr(cast, person)).get("/admin/").content
        assert tuple(int(link in page) for link in (keys, secrets, people)) == expected, person


def test_accounts_are_for_superusers_alone(cast: Cast, as_: Callable[[User], Client]) -> None:
    url = reverse("admin:orgs_user_change", args=[cast.ana.pk])
    assert as_(cast.omar).get(url).status_code == 404
    assert as_(cast.omar).get(reverse("admin:orgs_user_changelist")).status_code == 403
    assert as_(cast.root).get(url).status_code == 200


def test_somebody_with_two_organisations_has_in_each_the_rights_of_their_role_there(
    cast: Cast, acme: Furnished, globex: Furnished, as_: Callable[[User], Client]
) -> None:
    cast.ana.memberships.create(org=globex.house.org, role="support")
    browser = as_(cast.ana)
    assert b'name="_save"' not in browser.get(acme.url("orgs.team")).content
    assert b'name="_save"' in browser.get(globex.url("orgs.team")).content
    assert browser.get(acme.url("orgs.widgetkey")).status_code == 404
    assert browser.get(globex.url("orgs.widgetkey")).status_code == 200
    # Only one of the two lets her add a team, so nothing is asked, and the other is refused.
    assert browser.get(reverse("admin:orgs_team_add")).status_code == 200
    assert browser.get(reverse("admin:orgs_team_add"), {"org": acme.house.org.pk}).status_code == 404
