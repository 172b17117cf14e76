"""Bodies, media types, headers and methods of `POST /api/sdk/chat`."""

from __future__ import annotations

from typing import Any

import pytest

from conversations.models import Turn
from halo.api import body
from halo.errors import InvalidRequest
from tests.conversations.conftest import Visitor
from tests.conversations.refusals import assert_nothing_stored, assert_refused

BAD_BODIES = [
    b" ",
    b"[]",
    b'"x"',
    b"null",
    b"{",
    b'{"message": "x"} trailing',
    b'{"message": "x", "message": "y"}',
    b'{"message": "x", "custom_fields": {"a": 1, "a": 2}}',
    b'{"message": "x", "custom_fields": {"a": NaN}}',
    b'{"message": "x", "custom_fields": {"a": Infinity}}',
    b'{"message": "x", "custom_fields": {"a": 1e999}}',
    b'{"message": "x", "custom_fields": {"a": 9223372036854775808}}',
    b'{"message": "x", "custom_fields": {"a": -9223372036854775809}}',
    b'{"message": "x", "custom_fields": {"a": ' + b"1" * 5000 + b"}}",
    b'{"message": "x", "custom_fields": {"a\\u0000": 1}}',
    b'{"message": "x", "custom_fields": {"\\ud800": 1}}',
    b'{"message": "\xff"}',
    b'\xef\xbb\xbf{"message": "x"}',
    b'{"message": "x", "custom_fields": ' + b'{"a":' * 20 + b"1" + b"}" * 20 + b"}",
    b'{"message": "x", "k": ' + b"[" * 990 + b"]" * 990 + b"}",
    b'{"message": "x", "k": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_json_that_is_not_strict_is_refused(guest: Visitor, body: bytes) -> None:
    response = guest.post(body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
    assert_nothing_stored()


def test_json_at_its_limits_is_taken(visitor: Visitor) -> None:
    deep = b'{"message": "x", "custom_fields": ' + b'{"a":' * 18 + b"{}" + b"}" * 18 + b"}"
    wide = b'{"message": "x", "custom_fields": {"a": 9223372036854775807, "b": -9223372036854775808}}'

    assert visitor.post(deep).status_code == visitor.post(wide).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON", 200),
        ("application/json; charset=utf-8", 200),
        ('application/json; charset="UTF-8"', 200),
        ("application/json; charset=bogus", 415),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonx", 415),
        ("", 415),
    ],
)
def test_only_json_in_utf8_is_read(visitor: Visitor, content_type: str, status: int) -> None:
    response = visitor.post(b'{"message": "x"}', content_type=content_type)

    assert response.status_code == status
    if status == 415:
        assert_refused(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "identity", "br"])
def test_an_encoded_body_is_refused(guest: Visitor, encoding: str) -> None:
    response = guest.post(b'{"message": "x"}', **{"Content-Encoding": encoding})

    assert_refused(response, 415, "unsupported_media_type")


def test_a_body_over_eight_megabytes_is_refused(guest: Visitor) -> None:
    assert_refused(guest.post(b'{"message": "' + b"x" * 8_400_000 + b'"}'), 413, "too_large")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "text/event-stream"])
def test_accept_and_format_are_not_consulted(visitor: Visitor, accept: str) -> None:
    assert visitor.say(headers={"Accept": accept}).status_code == 200
    response = visitor.client.post(
        "/api/sdk/chat?format=xml",
        b'{"message": "x"}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {visitor.key}", "Accept": accept},
    )
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


def test_a_missing_unknown_or_misshapen_key_is_one_and_the_same_401(guest: Visitor) -> None:
    for header in ["", "Bearer", "Bearer ", "Basic x", f"Basic {guest.key}", "Bearer ab_live_unknown",
                   f"Bearer {guest.key}x", f"Bearer {guest.key} x", "Bearer \xff", f"Bearer {guest.key.upper()}"]:  # fmt: skip
        response = guest.client.post(
            "/api/sdk/chat", b"{}", content_type="text/plain", headers={"Authorization": header}
        )
        assert_refused(response, 401, "invalid_key")


def test_the_scheme_of_authorization_is_compared_without_regard_to_case(visitor: Visitor) -> None:
    assert visitor.say(headers={"Authorization": f"bearer {visitor.key}"}).status_code == 200


def test_errors_are_checked_in_the_order_of_the_contract(visitor: Visitor, verifying: object, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "key=1"
    assert visitor.say().status_code == 200
    unknown = "00000000-0000-7000-8000-000000000000"

    assert visitor.post(b"{", Authorization="Bearer no").status_code == 401
    assert visitor.post(b"{", content_type="text/plain").status_code == 415
    assert visitor.say("", user_id="u1").status_code == 400
    assert visitor.say(user_id="u1", agent_id=unknown).status_code == 403
    assert visitor.say(agent_id=unknown).status_code == 404
    assert visitor.say().status_code == 429


def test_unknown_paths_and_methods_are_json_with_cors(guest: Visitor) -> None:
    assert_refused(guest.client.get("/api/sdk/nothing"), 404, "not_found")
    response = guest.client.get("/api/sdk/chat", headers={"Authorization": f"Bearer {guest.key}"})
    assert_refused(response, 405, "method_not_allowed")
    assert_refused(guest.client.get("/api/sdk/nothing", headers={"Host": "evil.example"}), 400, "invalid_request")


def test_a_preflight_allows_what_the_contract_names(guest: Visitor) -> None:
    for path in ("/api/sdk/chat", "/api/sdk/anything"):
        response = guest.client.options(
            path, headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        )
        assert response.status_code in (200, 204)
        assert response["Access-Control-Allow-Origin"] == "*"
        allowed = {name.strip().lower() for name in response["Access-Control-Allow-Headers"].split(",")}
        assert allowed == {
            "authorization",
            "content-type",
            "idempotency-key",
            "last-event-id",
            "x-request-id",
            "x-session-id",
            "x-user-token",
        }


def test_a_sane_request_id_is_returned_and_another_is_replaced(visitor: Visitor) -> None:
    assert visitor.say(headers={"X-Request-Id": "req-12345678"})["X-Request-Id"] == "req-12345678"
    assert Turn.objects.get().request_id == "req-12345678"
    for bad in ["", "x" * 200, "two words here", "a,b"]:
        given = visitor.say(headers={"X-Request-Id": bad})["X-Request-Id"]
        assert given != bad and len(given) == 36


def test_no_cookie_is_set_and_none_is_read(visitor: Visitor) -> None:
    visitor.client.cookies["sessionid"] = "whatever"
    visitor.client.cookies["csrftoken"] = "whatever"

    response = visitor.say()

    assert response.status_code == 200 and not response.cookies
    assert "Cookie" not in response.get("Vary", "")


def test_errors_of_addresses_that_are_nearly_right_are_json_too(guest: Visitor) -> None:
    for path in ("//api/sdk/chat", "/api//sdk/chat", "/API/SDK/CHAT", "/zzz", "/health/live/"):
        # As the server hands it over: the test client would take two slashes for a host.
        response = guest.client.generic("POST", "/", b"{}", content_type="application/json", PATH_INFO=path)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), path
        assert ("Access-Control-Allow-Origin" in response) is (path == "//api/sdk/chat")
    assert guest.client.post("/health/live").status_code == 405


def test_a_body_shorter_than_announced_is_refused(guest: Visitor) -> None:
    response = guest.post(b'{"message": "half"}', **{"Content-Length": "100"})

    assert_refused(response, 400, "invalid_request")


@pytest.mark.parametrize("encoding", ["gzip", "gzip, chunked", "identity"])
def test_a_transfer_encoding_other_than_chunked_is_refused(guest: Visitor, encoding: str) -> None:
    response = guest.post(b'{"message": "hi"}', **{"Transfer-Encoding": encoding})

    assert_refused(response, 415, "unsupported_media_type")


def test_a_body_whose_stream_breaks_is_a_400() -> None:
    class Broken:
        def read(self, size: int = -1, /) -> bytes:
            raise RuntimeError("invalid chunk size")

    with pytest.raises(InvalidRequest):
        body.read(Broken(), announced=0)


def test_no_connection_is_held_while_a_body_is_on_its_way(guest: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[bool] = []
    monkeypatch.setattr("orgs.authentication.release_connection", lambda: released.append(True))

    guest.post(b"{")

    assert released
