"""The page of custom tools: what it takes, what it refuses, and what it never shows."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse

from agents.models import Agent, CustomTool
from agents.tools.services import add_tool
from orgs.models import AuditEntry
from tests.cast import Cast

SECRET = "tok-s3cret"
SCHEMA = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
VALUES = {
    "name": "order_status",
    "description": "Where an order is.",
    "is_active": "on",
    "parameters": json.dumps(SCHEMA),
    "method": "GET",
    "url_template": "https://api.example/orders/{order_id}",
    "needs_verified_user": "on",
    "timeout_seconds": "10",
}


@pytest.fixture
def tool(cast: Cast) -> CustomTool:
    made = CustomTool(
        org=cast.acme.org, name="order_status", description="x", url_template="https://api.example/orders"
    )
    return add_tool(tool=made, headers={"Authorization": f"Bearer {SECRET}"}, by=None)


def page_of(tool: CustomTool) -> str:
    return reverse("admin:agents_customtool_change", args=[tool.pk])


def test_an_admin_adds_a_tool_whose_headers_are_stored_and_never_shown(cast: Cast, client: Client) -> None:
    client.force_login(cast.ada)
    headers = json.dumps({"Authorization": f"Bearer {SECRET}"})

    client.post(reverse("admin:agents_customtool_add"), {**VALUES, "new_headers": headers})

    tool = CustomTool.objects.get(name="order_status")
    assert json.loads(tool.headers) == {"Authorization": f"Bearer {SECRET}"}
    assert tool.parameters["additionalProperties"] is False
    page = client.get(page_of(tool)).content.decode()
    assert "Authorization" in page and SECRET not in page
    assert SECRET not in str(list(AuditEntry.objects.values_list("before", "after")))


def test_support_may_build_tools_but_neither_sets_nor_keeps_secrets_elsewhere(
    cast: Cast, client: Client, tool: CustomTool
) -> None:
    client.force_login(cast.sue)
    assert "new_headers" not in client.get(page_of(tool)).content.decode()
    headers = json.dumps({"Authorization": "mine"})

    client.post(page_of(tool), {**VALUES, "description": "Better.", "new_headers": headers, "forget_headers": "on"})
    tool.refresh_from_db()
    assert tool.description == "Better." and SECRET in tool.headers
    client.post(page_of(tool), {**VALUES, "url_template": "https://sue.example/{order_id}"})

    tool.refresh_from_db()
    assert tool.url_template == "https://sue.example/{order_id}" and tool.headers == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "escalate"},
        {"name": "Order Status"},
        {"url_template": "http://api.example/{order_id}"},
        {"url_template": "https://{order_id}/"},
        {"parameters": "{broken"},
        {"parameters": '{"type": "object", "properties": {"a": {"$ref": "https://evil.example"}}}'},
        {"new_headers": '{"Host": "evil.example"}'},
        {"new_headers": '["x"]'},
        {"timeout_seconds": "60"},
    ],
)
def test_what_could_not_be_called_is_shown_as_an_error(cast: Cast, client: Client, fields: dict[str, str]) -> None:
    client.force_login(cast.ada)

    response = client.post(reverse("admin:agents_customtool_add"), {**VALUES, **fields})

    assert (response.status_code == 200 and "errorlist" in response.content.decode()) or response.context["errors"]
    assert not CustomTool.objects.exists()


def test_headers_do_not_come_back_beside_an_error(cast: Cast, client: Client) -> None:
    client.force_login(cast.ada)
    headers = json.dumps({"Authorization": SECRET})

    page = client.post(reverse("admin:agents_customtool_add"), {**VALUES, "name": "escalate", "new_headers": headers})

    assert page.status_code == 200 and SECRET not in page.content.decode()
    assert ">null<" not in page.content.decode()


def test_an_agent_takes_the_own_tools_and_no_others(cast: Cast, client: Client, tool: CustomTool) -> None:
    foreign = CustomTool(org=cast.globex.org, name="theirs", description="x", url_template="https://api.example/")
    add_tool(tool=foreign, by=None)
    client.force_login(cast.ada)
    where = reverse("admin:agents_agent_change", args=[cast.acme.agent.pk])
    form = client.get(where).context["adminform"].form
    values = {name: value for name, value in form.initial.items() if name in form.fields and value not in (None, "")}

    client.post(where, {**values, "tools": [str(foreign.pk)]})
    assert Agent.objects.get(pk=cast.acme.agent.pk).tools == []
    client.post(where, {**values, "tools": [str(tool.pk)]})

    agent = Agent.objects.get(pk=cast.acme.agent.pk)
    assert agent.tools == [str(tool.pk)]
    assert agent.name in client.get(page_of(tool)).content.decode()
