"""Organisations and their keys: what the services promise, and the audit rows that they leave."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import Error, transaction
from django.utils import timezone

from halo.errors import HaloError, InvalidRequest, NotFound
from orgs import audit
from orgs.models import AuditEntry, IdentitySecret, WidgetKey
from orgs.services import (
    Conflict,
    clean_origins,
    create_identity_secret,
    create_organization,
    create_widget_key,
    find_org,
    next_endpoint,
    revoke_identity_secret,
    revoke_widget_key,
    rotate_identity_secret,
    rotate_widget_key,
    save_settings,
    set_model_endpoint,
)
from tests.cast import Cast

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def actions(cast: Cast) -> list[str]:
    return list(AuditEntry.objects.filter(org=cast.acme.org).order_by("pk").values_list("action", flat=True))


@pytest.mark.django_db
def test_slugs_are_made_from_names_and_are_unique() -> None:
    made = [create_organization(name=name).slug for name in ("Müller & Söhne", "Müller & Söhne", "猫", "x" * 200)]
    assert made == ["muller-sohne", "muller-sohne-2", "organisation", "x" * 70]
    assert create_organization(name="Other", slug="own-one").slug == "own-one"
    with pytest.raises(Conflict):
        create_organization(name="Again", slug="own-one")
    for bad in ("a b", "ä", "x" * 81, "a/b", "a\n"):
        with pytest.raises(InvalidRequest):
            create_organization(name="Bad", slug=bad)


def test_an_organisation_is_found_by_id_or_slug(cast: Cast) -> None:
    assert find_org("acme") == find_org(str(cast.acme.org.pk)) == cast.acme.org
    for unknown in ("nothing", "0192f7c4-0000-7000-8000-000000000000", "", "\x01"):
        with pytest.raises(NotFound):
            find_org(unknown)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("HTTPS://WWW.Example.com/", "https://www.example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_origins_are_kept_as_browsers_send_them(given: str, stored: str) -> None:
    assert clean_origins([given, "", given]) == [stored]


@pytest.mark.parametrize(
    "given",
    ["example.com", "https://", "https://example.com/path", "https://*.example.com", "*", "null", "https://a b.example",
     "https://example.com:99999", "https://user@example.com", "https://example.com?x", "https://example.com#x", "//x",
     "https://example.com\nhttps://b.example", "https://a..é.example", "javascript:alert(1)"],
)  # fmt: skip
def test_what_no_browser_sends_as_an_origin_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest):
        clean_origins([given])


def test_a_rotated_key_works_for_its_grace_time_and_then_not(cast: Cast) -> None:
    old = create_widget_key(org=cast.acme.org, label="Shop", origins=["https://a.example"], by=cast.sue)
    new = rotate_widget_key(key=old, grace=DAY, by=cast.sue, now=NOW)
    old.refresh_from_db()
    assert (new.label, new.origins, new.is_active(now=NOW)) == ("Shop", ["https://a.example"], True)
    assert new.value != old.value
    assert old.is_active(now=NOW + DAY - dt.timedelta(seconds=1)) and not old.is_active(now=NOW + DAY)
    with pytest.raises(Conflict):
        rotate_widget_key(key=old, grace=DAY, by=cast.sue, now=NOW)
    for grace in (-DAY, 91 * DAY):
        with pytest.raises(InvalidRequest):
            rotate_widget_key(key=new, grace=grace, by=cast.sue, now=NOW)
    gone = rotate_widget_key(key=new, grace=dt.timedelta(0), by=cast.sue, now=NOW)
    new.refresh_from_db()
    assert not new.is_active(now=NOW) and gone.is_active(now=NOW)


def test_a_revoked_key_never_works_again(cast: Cast) -> None:
    key = create_widget_key(org=cast.acme.org, label="Shop", by=cast.sue)
    revoked = revoke_widget_key(key=key, by=cast.sue, now=NOW)
    assert not revoked.is_active(now=NOW)
    assert revoke_widget_key(key=key, by=cast.sue, now=NOW + DAY).revoked_at == NOW
    with pytest.raises(Conflict):
        rotate_widget_key(key=key, grace=DAY, by=cast.sue, now=NOW)
    assert actions(cast)[-2:] == ["widget_key.created", "widget_key.revoked"]


def test_two_secrets_at_most_are_active(cast: Cast) -> None:
    second, plain = create_identity_secret(org=cast.acme.org, label="Two", by=cast.omar)
    assert IdentitySecret.objects.get(pk=second.pk).secret == plain and plain.startswith("ha_secret_")
    with pytest.raises(Conflict):
        create_identity_secret(org=cast.acme.org, by=cast.omar)
    with pytest.raises(Conflict):
        rotate_identity_secret(org=cast.acme.org, grace=DAY, by=cast.omar)
    create_identity_secret(org=cast.globex.org, by=cast.gus)  # another organisation counts for itself
    revoke_identity_secret(secret=second, by=cast.omar)
    third, _ = create_identity_secret(org=cast.acme.org, by=cast.omar)
    assert third.is_active(now=timezone.now())


def test_a_rotated_secret_is_accepted_for_its_grace_time(cast: Cast) -> None:
    new, plain = rotate_identity_secret(org=cast.acme.org, grace=DAY, by=cast.omar, now=NOW)
    old = IdentitySecret.objects.get(pk=cast.acme.secret.pk)
    assert old.is_active(now=NOW) and not old.is_active(now=NOW + DAY)
    assert (new.label, plain != cast.acme.secret_plain) == ("Server", True)
    with pytest.raises(Conflict):
        rotate_identity_secret(org=cast.acme.org, grace=DAY, by=cast.omar, now=NOW)
    rotate_identity_secret(org=cast.acme.org, grace=DAY, by=cast.omar, now=NOW + DAY)
    IdentitySecret.objects.filter(org=cast.acme.org).update(revoked_at=NOW)
    with pytest.raises(Conflict):
        rotate_identity_secret(org=cast.acme.org, grace=DAY, by=cast.omar, now=NOW)


def test_changing_the_model_s_address_clears_its_key(cast: Cast) -> None:
    org = cast.acme.org
    set_model_endpoint(org=org, base_url="https://a.example/v1", api_key="sk-1", by=cast.omar)
    set_model_endpoint(org=org, base_url="https://a.example/v1", api_key=None, by=cast.omar)
    assert org.model_api_key == "sk-1"
    set_model_endpoint(org=org, base_url="https://b.example/v1", by=cast.omar)
    org.refresh_from_db()
    assert (org.model_base_url, org.model_api_key) == ("https://b.example/v1", "")
    set_model_endpoint(org=org, base_url="https://c.example/v1", api_key="sk-2", by=cast.omar)
    assert org.model_api_key == "sk-2"
    set_model_endpoint(org=org, base_url="https://c.example/v1", api_key="", by=cast.omar)
    org.refresh_from_db()
    assert org.model_api_key == ""
    assert "sk-" not in str(list(AuditEntry.objects.values()))


def test_only_an_operator_s_address_is_trusted_and_a_later_hand_takes_the_trust_away(cast: Cast) -> None:
    trusted = next_endpoint(was=("", "", False), base_url="http://10.0.0.1/v1", api_key=None, by=cast.root)
    assert trusted == ("http://10.0.0.1/v1", "", True)
    assert next_endpoint(was=("", "", False), base_url="http://10.0.0.1/v1", api_key="k", by=None)[2]
    kept = next_endpoint(was=trusted, base_url="http://10.0.0.1/v1", api_key="k", by=cast.omar)
    assert kept == ("http://10.0.0.1/v1", "k", True)
    assert next_endpoint(was=trusted, base_url="https://10.0.0.1/v1", api_key=None, by=cast.omar)[2] is False
    assert next_endpoint(was=trusted, base_url="", api_key=None, by=cast.root) == ("", "", False)
    for bad in ("http://api.example/v1", "ftp://x.example", "https://", "https://u:p@x.example", "https://x.example/?k=1",
                "https://x.example/#a", "https://[::1", "https://x.example:99999/"):  # fmt: skip
        with pytest.raises(InvalidRequest):
            next_endpoint(was=("", "", False), base_url=bad, api_key=None, by=cast.omar)


def test_settings_leave_before_and_after_and_no_row_where_nothing_changed(cast: Cast) -> None:
    org = cast.acme.org
    org.guidance = "Be kind."
    save_settings(org=org, names=["guidance", "name"], by=cast.omar)
    entry = AuditEntry.objects.get(action="organization.changed")
    assert (entry.before, entry.after, entry.actor_label) == (
        {"guidance": ""},
        {"guidance": "Be kind."},
        "omar@acme.example",
    )
    save_settings(org=org, names=["guidance"], by=cast.omar)
    assert AuditEntry.objects.filter(action="organization.changed").count() == 1


def test_a_service_that_fails_leaves_neither_row_nor_audit(cast: Cast) -> None:
    before = AuditEntry.objects.count()
    with pytest.raises(HaloError):
        create_widget_key(org=cast.acme.org, label="Shop", origins=["nonsense"], by=cast.sue)
    assert not WidgetKey.objects.filter(label="Shop").exists()
    assert AuditEntry.objects.count() == before


def test_audit_rows_are_never_changed_nor_removed(cast: Cast) -> None:
    entry = audit.record(org=cast.acme.org, actor=cast.omar, action="test.done")
    for spoil in (
        lambda: AuditEntry.objects.filter(pk=entry.pk).update(action="other"),
        lambda: AuditEntry.objects.filter(pk=entry.pk).delete(),
    ):
        with pytest.raises(Error), transaction.atomic():
            spoil()
    assert AuditEntry.objects.get(pk=entry.pk).action == "test.done"


def test_the_audit_says_of_a_secret_only_whether_there_is_one(cast: Cast) -> None:
    org = cast.acme.org
    org.model_api_key = "sk-very-secret"
    assert audit.state(org, ["model_api_key", "name"]) == {"model_api_key": "set", "name": "Acme"}


@pytest.mark.django_db
def test_what_nobody_can_store_is_still_audited() -> None:
    entry = audit.record_failed_login(login="a\x00b\ud800" + "c" * 300, address=None)
    entry.refresh_from_db()
    assert entry.actor_label.startswith("a\N{REPLACEMENT CHARACTER}b") and len(entry.actor_label) == 254
