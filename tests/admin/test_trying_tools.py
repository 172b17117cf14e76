"""Trying a custom tool out: one real call as a turn makes it, by whoever may build tools, and no secret is shown."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from agents.models import CustomTool
from agents.tools.examples import example_of
from agents.tools.schemas import check_schema, problem_with
from agents.tools.services import add_tool
from halo import wire
from orgs.models import AuditEntry, User
from tests.cast import Cast, House, build_cast
from tests.conversations.receiver import SCHEMA, SECRET, Receiver

As = Callable[[User], Client]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.HALO_OUTGOING_HOSTS = ["127.0.0.1"]
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()


def made(house: House, receiver: Receiver, **fields: Any) -> CustomTool:
    values = {
        "name": "order_status",
        "description": "Where an order is.",
        "parameters": SCHEMA,
        "url_template": f"{receiver.base}/users/{{visitor.user_id}}/orders/{{order_id}}",
    }
    tool = CustomTool(org=house.org, **{**values, **fields})
    return add_tool(tool=tool, headers={"Authorization": f"Bearer {SECRET}"}, by=None)


def page_of(tool: CustomTool) -> str:
    return reverse("try-tool", args=[tool.pk])


def sent(client: Client, tool: CustomTool, arguments: Any, **fields: str) -> str:
    """The page after the form was sent."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    key = fields.pop("key", str(uuid.uuid4()))
    response = client.post(page_of(tool), {"arguments": text, "visitor_user_id": "u/1", "key": key, **fields})
    assert response.status_code == 200
    return response.content.decode()


def test_the_call_is_made_as_a_turn_makes_it_and_shown_without_its_secrets(
    cast: Cast, as_: As, receiver: Receiver
) -> None:
    tool = made(cast.acme, receiver, method="POST", is_active=False)
    receiver.answer = (200, {}, json.dumps({"state": "shipped", "echo": f"Bearer {SECRET}"}).encode())
    client = as_(cast.sue)
    button = reverse("admin:agents_customtool_try_it", args=[tool.pk])
    assert client.get(button)["Location"] == page_of(tool)
    first = client.get(page_of(tool)).content.decode()
    assert "The call is real." in first and "&quot;order_id&quot;: &quot;example&quot;" in first
    assert not receiver.asked

    page = sent(client, tool, {"order_id": "A 1", "note": "<b>"})

    [(method, path, headers, body)] = receiver.asked
    assert (method, path, json.loads(body)) == ("POST", "/users/u%2F1/orders/A%201", {"note": "<b>"})
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["idempotency-key"] in page and headers["idempotency-key"].startswith("halo-try-")
    for shown in ("HTTP 200", "shipped", "Authorization", "/users/u%2F1/orders/A%201", "&lt;b&gt;", " ms"):
        assert shown in page, shown
    row = AuditEntry.objects.get(action="customtool.tried")
    assert (row.actor, row.target_id) == (cast.sue, str(tool.pk))
    assert row.after == {"method": "POST", "arguments": {"order_id": "A 1", "note": "<b>"}}
    for kept in (page, first, str(row.after)):
        assert SECRET not in kept and "Bearer" not in kept


def test_who_may_build_tools_may_try_them_and_nobody_else(cast: Cast, as_: As, receiver: Receiver) -> None:
    tool = made(cast.acme, receiver)
    assert "Try it" not in as_(cast.ana).get(f"/admin/agents/customtool/{tool.pk}/change/").content.decode()
    for person, status in ((cast.ana, 403), (cast.gus, 404)):
        assert as_(person).get(page_of(tool)).status_code == status
        refused = as_(person).post(page_of(tool), {"arguments": '{"order_id": "1"}', "key": str(uuid.uuid4())})
        assert refused.status_code == status
    assert Client().get(page_of(tool)).status_code == 302
    assert not receiver.asked and not AuditEntry.objects.filter(action="customtool.tried").exists()
    assert "Try it" in as_(cast.sue).get(f"/admin/agents/customtool/{tool.pk}/change/").content.decode()
    for person in (cast.sue, cast.ada, cast.omar):
        assert "HTTP 200" in sent(as_(person), tool, {"order_id": "1"})
    assert len(receiver.asked) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{broken", "cannot be read"),
        ("[1]", "cannot be read"),
        ('{"order_id": 5}', "do not fit the tool"),
        ('{"order_id": "1", "other": 1}', "do not fit the tool"),
        ("", "do not fit the tool"),
        ('{"order_id": ".."}', "cannot be . or .."),
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_form_and_nothing_is(
    cast: Cast, as_: As, receiver: Receiver, arguments: str, said: str
) -> None:
    tool = made(cast.acme, receiver)
    page = sent(as_(cast.sue), tool, arguments)
    assert said in page and "What was sent" not in page
    assert not receiver.asked and not AuditEntry.objects.filter(action="customtool.tried").exists()


def test_a_place_of_the_turn_must_be_filled_and_only_those_of_the_address_are_asked_for(
    cast: Cast, as_: As, receiver: Receiver
) -> None:
    tool = made(cast.acme, receiver)
    page = sent(as_(cast.sue), tool, {"order_id": "1"}, visitor_user_id=" ")
    assert "This field is required." in page and "visitor_email" not in page and not receiver.asked


def test_a_form_that_comes_twice_makes_one_call_and_without_redis_none(cast: Cast, as_: As, receiver: Receiver) -> None:
    tool, client, key = made(cast.acme, receiver), as_(cast.sue), str(uuid.uuid4())
    page = sent(client, tool, {"order_id": "1"}, key=key)
    fresh = re.search(r'name="key" value="([^"]+)"', page)
    assert fresh and fresh[1] != key
    assert "This was sent already" in sent(client, tool, {"order_id": "1"}, key=key)
    assert len(receiver.asked) == 1
    assert "HTTP 200" in sent(client, tool, {"order_id": "1"}, key=fresh[1])
    wire.mark_away()
    try:
        assert "Redis does not answer" in sent(client, tool, {"order_id": "1"})
    finally:
        wire.mark_back()
    assert len(receiver.asked) == 2


def test_failures_are_shown_as_the_model_would_be_told(cast: Cast, as_: As, receiver: Receiver, settings: Any) -> None:
    tool, client = made(cast.acme, receiver, timeout_seconds=1), as_(cast.sue)
    receiver.answer = (500, {}, b"no <i>way</i>")
    page = sent(client, tool, {"order_id": "1"})
    assert "The answer was HTTP 500." in page and "no &lt;i&gt;way" in page
    settings.HALO_OUTGOING_HOSTS = []
    assert "only https to public addresses" in sent(client, tool, {"order_id": "1"})


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_the_other_system_thinks(receiver: Receiver, as_: As) -> None:
    cast = build_cast()
    tool = made(cast.acme, receiver)
    wrapper, held = connections["default"], []
    receiver.before = lambda: held.append(wrapper.connection)
    assert "HTTP 200" in sent(as_(cast.sue), tool, {"order_id": "1"})
    assert held == [None]


@pytest.mark.parametrize(
    "property_",
    [
        {"type": "string"},
        {"type": "string", "pattern": r"^[A-Z]{2}-\d{1,6}$"},
        {"type": "string", "pattern": r"^#[^A-Z]{1,3}\.[a-f]?x*$"},
        {"type": "string", "minLength": 12, "maxLength": 14},
        {"type": "string", "maxLength": 3},
        {"type": "string", "enum": ["b", "a"]},
        {"type": "string", "format": "date"},
        {"type": ["integer", "null"], "minimum": 7},
        {"type": "integer", "exclusiveMinimum": 7, "multipleOf": 5},
        {"type": "number", "maximum": -0.5},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]},
        {"const": 4},
        {},
    ],
)
def test_the_example_fits_the_schema(property_: dict[str, Any]) -> None:
    schema = check_schema({"type": "object", "properties": {"one": property_, "two": {}}, "required": ["one"]})
    example = example_of(schema)
    assert set(example) == {"one"}
    assert problem_with(example, schema) == ""
