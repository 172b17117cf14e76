"""Traces: how far each attempt came, what it cost, and never a secret."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from agents import costs
from agents.llm.base import Excerpt
from agents.models import Agent, CustomTool
from agents.services import publish
from conversations import answering, steps
from conversations.models import Message, ToolCall, Turn, TurnTrace
from conversations.redacting import Redactor, redactor_for
from orgs.models import Organization
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

KEY = {"Idempotency-Key": "k" * 16}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoidTEifQ.c2lnbmF0dXJlLXRoYXQtaXMtbm90"


@pytest.fixture
def priced(acme: Organization) -> Organization:
    """Acme, whose model costs something."""
    Organization.objects.filter(pk=acme.pk).update(input_price=2.0, output_price=10.0, currency="EUR")
    acme.refresh_from_db()
    return acme


def expected(turn: Turn, input_price: str = "2", output_price: str = "10") -> Decimal:
    total = turn.prompt_tokens * Decimal(input_price) + turn.completion_tokens * Decimal(output_price)
    return (total / 1_000_000).quantize(costs.SMALLEST)


# --- Money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "written", "prices", "cost"),
    [
        (1_000_000, 500_000, (2.5, 10.0), "7.500000"),
        (3, 0, (0.1, None), "0.000000"),
        (1000, 10, (0.0, 0.0), "0.000000"),
        (1000, 10, (2.0, None), None),
        (1000, 10, (None, None), None),
        (0, 0, (2.0, 10.0), None),
    ],
)
def test_tokens_cost_their_price_and_what_has_no_price_is_not_known(
    read: int, written: int, prices: tuple[float | None, float | None], cost: str | None
) -> None:
    found = costs.cost(prompt_tokens=read, completion_tokens=written, input_price=prices[0], output_price=prices[1])
    assert found == (None if cost is None else Decimal(cost))


def test_an_answer_costs_what_the_organisations_prices_say(priced: Organization, visitor: Visitor) -> None:
    visitor.told()

    turn = Turn.objects.get()
    assert turn.prompt_tokens > 0 and turn.cost == expected(turn) > 0


def test_an_agents_own_price_comes_first(priced: Organization, visitor: Visitor, cast: Cast) -> None:
    Agent.objects.filter(pk=cast.acme.agent.pk).update(input_price=7.0)
    publish(agent=Agent.objects.get(pk=cast.acme.agent.pk), by=None)
    visitor.told()

    turn = Turn.objects.get()
    assert turn.cost == expected(turn, "7")


def test_without_a_price_no_cost_is_made_up(visitor: Visitor) -> None:
    visitor.told()
    assert Turn.objects.get().cost is None


def test_a_failure_was_paid_for_and_its_retry_adds_to_it(
    priced: Organization, visitor: Visitor, model: FakeModel
) -> None:
    model.reply("", tool_calls=[("search_knowledge", {"query": "x"})]).reply(status=400)
    assert visitor.say(headers=KEY).status_code == 503
    failed = Turn.objects.get()
    assert failed.status == "failed" and failed.cost == expected(failed) > 0
    model.reply("found it")

    visitor.told(headers=KEY)

    turn = Turn.objects.get()
    assert turn.prompt_tokens > failed.prompt_tokens and turn.completion_tokens > failed.completion_tokens
    assert turn.cost == pytest.approx(expected(turn), abs=Decimal("0.000002"))
    calls = TurnTrace.objects.get().model_calls
    assert [(call["attempt"], "error" in call) for call in calls] == [(1, False), (1, True), (2, False)]
    assert sum(call.get("prompt_tokens", 0) for call in calls) == turn.prompt_tokens


# --- Failures of every kind ------------------------------------------------------------------------------------------


def test_a_model_that_fails_leaves_prompt_retries_and_timings(visitor: Visitor, model: FakeModel) -> None:
    model.reply(status=429, times=2).reply(status=400)
    visitor.say("Where is my order?")

    trace = TurnTrace.objects.get()
    [call] = trace.model_calls
    assert call["error"].startswith("rejected")
    assert [retry["error"].split(":")[0] for retry in call["retries"]] == ["rate_limited", "rate_limited"]
    assert trace.prompt[-1] == {"role": "user", "content": "Where is my order?"}
    assert [phase["what"] for phase in trace.timings["phases"]] == ["search", "model"]
    assert trace.timings["total_ms"] >= trace.timings["model_ms"] > 0


def test_a_timeout_leaves_its_trace(visitor: Visitor, model: FakeModel, cast: Cast) -> None:
    Agent.objects.filter(pk=cast.acme.agent.pk).update(deadline_seconds=1)
    publish(agent=Agent.objects.get(pk=cast.acme.agent.pk), by=None)
    model.reply("too late", delay=8)
    assert visitor.say().status_code == 504

    for _ in range(100):
        if trace := TurnTrace.objects.first():
            break
        time.sleep(0.05)
    assert trace is not None and trace.model_calls[0]["error"].startswith("timeout")


def test_a_defect_of_ours_leaves_how_far_it_came(
    priced: Organization, visitor: Visitor, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(answering, "settle", broken)
    model.reply("an answer that is lost")

    assert visitor.say().status_code == 503
    turn = Turn.objects.get()
    assert (turn.status, turn.error_detail) == ("failed", "RuntimeError")
    assert turn.cost == expected(turn) > 0
    assert TurnTrace.objects.get().model_calls[0]["said"] == "an answer that is lost"


def test_an_answer_leaves_its_rounds_tools_and_first_words(visitor: Visitor, model: FakeModel) -> None:
    model.reply("", tool_calls=[("search_knowledge", {"query": "x"})]).reply("done", first_delay=0.05)
    visitor.told()

    trace = TurnTrace.objects.get()
    search, first, tools, second = trace.timings["phases"]
    assert [phase["what"] for phase in (search, first, tools, second)] == ["search", "model", "tools", "model"]
    assert tools["names"] == ["search_knowledge"] and "first_text_ms" not in first
    assert 40 <= second["first_text_ms"] <= second["ms"]
    assert search["at_ms"] <= first["at_ms"] <= tools["at_ms"] <= second["at_ms"]
    assert [(call["round"], call["said"]) for call in trace.model_calls] == [(1, ""), (2, "done")]


# --- Secrets ---------------------------------------------------------------------------------------------------------


def test_what_a_visitor_pastes_is_kept_out_of_the_trace_and_stays_in_the_transcript(
    visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    pasted = [
        cast.acme.secret_plain,
        cast.acme.key.value,
        "sess_" + "a" * 32,
        "sk-proj-" + "Ab3" * 12,
        JWT,
        "AKIA" + "ABCDEFGH12345678",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----",
    ]
    model.reply(f"I will not repeat {pasted[3]}")
    visitor.told("My keys: " + " ; ".join(pasted), context={"a": {"label": "Key", "value": pasted[3]}})

    stored = stored_trace()
    for secret in pasted:
        assert secret not in stored and json.dumps(secret)[1:-1] not in stored, secret
    assert "[removed: an identity token]" in stored and "My keys:" in stored
    assert pasted[3] in Message.objects.filter(author="visitor").get().text
    # The model itself was asked what the visitor asked.
    assert pasted[3] in str(model.requests[-1].messages)


def test_what_a_tool_brings_in_of_the_organisations_secrets_is_kept_out(
    visitor: Visitor, model: FakeModel, acme: Organization, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.model_api_key = "plain-model-key-of-acme"
    acme.save(update_fields=["model_api_key"])
    header = 'quoted"tool/secret+é'
    CustomTool.objects.create(
        org=acme,
        name="orders",
        description="x",
        url_template="https://x.example/",
        headers=json.dumps(
            {"X-Api-Key": header, "Authorization": "Bearer shop-token-0815", "Accept": "application/json"}
        ),
    )
    hostile = f"Your headers were X-Api-Key: {header} and shop-token-0815 and plain-model-key-of-acme, application/json"
    found = [Excerpt(n=99, title=header, text=hostile, url="", score=0.5, article_id="x")]
    # A search is the tool whose result can be chosen without a server; what it finds is anybody's text.
    monkeypatch.setattr(steps, "excerpts_for", lambda *_, **__: found)
    model.reply("", tool_calls=[("search_knowledge", {"query": f"with {header}"})]).reply(f"It said {header}")

    visitor.told()

    stored = stored_trace()
    for secret in (header, json.dumps(header)[1:-1], "shop-token-0815", "plain-model-key-of-acme"):
        assert secret not in stored and json.dumps(secret)[1:-1] not in stored, secret
    assert "Your headers were X-Api-Key: [removed" in stored and "application/json" in stored
    # What is replayed to the model stays as it was.
    assert "shop-token-0815" in ToolCall.objects.get().result


def test_another_organisations_secrets_are_not_looked_up(acme: Organization, cast: Cast) -> None:
    globex = cast.globex
    globex.org.model_api_key = "plain-model-key-of-globex"
    globex.org.save(update_fields=["model_api_key"])
    text = "plain-model-key-of-globex"
    assert redactor_for(org=acme, agent=cast.acme.agent).text(text) == text
    assert redactor_for(org=globex.org, agent=globex.agent).text(text) != text


@pytest.mark.parametrize(
    "text",
    [
        "Ask-me-anything about the task-force-of-twenty-people",
        "The basic plan includes everything",
        "Open Settings > Security and choose sk",
        "Article 0192837465 of 2026-11-27, invoice INV-2026-000123",
        "Bearer of bad news",
    ],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert Redactor(["", "short"]).text(text) == text


def test_redacting_takes_no_time_whatever_the_text_is() -> None:
    redactor = Redactor(["known-secret-1"])
    began = time.monotonic()
    for text in (
        "eyJ" * 60_000,
        "sk-" * 60_000,
        "-----BEGIN PRIVATE KEY-----" * 6_000,
        "Bearer " * 25_000,
        "a." * 90_000,
    ):
        redactor.text(text)
        redactor.text(text + "-" * 50_000)
    assert time.monotonic() - began < 8


def stored_trace() -> str:
    trace = TurnTrace.objects.get()
    return json.dumps([trace.prompt, trace.passages, trace.timings, trace.model_calls], ensure_ascii=False)
