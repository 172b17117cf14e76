from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.test import Client

from orgs.models import Organization
from tests.cast import Cast


class Site:
    """A customer's website, or its server, with a widget key."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.client = Client(raise_request_exception=False)

    def send(self, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        return self.client.generic(
            "POST",
            f"/api/sdk/{path}",
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}", **(headers or {})},
        )

    def told(self, path: str, **body: Any) -> dict[str, Any]:
        """The body of an answer that must be a 200."""
        response = self.send(path, **body)
        assert response.status_code == 200, response.content
        return response.json()


@pytest.fixture
def site(cast: Cast) -> Site:
    return Site(cast.acme.key.value)


@pytest.fixture
def other_site(cast: Cast) -> Site:
    """Globex's."""
    return Site(cast.globex.key.value)


@pytest.fixture
def verifying(cast: Cast) -> Organization:
    """Acme with identity verification on."""
    Organization.objects.filter(pk=cast.acme.org.pk).update(verify_identity=True)
    return cast.acme.org


@pytest.fixture
def token(cast: Cast) -> Callable[..., str]:
    """Signs identity tokens as Acme's server does."""

    def sign(user_id: str = "u1", *, secret: str | None = None, **claims: Any) -> str:
        return jwt.encode({"user_id": user_id, **claims}, secret or cast.acme.secret_plain, algorithm="HS256")

    return sign


@pytest.fixture
def update_token(cast: Cast) -> Callable[..., str]:
    """Signs what allows a server to store users."""

    def sign(*, secret: str | None = None, **claims: Any) -> str:
        whole = {"scope": "users.update", "exp": int(time.time()) + 3000, **claims}
        kept = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(kept, secret or cast.acme.secret_plain, algorithm="HS256")

    return sign
