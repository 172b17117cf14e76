"""Custom tools: addresses, headers, and the other system's answers."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tools import custom, sending
from agents.tools.custom import Subject
from agents.tools.reading import BadCall
from halo.errors import InvalidRequest

ORDER = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}


# --- Addresses of custom tools ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        *(
            "http://api.example/x",
            "ftp://api.example/",
            "https://{order_id}.example/",
            "{order_id}",
            "https://a:b@api.example/",
        ),
        *(
            "https://api.example:{order_id}/",
            "https://api.example/x#y",
            "https://api.example/{other}",
            "https://api.example/{",
        ),
        *(
            "https://api.example/{{order_id}}",
            "https://api.example/../x",
            "https://api.example/x?order=1&order_id=2&{x}",
        ),
        *(
            "//api.example/x",
            "https://api.example:99999/",
            "https://api.example/a b",
            "https://api.example/{visitor.password}",
        ),
        "https://api.example/{visitor.user_id.__class__}",
    ],
)
def test_a_template_that_could_lead_elsewhere_is_refused(template: str) -> None:
    with pytest.raises(InvalidRequest):
        custom.check_template(template, schema=ORDER)


def test_an_argument_cannot_come_twice_into_a_query() -> None:
    with pytest.raises(InvalidRequest, match="already"):
        custom.check_template("https://api.example/x?order_id={visitor.user_id}", schema=ORDER)


def test_a_template_over_http_is_for_listed_hosts_only() -> None:
    assert custom.check_template("http://10.0.0.1/x", schema=ORDER, plain_hosts=["10.0.0.1"])
    with pytest.raises(InvalidRequest):
        custom.check_template("http://10.0.0.2/x", schema=ORDER, plain_hosts=["10.0.0.1"])


def test_values_are_encoded_and_the_rest_goes_into_query_or_body() -> None:
    template = "https://api.example/o/{order_id}?u={visitor.user_id}"
    arguments = {"order_id": "ä b&c?d#e", "n": 2, "tags": ["x", "y"], "on": True}
    who = Subject(user_id="u/1&x=2")

    get = custom.fill(method="GET", template=template, arguments=arguments, subject=who)
    post = custom.fill(method="POST", template=template, arguments=arguments, subject=who)

    assert get.url == "https://api.example/o/%C3%A4%20b%26c%3Fd%23e?u=u%2F1%26x%3D2&n=2&tags=x&tags=y&on=true"
    assert post.url == "https://api.example/o/%C3%A4%20b%26c%3Fd%23e?u=u%2F1%26x%3D2"
    assert post.body == b'{"n": 2, "tags": ["x", "y"], "on": true}'


@pytest.mark.parametrize(
    "value",
    [".", "..", "", " ", "a/../b", "..%2fadmin", "%2e%2e", "%252e%252e", "a\\..\\b", "/a", "a\nb", ["x"], {}, None],
)
def test_a_value_cannot_climb_out_of_its_place(value: Any) -> None:
    with pytest.raises(BadCall):
        custom.fill(
            method="GET", template="https://api.example/o/{order_id}", arguments={"order_id": value}, subject=Subject()
        )


def test_an_argument_cannot_stand_in_for_the_visitor() -> None:
    with pytest.raises(BadCall, match="user is known"):
        custom.fill(
            method="GET",
            template="https://api.example/{visitor.user_id}",
            arguments={"visitor.user_id": "boss"},
            subject=Subject(),
        )


# --- Answers and headers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        *(
            [],
            {"Host": "x"},
            {"Content-Length": "1"},
            {"Idempotency-Key": "x"},
            {"A b": "x"},
            {"A": "x\r\nB: y"},
            {"A": 5},
        ),
        *({"A": ""}, {"A": "x", "a": "y"}, {f"A{n}": "x" for n in range(21)}),
    ],
)
def test_headers_that_are_none_or_ours_are_refused_without_being_repeated(headers: Any) -> None:
    with pytest.raises(InvalidRequest):
        sending.check_headers(headers)


@pytest.mark.parametrize(
    "body",
    [
        b'{"you": "Bearer s3cret/token-1"}',
        b'{"you": "s3cret\\u002ftoken-1"}',
        b'{"s3cret/token-1": 1}',
        b"you sent s3cret\\/token-1",
        b'["12345678", 12345678]',
    ],
)
def test_an_echoed_secret_is_not_shown(body: bytes) -> None:
    shown = str(sending.shown_to_model(body, secrets=["Bearer s3cret/token-1", "12345678"]))
    assert "token-1" not in shown and "12345678" not in shown and sending.REDACTED in shown


def test_an_answer_is_data_and_bounded() -> None:
    assert sending.shown_to_model(b'{"a": [1, "x\\u0000y"]}', secrets=[]) == {"a": [1, "xy"]}
    assert len(sending.shown_to_model(b"\x00\xff" * 30_000, secrets=[])) < sending.MAX_SHOWN + 20
    assert isinstance(sending.shown_to_model(b"[" * 60_000, secrets=[]), str)
