"""What must hold for every model and every address, also those that are added tomorrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, InternalError, connection, models, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from agents.models import AgentVersion
from halo.api.middleware import STAFF_PREFIXES
from halo.ids import uuid7
from orgs.models import AuditEntry, Organization
from orgs.tenancy import TenantModel
from tests.cast import Cast

OURS = {"orgs", "chat_sessions", "agents", "conversations"}
# Rows that belong to the installation, or to people who may belong to several organisations.
WITHOUT_ORG = {"Organization", "User", "Canary", "AuditEntry", "Team_members", "User_groups", "User_user_permissions"}


def our_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models(include_auto_created=True) if model._meta.app_label in OURS]


def test_every_model_belongs_to_an_organisation_for_ever() -> None:
    without = {model.__name__ for model in our_models() if not issubclass(model, TenantModel)}
    assert without == WITHOUT_ORG
    for model in our_models():
        if issubclass(model, TenantModel):
            assert not model._meta.get_field("org").null, model


def test_what_urls_and_json_name_has_one_uuid7() -> None:
    named = {"Organization", "User", "Team", "Company", "EndUser", "ChatSession", "Agent", "Article", "Source",
             "Conversation", "Turn", "Message", "Ticket", "SavedView"}  # fmt: skip
    for model in our_models():
        key = model._meta.pk
        if model.__name__ in named:
            assert isinstance(key, models.UUIDField) and key.default is uuid7, model
    made = uuid7()
    assert made.version == 7 and made.variant == "specified in RFC 4122"
    ids = [uuid7() for _ in range(1000)]
    assert sorted(ids) == ids and len(set(ids)) == 1000


def test_event_and_message_can_be_partitioned_later() -> None:
    for name in ("Event", "Message"):
        (model,) = [model for model in our_models() if model.__name__ == name]
        assert not [c for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)]
        assert not [f for f in model._meta.local_fields if f.unique and not f.primary_key]


def test_labels_do_not_collide_with_djangos_sessions() -> None:
    assert apps.get_app_config("chat_sessions").name == "sessions"
    assert apps.get_app_config("sessions").name == "django.contrib.sessions"


def test_the_audit_is_append_only_and_versions_are_insert_only(cast: Cast) -> None:
    AuditEntry.objects.create(action="x")
    for change in (
        lambda: AuditEntry.objects.update(action="y"),
        lambda: AuditEntry.objects.all().delete(),
        lambda: AgentVersion.objects.update(note="y"),
        lambda: AgentVersion.objects.all()._raw_delete("default"),
    ):
        with pytest.raises((InternalError, IntegrityError)), transaction.atomic():
            change()


def test_a_change_of_what_is_cached_bumps_the_organisations_version_alone(cast: Cast) -> None:
    def version(org: Organization) -> int:
        return int(Organization.objects.values_list("config_version", flat=True).get(pk=org.pk))

    before, foreign = version(cast.acme.org), version(cast.globex.org)
    type(cast.acme.agent).objects.filter(pk=cast.acme.agent.pk).update(greeting="Hi")
    assert version(cast.acme.org) == before + 1
    type(cast.acme.secret).objects.filter(pk=cast.acme.secret.pk).update(label="x")
    assert version(cast.acme.org) == before + 2
    # Its own settings are cached too, whoever writes them; the ticket counter is none.
    Organization.objects.filter(pk=cast.acme.org.pk).update(guidance="Be brief.")
    assert version(cast.acme.org) == before + 3
    Organization.objects.filter(pk=cast.acme.org.pk).update(ticket_counter=7)
    assert version(cast.acme.org) == before + 3
    assert version(cast.globex.org) == foreign


def test_no_secret_is_in_the_database_in_clear(cast: Cast) -> None:
    Organization.objects.filter(pk=cast.acme.org.pk).update(model_api_key="sk-very-secret")
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM orgs_identitysecret UNION ALL SELECT model_api_key FROM orgs_organization")
        stored = [row[0] for row in cursor.fetchall() if row[0]]
    assert len(stored) == 3 and all(value.startswith("f1:gAAAA") for value in stored)
    assert not any("ha_secret" in value or "sk-very" in value for value in stored)


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, path)
        else:
            yield path, entry


READS = {
    "POST": {"nobody": 401, "key": 405, "revoked": 401, "teammate": 401},
    "GET": {"nobody": 401, "key": 404, "revoked": 401, "teammate": 401},
    "PUT": {"nobody": 401, "key": 405, "revoked": 401, "teammate": 401},
    "DELETE": {"nobody": 401, "key": 405, "revoked": 401, "teammate": 401},
}
WRITES = {
    "POST": {"nobody": 401, "key": 400, "revoked": 401, "teammate": 401},
    "GET": {"nobody": 401, "key": 405, "revoked": 401, "teammate": 401},
    "PUT": {"nobody": 401, "key": 405, "revoked": 401, "teammate": 401},
    "DELETE": {"nobody": 401, "key": 405, "revoked": 401, "teammate": 401},
}
# For API keys, and a widget key is none; what they may do is in tests/conversations/test_records.py.
RECORDS = {
    method: {"nobody": 401, "key": 401, "revoked": 401, "teammate": 401} for method in ("GET", "POST", "PUT", "DELETE")
}
# Every address outside the staff's pages, which have a matrix of their own: what each method answers to nobody, to the
# holder of a widget key, to one with a revoked key, and to a teammate who is logged in. 404 and 405 are the same for all.
TABLE: dict[str, dict[str, dict[str, int]]] = {
    "": {"GET": {"nobody": 302, "key": 302, "revoked": 302, "teammate": 302}},
    "health/live": {"GET": {"nobody": 200, "key": 200, "revoked": 200, "teammate": 200}},
    "health/ready": {"GET": {"nobody": 200, "key": 200, "revoked": 200, "teammate": 200}},
    "widget.js": {"GET": {"nobody": 200, "key": 200, "revoked": 200, "teammate": 200}},
    "widget/<str:name>": {"GET": {"nobody": 404, "key": 404, "revoked": 404, "teammate": 404}},
    "demo/": {"GET": {"nobody": 404, "key": 404, "revoked": 404, "teammate": 404}},
    "demo/token": {"GET": {"nobody": 404, "key": 404, "revoked": 404, "teammate": 404}},
    "metrics": {"GET": {"nobody": 404, "key": 404, "revoked": 404, "teammate": 404}},
    "api/schema/": {"GET": {"nobody": 200, "key": 200, "revoked": 200, "teammate": 200}},
    "api/docs/": {"GET": {"nobody": 200, "key": 200, "revoked": 200, "teammate": 200}},
    "api/sdk/config": {
        "GET": {"nobody": 400, "key": 400, "revoked": 400, "teammate": 400},
        "POST": {"nobody": 405, "key": 405, "revoked": 405, "teammate": 405},
    },
    "api/sdk/chat": WRITES,
    "api/sdk/chat/stream": WRITES,
    "api/sdk/chat/turns/<str:turn_id>": READS,
    "api/sdk/chat/turns/<str:turn_id>/stream": READS,
    "api/sdk/messages/<str:message_id>/feedback": WRITES,
    "api/sdk/users/identify": WRITES,
    "api/sdk/users/update": WRITES,
    "api/sdk/companies/identify": WRITES,
    "api/sdk/events": WRITES,
    "api/sdk/tickets/create": WRITES,
    "api/sdk/sessions/<str:session_id>/messages": READS,
    "api/sdk/sessions/<str:session_id>/events": READS,
    "api/sdk/sessions/<str:session_id>/images/<str:image_id>": READS,
    "api/v1/conversations": RECORDS,
    "api/v1/messages": RECORDS,
    "api/v1/tickets": RECORDS,
    "api/sdk/sessions/<str:session_id>/handover": WRITES
    | {"POST": {"nobody": 401, "key": 404, "revoked": 401, "teammate": 401}},
}


def test_every_address_is_in_the_table() -> None:
    known = {path for path, _ in patterns(get_resolver()) if not f"/{path}".startswith(STAFF_PREFIXES)}
    assert known == set(TABLE)


@pytest.mark.parametrize("path", list(TABLE))
@pytest.mark.parametrize("role", ["nobody", "key", "revoked", "teammate"])
def test_each_role_gets_what_the_table_says(cast: Cast, path: str, role: str) -> None:
    client = Client(raise_request_exception=False)
    headers: dict[str, Any] = {}
    if role in ("key", "revoked"):
        headers["Authorization"] = f"Bearer {cast.acme.key.value}"
    if role == "revoked":
        type(cast.acme.key).objects.update(revoked_at="2026-01-01T00:00:00Z")
    if role == "teammate":
        client.force_login(cast.omar, backend=settings.AUTHENTICATION_BACKENDS[-1])
    for method, expected in TABLE[path].items():
        response = client.generic(method, f"/{path}", b"{}", content_type="application/json", headers=headers)
        assert response.status_code == expected[role], (method, response.content[:200])
        if response.status_code >= 400:
            assert json.loads(response.content)["code"]
        if path.startswith("api/sdk/"):
            # No page, whoever makes a browser open it.
            assert response["Content-Security-Policy"].startswith("default-src 'none'; ")
            assert response["X-Frame-Options"] == "DENY" and not response.cookies
