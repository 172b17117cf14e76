"""Members, accounts, passwords and logins, as staff meet them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from orgs.models import AuditEntry, Membership, Organization, User
from tests.admin.furnished import Furnished, audited
from tests.cast import PASSWORD, Cast

ADD = "/admin/orgs/membership/add/"
LOGIN = "/admin/login/"


def link_in(page: bytes) -> str:
    found = re.search(r'value="(http://testserver/admin/set-password/[^"]+)"', page.decode())
    assert found is not None
    return found[1]


def log_in(email: str, password: str, **extra: str) -> Client:
    browser = Client()
    browser.answer = browser.post(LOGIN, {"username": email, "password": password}, **extra)  # type: ignore
    return browser


def test_somebody_new_is_invited_by_a_link_that_works_once(cast: Cast, as_: Callable[[User], Client]) -> None:
    shown = as_(cast.ada).post(ADD, {"email": "New@Acme.example", "name": "New", "role": "support"})
    user = User.objects.get(email="new@acme.example")
    assert Membership.objects.get(user=user).role == "support"
    link = link_in(shown.content)
    page = Client()
    form = page.get(link, follow=True)
    chosen = {"new_password1": "a long enough one", "new_password2": "a long enough one"}
    assert page.post(form.request["PATH_INFO"], chosen).status_code == 302
    assert "does not work" in Client().get(link, follow=True).content.decode()
    assert log_in("new@acme.example", "a long enough one").get("/admin/").status_code == 200


def test_an_admin_cannot_touch_owners_and_an_owner_can(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    owner = acme.url("orgs.membership")
    assert b'value="owner"' not in as_(cast.ada).get(ADD).content
    refused = as_(cast.ada).post(ADD, {"email": "x@acme.example", "role": "owner"})
    assert refused.status_code == 200 and not User.objects.filter(email="x@acme.example").exists()
    assert as_(cast.ada).post(owner, {"role": "analyst"}).status_code == 403
    assert as_(cast.ada).post(acme.url("orgs.membership", "delete"), {"post": "yes"}).status_code == 403
    assert as_(cast.omar).post(ADD, {"email": "x@acme.example", "role": "owner"}).status_code == 200
    assert as_(cast.omar).post(owner, {"role": "analyst"}).status_code == 302


def test_the_last_owner_stays_whatever_the_page(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    browser = as_(cast.omar)
    refused = browser.post(acme.url("orgs.membership"), {"role": "support"})
    assert "needs an owner" in refused.content.decode()
    answer = browser.post(acme.url("orgs.membership", "delete"), {"post": "yes"}, follow=True)
    assert "needs an owner" in answer.content.decode()
    rows = list(Membership.objects.filter(org=cast.acme.org).values_list("pk", flat=True))
    bulk = {"action": "delete_selected", "_selected_action": rows, "post": "yes"}
    answer = browser.post(reverse("admin:orgs_membership_changelist"), bulk, follow=True)
    assert "needs an owner" in answer.content.decode()
    assert Membership.objects.filter(org=cast.acme.org).count() == 4  # all or nothing


def test_an_account_of_another_organisation_is_let_in_by_a_superuser_only(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    asked = {"email": "gus@globex.example", "role": "analyst"}
    refused = as_(cast.omar).post(ADD, asked)
    assert refused.status_code == 200 and "Ask an operator" in refused.content.decode()
    assert as_(cast.root).post(f"{ADD}?org={cast.acme.org.pk}", asked).status_code == 302
    assert Membership.objects.get(org=cast.acme.org, user=cast.gus).role == "analyst"


def test_a_password_link_is_handed_out_by_whoever_is_above_the_person_everywhere(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    def offered(by: User, user: User) -> bool:
        row = Membership.objects.get(org=cast.acme.org, user=user)
        return as_(by).get(reverse("admin:orgs_membership_new_password", args=[row.pk])).status_code == 200

    assert offered(cast.ada, cast.sue)
    assert not offered(cast.ada, cast.omar)
    assert offered(cast.omar, cast.ada)
    Membership.objects.create(org=cast.globex.org, user=cast.sue, role="analyst")
    assert not offered(cast.ada, cast.sue)
    assert offered(cast.root, cast.sue)


def test_a_new_password_ends_the_sessions_of_before(cast: Cast, as_: Callable[[User], Client]) -> None:
    browser = as_(cast.sue)
    assert browser.get("/admin/").status_code == 200
    row = Membership.objects.get(user=cast.sue)
    shown = as_(cast.ada).post(reverse("admin:orgs_membership_new_password", args=[row.pk]))
    page = Client()
    form = page.get(link_in(shown.content), follow=True)
    page.post(form.request["PATH_INFO"], {"new_password1": "another good one", "new_password2": "another good one"})
    assert browser.get("/admin/").status_code == 302
    assert audited(cast.acme.org, "member.password_link").actor == cast.ada
    assert audited(None, "password.set").actor == cast.sue


def test_a_superuser_makes_an_organisation_whose_owner_gets_a_link(cast: Cast, as_: Callable[[User], Client]) -> None:
    asked = {"name": "Initech", "slug": "", "owner": "bill@initech.example", "model_backend": ""}
    shown = as_(cast.root).post("/admin/orgs/organization/add/", asked)
    org = Organization.objects.get(slug="initech")
    assert link_in(shown.content)
    assert Membership.objects.get(org=org).role == "owner"
    assert audited(org, "organization.created").actor == cast.root
    again = as_(cast.root).post("/admin/orgs/organization/add/", {**asked, "slug": "initech"})
    assert "This slug is taken" in again.content.decode()


def test_a_superuser_cannot_lock_themselves_out(cast: Cast, as_: Callable[[User], Client]) -> None:
    url = reverse("admin:orgs_user_change", args=[cast.root.pk])
    refused = as_(cast.root).post(url, {"email": cast.root.email, "name": "Root", "is_superuser": "on"})
    assert "cannot deactivate your own" in refused.content.decode()
    other = reverse("admin:orgs_user_change", args=[cast.ana.pk])
    assert as_(cast.root).post(other, {"email": "Ana@acme.example", "name": "Ana"}).status_code == 302
    cast.ana.refresh_from_db()
    assert (cast.ana.email, cast.ana.is_active) == ("ana@acme.example", False)


def test_the_login_ignores_case_and_leads_to_the_pages(cast: Cast) -> None:
    answer = log_in("OMAR@Acme.Example", PASSWORD).answer  # type: ignore[attr-defined]
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


@pytest.mark.usefixtures("db")
def test_failed_logins_are_audited_without_the_password(cast: Cast) -> None:
    log_in("Omar@acme.example", "wrong-password")
    entry = audited(None, "login.failed")
    assert (entry.actor_label, entry.actor, entry.address) == ("omar@acme.example", None, "127.0.0.1")
    assert "wrong-password" not in str(list(AuditEntry.objects.values()))


def test_guessing_is_locked_out_whatever_the_spelling_and_others_still_log_in(cast: Cast) -> None:
    limit = settings.AXES_FAILURE_LIMIT
    for attempt in range(limit):
        log_in("omar@acme.example" if attempt % 2 else "OMAR@acme.example", "guess")
    locked = log_in("Omar@Acme.example", PASSWORD)
    assert locked.answer.status_code == 429  # type: ignore[attr-defined]
    assert locked.get("/admin/").status_code == 302
    assert AuditEntry.objects.filter(action="login.failed").count() == limit  # no row for those during the lock-out
    assert log_in("ada@acme.example", PASSWORD).get("/admin/").status_code == 200
    assert log_in("omar@acme.example", PASSWORD, REMOTE_ADDR="192.0.2.7").get("/admin/").status_code == 200
