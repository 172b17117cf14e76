"""What a refused request looks like, and that it leaves nothing behind."""

from __future__ import annotations

from typing import Any

from conversations.models import Message, Turn
from sessions.models import ChatSession, EndUser


def assert_refused(response: Any, status: int, code: str, field: str | None = None) -> None:
    body = response.json()
    assert (response.status_code, body["code"], body.get("field")) == (status, code, field), body
    assert body["error"]
    assert body["request_id"] == response["X-Request-Id"]
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Content-Type"] == "application/json"


def assert_nothing_stored() -> None:
    assert not Message.objects.exists()
    assert not Turn.objects.exists()
    assert not ChatSession.objects.exists()
    assert not EndUser.objects.filter(external_id="u1").exists()
