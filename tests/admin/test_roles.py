"""Who is let in at all, and what is offered to whom; page by page it is in test_matrix."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from orgs.models import User
from tests.admin.furnished import Furnished
from tests.cast import Cast


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
