"""Whatever the body, the answer is one of the contract's, and never a 500."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.api.serializers import ChatSerializer, read_chat_request
from conversations.requests import ChatRequest
from halo.api import strict_json
from halo.errors import HaloError
from tests.conversations.conftest import Visitor

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4), max_leaves=12
)
FIELDS = list(ChatSerializer().fields)
CONTEXT = st.dictionaries(ANY_TEXT, st.fixed_dictionaries({"label": ANY_TEXT, "value": JSON}), max_size=3)
BODIES = st.fixed_dictionaries(
    {"message": ANY_TEXT | JSON}, optional={**dict.fromkeys(FIELDS[1:], JSON), "context": CONTEXT | JSON}
)


@settings(max_examples=400, deadline=None)
@given(BODIES)
def test_any_body_is_read_or_refused_with_a_sentence(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    try:
        request = read_chat_request(strict_json.parse_object(raw))
    except HaloError as error:
        assert error.status == 400 and error.code == "invalid_request" and error.message
    else:
        assert isinstance(request, ChatRequest)
        # What is accepted can be stored.
        assert strict_json.is_storable(
            request.message + request.user_id + json.dumps(request.context, ensure_ascii=False)
        )


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        strict_json.parse_object(raw)
    except HaloError as error:
        assert error.status == 400


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES)
def test_over_http_no_body_is_a_500(visitor: Visitor, body: dict[str, Any]) -> None:
    response = visitor.post(json.dumps(body))

    assert response.status_code in (200, 400, 404), response.content
    assert response["Content-Type"] == "application/json"
