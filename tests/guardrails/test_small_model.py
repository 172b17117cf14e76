"""A real model that makes things up, through the whole product: what it invents does not reach the visitor."""

from __future__ import annotations

import time

import pytest

from agents import tools
from agents.llm.base import ModelError, ModelRequest
from agents.llm.openai_backend import OpenAIBackend
from tests.guardrails.conftest import Asked, articles
from tests.guardrails.judge import Judge, said_in
from tests.small_model import CONTEXT, SmallModel

pytestmark = [pytest.mark.smallmodel, pytest.mark.timeout(600)]


def request(message: str) -> ModelRequest:
    return ModelRequest(
        messages=[{"role": "user", "content": message}],
        tools=list(tools.ALL.values()),
        question=message,
        excerpts=[],
        temperature=0.0,
        max_tokens=8,
    )


def test_at_most_a_tenth_of_what_the_model_invents_reaches_the_visitor(asked: list[Asked]) -> None:
    judge = Judge([f"{article.title}\n{article.content}" for article in articles()])
    invented, arrived = [], []
    grounded, delivered = [], []
    for one in asked:
        made_up = judge.inventions(one.said, question=one.question.text)
        if not one.question.answer and made_up:
            invented.append(one)
            if any(said_in(statement, one.told) for statement in made_up):
                arrived.append(one)
        elif one.question.answer and not made_up and said_in(one.question.answer, one.said):
            grounded.append(one)
            if said_in(one.question.answer, one.told):
                delivered.append(one)

    # A model that invents little, or answers nothing, would prove nothing.
    assert len(invented) >= 25
    assert len(grounded) >= 4
    # And its can: what it read out of the articles arrives.
    assert len(delivered) >= 0.75 * len(grounded), [one for one in grounded if one not in delivered]
    assert len(arrived) <= 0.10 * len(invented), [(one.question.text, one.told) for one in arrived]


def test_the_real_server_streams_text_and_usage_to_our_backend_and_takes_a_request_with_tools(
    small_models: list[SmallModel],
) -> None:
    backend = OpenAIBackend(base_url=small_models[0].server_url, model="smollm2")
    pieces: list[str] = []
    reply = backend.stream(request("Say hello."), deadline=time.monotonic() + 60, on_text=pieces.append)
    assert reply.text and "".join(pieces) == reply.text and len(pieces) > 1
    assert reply.usage.prompt_tokens > 0 and 0 < reply.usage.completion_tokens <= 8
    assert not reply.tool_requests


def test_a_prompt_that_is_longer_than_the_models_context_is_a_refusal(small_models: list[SmallModel]) -> None:
    backend = OpenAIBackend(base_url=small_models[0].server_url, model="smollm2")
    with pytest.raises(ModelError) as raised:
        backend.stream(request("word " * (CONTEXT + 1)), deadline=time.monotonic() + 60)
    assert raised.value.kind == "rejected"
