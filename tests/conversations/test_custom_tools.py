"""Custom tools over HTTP, against a small server of our own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import AgentVersion, CustomTool
from agents.tools.services import add_tool, change_tool
from conversations import answering
from conversations.models import Message, ToolCall, Turn, TurnTrace
from halo.errors import InvalidRequest
from orgs.models import AuditEntry
from orgs.services import Conflict
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.conversations.receiver import ORDER, SECRET, Receiver, ask, offer
from tests.conversations.test_query_budget import accept, without_transactions
from tests.conversations.test_tools import KEY, offered, results
from tests.fake_model import FakeModel


def test_a_call_is_made_as_it_was_set_up_and_listed_as_an_action(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver
) -> None:
    offer(cast.acme, cast, receiver, path="/orders/{order_id}?c={conversation.id}")
    ask(model, {**ORDER, "note": "ä&b"})

    answer = visitor.told()

    turn, call = Turn.objects.get(), ToolCall.objects.get()
    ((method, path, headers, body),) = receiver.asked
    assert (method, path, body) == ("GET", f"/orders/A%201?c={turn.conversation_id}&note=%C3%A4%26b", b"")
    assert headers["authorization"] == f"Bearer {SECRET}" and headers["user-agent"].startswith("Halo/")
    assert headers["idempotency-key"] == call.effect_key == f"halo-{turn.pk}-0"
    assert (call.status, call.http_status) == ("done", 200) and call.started_at and call.finished_at
    assert json.loads(results(model)[0]) == {"status": 200, "body": {"state": "shipped"}}
    assert answer["actions"] == [{"type": "custom", "name": "order_status", "arguments": {**ORDER, "note": "ä&b"}}]
    assert "order_status" in offered(model)


def test_what_changes_something_is_sent_as_json(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver
) -> None:
    offer(cast.acme, cast, receiver, method="POST", path="/orders")
    ask(model, {**ORDER, "note": "x"})

    visitor.told()

    ((method, path, headers, body),) = receiver.asked
    assert (method, path, headers["content-type"]) == ("POST", "/orders", "application/json")
    assert json.loads(body) == {**ORDER, "note": "x"}


def test_a_secret_that_the_receiver_echoes_is_in_no_row_and_no_prompt(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver
) -> None:
    offer(cast.acme, cast, receiver)
    receiver.answer = (500, {}, f"trace: Authorization: Bearer {SECRET}".encode())
    ask(model)

    visitor.told()

    assert receiver.asked and "HTTP 500" in results(model)[0] and "[redacted]" in results(model)[0]
    written = [
        *ToolCall.objects.values_list("result", "arguments"),
        *TurnTrace.objects.values_list("prompt", "model_calls"),
        *Turn.objects.values_list("response", "explanation"),
        *Message.objects.values_list("text"),
        *AuditEntry.objects.values_list("before", "after"),
    ]
    assert "s3cret" not in f"{written} {model.requests[-1].body}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT headers FROM agents_customtool")
        assert "s3cret" not in cursor.fetchone()[0]


@pytest.mark.parametrize(
    "arguments", ["{broken", "[]", {"order_id": 5}, {}, {**ORDER, "more": 1}, {"order_id": ".."}, "x" * 9000]
)
def test_broken_arguments_go_back_to_the_model_and_nowhere_else(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver, arguments: Any
) -> None:
    offer(cast.acme, cast, receiver)
    ask(model, arguments, then="I cannot.")

    assert visitor.told()["actions"] == []
    assert "error" in results(model)[0] and not receiver.asked
    assert Turn.objects.get().confidence_inputs["tool_errors"] == 1


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        (404, {}, b'{"why": "no such order"}', "no such order"),
        (302, {"Location": "https://evil.example/"}, b"", "HTTP 302"),
        (200, {}, b"x" * 70_000, "too long"),
    ],
)
def test_an_answer_that_is_none_is_told_to_the_model_and_no_action(
    visitor: Visitor,
    model: FakeModel,
    cast: Cast,
    receiver: Receiver,
    status: int,
    headers: Any,
    body: bytes,
    told: str,
) -> None:
    offer(cast.acme, cast, receiver)
    receiver.answer = (status, headers, body)
    ask(model, then="Sorry.")

    assert visitor.told()["actions"] == []
    assert told in results(model)[0] and len(receiver.asked) == 1
    assert ToolCall.objects.get().status == "failed"


def test_a_private_address_is_not_called(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver, settings: Any
) -> None:
    tool = offer(cast.acme, cast, receiver)
    settings.HALO_OUTGOING_HOSTS = []
    for template in (receiver.base, "https://127.0.0.1:1/", "https://169.254.169.254/latest", "https://localhost/"):
        CustomTool.objects.filter(pk=tool.pk).update(url_template=template)
        ask(model, then="Sorry.")
        assert visitor.told()["actions"] == []
        assert "was not made" in results(model)[0]
    assert not receiver.asked


def test_another_organisations_tool_cannot_be_called(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver
) -> None:
    with pytest.raises(Conflict):
        offer(cast.globex, cast, receiver)
    # And were it published all the same:
    agent = cast.acme.agent
    theirs = CustomTool.objects.get(org=cast.globex.org)
    config = {**agent.draft().to_json(), "tools": [str(theirs.pk)]}
    agent.current_version = AgentVersion.objects.create(org=agent.org, agent=agent, number=99, config=config)
    agent.save(update_fields=["current_version"])
    ask(model, then="No.")

    assert visitor.told()["actions"] == []
    assert "order_status" not in offered(model) and "no tool with that name" in results(model)[0]
    assert not receiver.asked


def test_a_tool_is_off_from_the_next_message_on(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver
) -> None:
    tool = offer(cast.acme, cast, receiver)
    visitor.told()
    assert "order_status" in offered(model)
    tool.is_active = False
    change_tool(tool=tool, names=["is_active"], by=None)
    ask(model)

    visitor.told()

    assert "order_status" not in offered(model) and not receiver.asked


def test_who_has_proved_nothing_is_not_even_offered_what_needs_a_user(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver, token: Callable[..., str]
) -> None:
    offer(cast.acme, cast, receiver, needs_verified_user=True, path="/u/{visitor.user_id}/{visitor.email}?o={order_id}")
    ask(model, then="Log in first.")
    assert visitor.told(user_id="u/1")["actions"] == []
    assert "order_status" not in offered(model) and not receiver.asked
    ask(model)

    mine = visitor.told(
        user_id="u1", user_token=token(email="u1@acme.example"), custom_fields={"email": "boss@acme.example"}
    )

    assert mine["actions"] and receiver.asked[0][1] == "/u/u1/u1%40acme.example?o=A%201"


def test_a_template_that_needs_a_user_refuses_anonymous_visitors(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver
) -> None:
    offer(cast.acme, cast, receiver, path="/u/{visitor.user_id}?o={order_id}")
    ask(model, then="Who are you?")

    assert visitor.told(custom_fields={"user_id": "boss"})["actions"] == []
    assert "user is known" in results(model)[0] and not receiver.asked


# --- Exactly once ----------------------------------------------------------------------------------------------------


def lose_the_answer() -> None:
    """As if the process had died between the call and its answer."""
    ToolCall.objects.update(status="planned", result="", finished_at=None, http_status=None, started_at=timezone.now())


@pytest.mark.parametrize(
    ("fields", "sent", "status"),
    [
        ({"method": "POST"}, 1, "unknown"),
        ({"method": "POST", "is_idempotent": True}, 2, "done"),
        ({"method": "GET"}, 2, "done"),
    ],
)
def test_a_call_whose_answer_was_lost_is_repeated_only_where_that_is_safe(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver, fields: Any, sent: int, status: str
) -> None:
    offer(cast.acme, cast, receiver, path="/orders", **fields)
    model.reply("", tool_calls=[("order_status", ORDER)]).reply(status=400)
    assert visitor.say(headers=KEY).status_code == 503
    lose_the_answer()
    model.reply("There you are.")

    actions = visitor.told(headers=KEY)["actions"]

    assert len(receiver.asked) == sent and len({asked[2]["idempotency-key"] for asked in receiver.asked}) == 1
    assert ToolCall.objects.get().status == status
    assert (len(actions) == 1) == (status == "done")
    assert ("Outcome unknown" in results(model)[0]) == (status == "unknown")


def test_a_call_with_an_answer_is_not_made_again_by_a_later_attempt(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver
) -> None:
    offer(cast.acme, cast, receiver, method="POST", path="/orders")
    model.reply("", tool_calls=[("order_status", ORDER)]).reply(status=400)
    assert visitor.say(headers=KEY).status_code == 503
    ask(model)

    actions = visitor.told(headers=KEY)["actions"]

    assert len(receiver.asked) == 1 and len(actions) == 1
    assert "in this turn already" in results(model)[1], "the model asked for it once more"


@pytest.mark.parametrize(("method", "status"), [("POST", "unknown"), ("GET", "failed")])
def test_a_receiver_that_is_too_slow_is_given_up(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver, method: str, status: str
) -> None:
    offer(cast.acme, cast, receiver, method=method, path="/orders", timeout_seconds=1)
    receiver.delay = 2
    ask(model, then="It takes too long.")

    assert visitor.told()["actions"] == []
    assert ToolCall.objects.get().status == status


def test_no_connection_is_held_while_a_receiver_is_waited_for(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver
) -> None:
    offer(cast.acme, cast, receiver)
    held: list[int] = []

    def look() -> None:
        connection.close()
        stats = (time.sleep(0.1), connection.pool.get_stats())  # type: ignore[attr-defined]
        held.append(stats[1]["pool_size"] - stats[1]["pool_available"])

    receiver.before = lambda: [look() for _ in range(5)]
    ask(model)
    visitor.told()

    # The sweep may hold one for a moment, every two seconds.
    assert min(held) == 0


# --- Setting up ------------------------------------------------------------------------------------------------------


def test_another_origin_in_the_address_removes_the_headers(cast: Cast, settings: Any) -> None:
    tool = CustomTool(org=cast.acme.org, name="x", description="x", url_template="https://api.example/a")
    add_tool(tool=tool, headers={"Authorization": SECRET}, by=cast.omar)
    tool.url_template = "https://api.example:443/b"
    change_tool(tool=tool, names=["url_template"], by=cast.omar)
    tool.refresh_from_db()
    assert SECRET in tool.headers, "another path is the same place"
    tool.url_template = "https://api.evil.example/b"

    change_tool(tool=tool, names=["url_template"], by=cast.omar)

    tool.refresh_from_db()
    assert tool.headers == ""
    assert SECRET not in str(list(AuditEntry.objects.values_list("before", "after")))


@pytest.mark.parametrize(
    "fields", [{"name": "escalate"}, {"url_template": "http://api.example/"}, {"parameters": {"type": "array"}}]
)
def test_a_tool_that_could_not_be_called_is_refused(cast: Cast, fields: Any) -> None:
    values = {"name": "x", "description": "x", "url_template": "https://api.example/a"}
    with pytest.raises(InvalidRequest):
        add_tool(tool=CustomTool(org=cast.acme.org, **{**values, **fields}), by=None)


def test_custom_tools_cost_a_turn_one_statement_and_none_where_there_are_none(
    visitor: Visitor, model: FakeModel, cast: Cast, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.bell.ring", lambda turn_id: True)

    def statements() -> int:
        accepted = accept(cast)
        session = Turn.objects.get(pk=accepted.turn_id).conversation.session.session_id
        answering.answer(accepted.turn_id)
        second = accept(cast, session_id=session)
        with CaptureQueriesContext(connection) as queries:
            answering.answer(second.turn_id)
        return len(without_transactions(queries))

    without = statements()
    offer(cast.acme, cast, receiver)
    statements()

    # The tools are kept in memory; 1 calls that wait for a yes
    assert statements() == without + 1
