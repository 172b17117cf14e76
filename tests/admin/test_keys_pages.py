"""Widget keys and identity secrets, as staff manage them."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orgs.models import AuditEntry, IdentitySecret, User, WidgetKey
from tests.admin.furnished import Furnished, audited
from tests.cast import Cast

KEY_ADD = "/admin/orgs/widgetkey/add/"
SECRET_ADD = "/admin/orgs/identitysecret/add/"


def test_a_new_key_has_the_origins_as_browsers_write_them(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.sue)
    bad = browser.post(KEY_ADD, {"label": "Shop", "origins": "https://shop.example/path"})
    assert bad.status_code == 200 and "is not an origin" in bad.content.decode()
    assert browser.post(KEY_ADD, {"label": "Shop", "origins": "HTTPS://Shop.example:443/\n\n"}).status_code == 302
    key = WidgetKey.objects.get(label="Shop")
    assert (key.org, key.origins, key.created_by) == (cast.acme.org, ["https://shop.example"], cast.sue)
    entry = audited(cast.acme.org, "widget_key.created")
    assert (entry.actor, entry.address, entry.target_id) == (cast.sue, "127.0.0.1", str(key.pk))


def test_the_value_of_a_key_is_never_edited_and_its_label_is(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    before = acme.house.key.value
    asked = {"label": "Homepage", "origins": "", "value": "ab_live_mine"}
    assert as_(cast.sue).post(acme.url("orgs.widgetkey"), asked).status_code == 302
    key = WidgetKey.objects.get(pk=acme.house.key.pk)
    assert (key.label, key.value) == ("Homepage", before)
    entry = audited(cast.acme.org, "widget_key.changed")
    assert (entry.before, entry.after) == ({"label": "Acme website"}, {"label": "Homepage"})


def test_a_key_is_rotated_with_a_grace_time_and_revoked_at_once(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, old = as_(cast.ada), acme.house.key
    asked = browser.get(acme.url("orgs.widgetkey", "rotate"))
    assert asked.status_code == 200 and WidgetKey.objects.filter(org=cast.acme.org).count() == 1
    answer = browser.post(acme.url("orgs.widgetkey", "rotate"), {"grace": "60"})
    new = WidgetKey.objects.exclude(pk=old.pk).get(org=cast.acme.org)
    assert answer["Location"] == reverse("admin:orgs_widgetkey_change", args=[new.pk])
    old.refresh_from_db()
    assert old.is_active(now=timezone.now()) and old.expires_at is not None

    again = browser.get(acme.url("orgs.widgetkey", "rotate"))
    assert again.status_code == 302  # rotated already
    revoke = reverse("admin:orgs_widgetkey_revoke", args=[new.pk])
    assert browser.get(revoke).status_code == 200
    new.refresh_from_db()
    assert new.revoked_at is None  # asking is not doing
    browser.post(revoke)
    new.refresh_from_db()
    assert not new.is_active(now=timezone.now())


def test_a_new_secret_is_shown_once_and_in_no_message_session_list_or_audit(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.omar)
    shown = browser.post(SECRET_ADD, {"label": "Backup"})
    made = IdentitySecret.objects.get(label="Backup")
    plain = made.secret
    assert shown.status_code == 200 and plain in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert not any(plain in morsel.value for morsel in browser.cookies.values())
    assert not any(plain in str(row.get_decoded()) for row in Session.objects.all())
    for page in (reverse("admin:orgs_identitysecret_changelist"), acme.url("orgs.identitysecret")):
        assert plain not in browser.get(page).content.decode()
    later = browser.get(reverse("admin:orgs_identitysecret_change", args=[made.pk])).content.decode()
    assert plain not in later and f"…{plain[-4:]}" in later
    assert not any(plain in str((row.before, row.after, row.target_label)) for row in AuditEntry.objects.all())


def test_a_third_secret_is_refused_in_the_form_and_possible_after_a_revocation(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.ada)
    browser.post(SECRET_ADD, {"label": "Two"})
    refused = browser.post(SECRET_ADD, {"label": "Three"})
    assert refused.status_code == 200 and "at most 2 active identity secrets" in refused.content.decode()
    browser.post(acme.url("orgs.identitysecret", "revoke"))
    assert "New identity secret" in browser.post(SECRET_ADD, {"label": "Three"}).content.decode()


def test_a_secret_is_rotated_and_the_new_one_shown(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    shown = as_(cast.omar).post(acme.url("orgs.identitysecret", "rotate"), {"grace": "1440"})
    new = IdentitySecret.objects.exclude(pk=acme.house.secret.pk).get(org=cast.acme.org)
    assert new.secret in shown.content.decode()
    old = IdentitySecret.objects.get(pk=acme.house.secret.pk)
    assert old.is_active(now=timezone.now()) and old.expires_at is not None
