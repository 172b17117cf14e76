"""The committed schema against the running product: whatever it allows or forbids, no answer is a 500."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from halo.wsgi import application
from orgs.api_keys import create_api_key
from orgs.models import ApiKey
from tests.cast import Cast
from tests.conversations.conftest import Visitor

COMMITTED = Path(__file__).resolve().parents[2] / "schema.yml"


def hanging_up(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The application as behind a server, which closes what it has sent; schemathesis leaves that to the collector."""
    answered = application(environ, start_response)
    try:
        return list(answered)
    finally:
        answered.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_that_the_schema_describes_or_forbids_is_a_500(
    cast: Cast, visitor: Visitor, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/schema/", hanging_up)
    operations = [operation.ok() for operation in schema.get_all_operations()]
    paths = [operation.path for operation in operations]
    assert set(paths) == {
        "/api/sdk/config",
        "/api/sdk/users/identify",
        "/api/sdk/users/update",
        "/api/sdk/companies/identify",
        "/api/sdk/events",
        "/api/sdk/tickets/create",
        "/api/sdk/chat",
        "/api/sdk/chat/stream",
        "/api/sdk/chat/turns/{turn_id}",
        "/api/sdk/chat/turns/{turn_id}/stream",
        "/api/sdk/messages/{message_id}/feedback",
        "/api/sdk/sessions/{session_id}/messages",
        "/api/sdk/sessions/{session_id}/events",
        "/api/sdk/sessions/{session_id}/images/{image_id}",
        "/api/sdk/sessions/{session_id}/handover",
        "/api/v1/conversations",
        "/api/v1/messages",
        "/api/v1/tickets",
    }
    _, reader = create_api_key(org=cast.acme.org, label="Schema", scopes=ApiKey.Scope.values, by=None)
    for operation in operations:

        @settings(
            max_examples=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            database=None,
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            key = reader if case.operation.path.startswith("/api/v1/") else visitor.key
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}"}
            response = case.call()
            assert response.status_code in (200, 400, 401, 403, 404, 405, 409, 413, 415), response.text

        ask()


def test_the_served_schema_is_the_committed_one(client: Any) -> None:
    assert yaml.safe_load(client.get("/api/schema/").content) == yaml.safe_load(COMMITTED.read_text())
