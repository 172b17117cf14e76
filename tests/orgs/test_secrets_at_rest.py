"""Secrets at rest: the canary, the change of keys, and what a dump holds."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection

from agents.services import set_model_endpoint
from orgs.models import Canary, IdentitySecret
from orgs.secrets import WrongKey
from orgs.services import check_keys
from tests.cast import Cast


def stored() -> list[str]:
    """Every encrypted column as the database holds it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT secret FROM orgs_identitysecret UNION ALL SELECT api_key FROM agents_agent WHERE api_key <> '' "
            "UNION ALL SELECT word FROM orgs_canary"
        )
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.django_db
def test_the_first_start_makes_a_canary_and_a_wrong_key_stops_the_next(settings: Any) -> None:
    check_keys()
    check_keys()
    assert Canary.objects.get().word == "canary"
    settings.HALO_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.HALO_ENCRYPTION_KEYS]
    check_keys()  # a newer key before the old one
    settings.HALO_ENCRYPTION_KEYS = settings.HALO_ENCRYPTION_KEYS[:1]
    with pytest.raises(WrongKey):
        check_keys()


def test_reencrypt_moves_every_secret_to_the_newest_key(cast: Cast, settings: Any) -> None:
    check_keys()
    set_model_endpoint(agent=cast.acme.agent, base_url="https://a.example", api_key="sk-1", by=None)
    before = stored()
    assert len(before) == 4 and not any("sk-1" in row or "ha_secret" in row or "canary" in row for row in before)
    new = Fernet.generate_key().decode()
    settings.HALO_ENCRYPTION_KEYS = [new, *settings.HALO_ENCRYPTION_KEYS]
    said = StringIO()
    call_command("reencrypt", "--batch", "1", stdout=said)
    assert "4 secrets" in said.getvalue() and "orgs.IdentitySecret.secret: 2" in said.getvalue()
    settings.HALO_ENCRYPTION_KEYS = [new]
    check_keys()
    assert IdentitySecret.objects.get(pk=cast.acme.secret.pk).secret == cast.acme.secret_plain
    cast.acme.agent.refresh_from_db()
    assert cast.acme.agent.api_key == "sk-1"
    assert not set(stored()) & set(before)
