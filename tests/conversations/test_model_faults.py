"""A model that misbehaves: a clear error or a polite ticket, never a 500, never an empty text, nothing half-written."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agents.models import Agent
from agents.services import publish
from conversations import ending
from conversations.models import Conversation, Message, OutboxItem, Ticket, ToolCall, Turn
from orgs.models import Organization
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel


def change_agent(cast: Cast, **fields: Any) -> None:
    Agent.objects.filter(pk=cast.acme.agent.pk).update(**fields)
    publish(agent=Agent.objects.get(pk=cast.acme.agent.pk), by=None)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400},
        {"status": 401},
        {"status": 404},
        {"text": ""},
        {"text": " \n\t "},
        {"body": b"<html>oops</html>", "content_type": "text/html"},
        {"body": b'data: {"broken\n\n', "content_type": "text/event-stream"},
        {"body": b"data: [1, 2]\n\ndata: [DONE]\n\n", "content_type": "text/event-stream"},
        {"chunks": ["half an an", "swer"], "cut_after": 1},
        {"chunks": ["half an answer"], "finish_reason": None, "done": False},
    ],
    ids=str,
)
def test_a_model_that_fails_for_good_is_a_503_and_the_message_stays(
    visitor: Visitor, model: FakeModel, fault: dict[str, Any]
) -> None:
    model.reply(**fault)

    response = visitor.say("Hello?")

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert int(response["Retry-After"]) >= 1
    message = Message.objects.get()
    assert message.text == "Hello?" and message.unanswered
    turn = Turn.objects.get()
    assert (turn.status, turn.error_code) == ("failed", "unavailable") and turn.error_detail
    conversation = Conversation.objects.get()
    assert conversation.has_error and conversation.outcome == "failed"


def test_the_next_message_after_a_failure_is_answered(visitor: Visitor, model: FakeModel) -> None:
    session = None
    model.reply(status=400)
    visitor.say("one")
    session = Conversation.objects.get().session.session_id

    assert visitor.told("two", session_id=session)["session_id"] == session


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 500}, {"status": 503}, {"cut_after": 0}])
def test_a_fault_before_any_text_is_tried_again(visitor: Visitor, model: FakeModel, fault: dict[str, Any]) -> None:
    model.reply(**fault).reply("second try")

    assert visitor.told()["text"] == "second try"
    assert Turn.objects.get().attempt == 1


def test_a_model_slower_than_the_agents_deadline_is_a_504(visitor: Visitor, model: FakeModel, cast: Cast) -> None:
    change_agent(cast, deadline_seconds=1)
    model.reply("too late", delay=12)

    began = time.monotonic()
    response = visitor.say()

    assert (response.status_code, response.json()["code"]) == (504, "model_timeout")
    assert time.monotonic() - began < 8
    assert Message.objects.get().unanswered


def test_a_model_that_drips_is_held_to_the_deadline(visitor: Visitor, model: FakeModel, cast: Cast) -> None:
    change_agent(cast, deadline_seconds=1)
    model.reply("a very slow answer", drip=0.4)

    began = time.monotonic()
    assert visitor.say().status_code == 504
    assert time.monotonic() - began < 10


def test_where_the_agent_says_so_a_failure_is_a_polite_text_and_a_ticket(
    visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    change_agent(cast, on_failure="polite", failure_text="Sorry! Our team will write to you.")
    model.reply(status=400)

    answer = visitor.told("My order is lost")

    ticket = Ticket.objects.get()
    assert answer["text"] == "Sorry! Our team will write to you."
    assert answer["confidence"] is None
    assert answer["actions"] == [{"type": "escalate", "reason": ticket.metadata["reason"], "ticket_id": str(ticket.pk)}]
    assert (ticket.subject, ticket.number, ticket.session) == (
        "My order is lost",
        1,
        Conversation.objects.get().session,
    )
    turn = Turn.objects.get()
    assert (turn.outcome, turn.error_code, turn.escalated) == ("apology", "unavailable", True)


def test_an_answer_of_two_megabytes_is_cut_at_its_cap(visitor: Visitor, model: FakeModel) -> None:
    model.reply(chunks=["x" * 1000] * 2000)

    assert visitor.told()["text"] == "x" * 20_000


def test_nul_and_control_characters_never_reach_visitor_or_database(visitor: Visitor, model: FakeModel) -> None:
    model.reply(chunks=["a\x00b\x07c", "\ud800d\r\ne"])

    text = visitor.told()["text"]

    assert "\x00" not in text and "\x07" not in text and text.startswith("abc") and text.endswith("d\ne")


def test_an_unknown_tool_and_broken_arguments_go_back_to_the_model(visitor: Visitor, model: FakeModel) -> None:
    model.reply("", tool_calls=[("drop_tables", {}), ("escalate", "{broken"), ("escalate", {"reason": 5}),
                                ("search_knowledge", {"query": "\x00"})])  # fmt: skip
    model.reply("I cannot do that.")

    assert visitor.told()["text"] == "I cannot do that."

    results = [m["content"] for m in model.requests[-1].messages if m["role"] == "tool"]
    assert ["error" in result for result in results] == [True, True, True, False]
    assert list(ToolCall.objects.order_by("step").values_list("status", flat=True)) == [
        "failed",
        "failed",
        "failed",
        "done",
    ]
    assert Turn.objects.get().confidence_inputs["tool_errors"] == 3
    assert not Ticket.objects.exists()


def test_a_model_that_only_ever_calls_tools_is_stopped_after_eight_rounds(visitor: Visitor, model: FakeModel) -> None:
    model.reply("", tool_calls=[("search_knowledge", {"query": "x"})], times=8)
    model.reply("Enough.")

    assert visitor.told()["text"] == "Enough."
    assert len(model.requests) == 9
    assert not model.requests[-1].body.get("tools")


def test_an_escalation_opens_one_ticket_and_the_agent_goes_on(visitor: Visitor, model: FakeModel, cast: Cast) -> None:
    model.reply("", tool_calls=[("escalate", {"reason": "wants a person"})])
    model.reply("I have told the team.")
    first = visitor.told("A human please", headers={"Idempotency-Key": "k" * 20})

    ticket = Ticket.objects.get()
    assert first["actions"] == [{"type": "escalate", "reason": "wants a person", "ticket_id": str(ticket.pk)}]
    assert Turn.objects.get().escalated and Conversation.objects.get().outcome == "escalated"

    model.reply("", tool_calls=[("escalate", {"reason": "again"})]).reply("Still on it.")
    second = visitor.told("Hello?", session_id=first["session_id"])
    assert second["actions"][0]["ticket_id"] == str(ticket.pk)
    assert Ticket.objects.count() == 1
    assert visitor.told("Thanks", session_id=first["session_id"])["actions"] == []
    assert Conversation.objects.get().outcome == "escalated"


def test_an_escalation_without_words_is_put_into_words(visitor: Visitor, model: FakeModel) -> None:
    model.reply("", tool_calls=[("escalate", {"reason": "x"})]).reply("")

    answer = visitor.told("A human please")

    assert answer["text"] and answer["actions"][0]["type"] == "escalate"


def test_the_organisations_key_and_model_are_used_and_appear_nowhere_else(
    visitor: Visitor, model: FakeModel, acme: Organization
) -> None:
    org = Organization.objects.get(pk=acme.pk)
    org.model_api_key = "sk-of-acme"
    org.model_name = "acme-large"
    org.save(update_fields=["model_api_key", "model_name"])

    visitor.told()

    request = model.requests[-1]
    assert request.headers["authorization"] == "Bearer sk-of-acme"
    assert request.body["model"] == "acme-large"
    turn = Turn.objects.select_related("trace").get()
    assert "sk-of-acme" not in str(turn.trace.prompt) + str(turn.response) + str(turn.snapshot)


def test_nothing_is_sent_for_an_untrusted_private_model_address(
    visitor: Visitor, model: FakeModel, acme: Organization
) -> None:
    Organization.objects.filter(pk=acme.pk).update(model_url_trusted=False)

    assert visitor.say().status_code == 503
    assert not model.requests
    assert not OutboxItem.objects.exists()


def test_a_model_that_calls_tools_even_when_none_are_left_is_a_503_and_never_an_empty_text(
    visitor: Visitor, model: FakeModel
) -> None:
    model.reply("", tool_calls=[("search_knowledge", {"query": "x"})], times=9)

    assert visitor.say().status_code == 503


def test_a_retry_after_a_tool_round_goes_on_from_there(visitor: Visitor, model: FakeModel) -> None:
    key = {"Idempotency-Key": "k" * 16}
    model.reply("", tool_calls=[("search_knowledge", {"query": "x"})]).reply(status=400)
    assert visitor.say(headers=key).status_code == 503
    model.reply("", tool_calls=[("search_knowledge", {"query": "y"})]).reply("found it")

    assert visitor.told(headers=key)["text"] == "found it"
    assert list(ToolCall.objects.order_by("step").values_list("step", "round")) == [(0, 0), (1, 1)]


def test_a_reply_to_a_turn_that_was_closed_and_reopened_is_dropped(
    visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    key = {"Idempotency-Key": "k" * 16}
    change_agent(cast, deadline_seconds=20)
    model.reply("late", delay=2)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(visitor.say, headers=key)
        while not model.requests:
            time.sleep(0.02)
        ending.close(Turn.objects.get().pk, code="model_timeout")
        assert first.result(timeout=20).status_code == 504
    model.reply("in time", delay=3)

    assert visitor.told(headers=key)["text"] == "in time"


def test_tokens_of_all_rounds_are_counted(visitor: Visitor, model: FakeModel) -> None:
    visitor.told()
    one = Turn.objects.get().prompt_tokens
    model.reply("", tool_calls=[("search_knowledge", {"query": "x"})]).reply("done")
    visitor.told()

    assert Turn.objects.order_by("accepted_at").last().prompt_tokens > one  # type: ignore[union-attr]


def test_a_failure_does_not_undo_that_people_were_called(visitor: Visitor, model: FakeModel) -> None:
    model.reply("", tool_calls=[("escalate", {"reason": "x"})]).reply("told them")
    session = visitor.told()["session_id"]
    model.reply(status=400)
    visitor.say(session_id=session)

    conversation = Conversation.objects.get()
    assert (conversation.outcome, conversation.has_error) == ("escalated", True)


def test_a_prompt_full_of_spaces_costs_no_time(visitor: Visitor) -> None:
    began = time.monotonic()
    visitor.told(context={"a": {"label": "x", "value": "<" + " " * 49_000 + "x"}})
    assert time.monotonic() - began < 8
