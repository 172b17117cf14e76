"""A company, its help pages, and two real small models that answer its visitors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connection

from agents.knowledge.importing import Draft, import_articles, read_articles
from agents.services import change_agent
from halo import wire
from orgs.models import Organization
from tests import gguf, small_model
from tests.cast import Cast, House
from tests.conversations.conftest import Visitor
from tests.small_model import SmallModel

LARKWHEEL = Path(__file__).parent / "larkwheel"
MAX_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Question:
    """What a visitor asks; `answer` is in the articles and empty where they do not answer."""

    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what the model made of it, and what the visitor was told."""

    question: Question
    said: str
    told: str


def questions() -> list[Question]:
    lines = (LARKWHEEL / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [Question(row["question"], row.get("answer", "")) for row in map(json.loads, lines)]


def articles() -> list[Draft]:
    return [article for article in read_articles(LARKWHEEL / "articles.jsonl") if isinstance(article, Draft)]


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SmallModel]]:
    """One for each core; apart, so that what either answers follows from its own questions only."""
    if not small_model.installed():
        pytest.skip(small_model.MISSING)
    file = gguf.rewrite(small_model.weights(), tmp_path_factory.mktemp("model") / "small.gguf")
    with SmallModel(file=file) as one, SmallModel(file=file) as other:
        yield [one, other]


@pytest.fixture
def asked(transactional_db: None, cast: Cast, worker: None, small_models: list[SmallModel]) -> list[Asked]:
    """All the questions, asked over HTTP, each in a conversation of its own."""
    wire.mark_back()
    houses = [cast.acme, cast.globex]
    for house, model in zip(houses, small_models, strict=True):
        _open_larkwheel(house, model)
    told: dict[str, str] = {}
    # Neighbours in the file go to different models, so that both have as much to do.
    shares = [questions()[0::2], questions()[1::2]]
    threads = [
        threading.Thread(target=_ask, args=(house, share, told)) for house, share in zip(houses, shares, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = {exchange.question: exchange.text for model in small_models for exchange in model.exchanges}
    return [Asked(question, said[question.text], told[question.text]) for question in questions()]


def _open_larkwheel(house: House, model: SmallModel) -> None:
    """The same company once for each model, as an organisation has one model."""
    Organization.objects.filter(pk=house.org.pk).update(
        name="Larkwheel",
        model_backend="openai",
        model_base_url=model.base_url,
        model_name="smollm2",
        model_url_trusted=True,
    )
    house.org.refresh_from_db()
    import_articles(org=house.org, source_name="Help", drafts=articles())
    house.agent.name = "Larkwheel assistant"
    house.agent.instructions = "Help the visitors of Larkwheel, a bicycle hire shop."
    house.agent.temperature, house.agent.max_tokens, house.agent.deadline_seconds = 0.0, MAX_TOKENS, 50
    names = ["name", "instructions", "temperature", "max_tokens", "deadline_seconds"]
    change_agent(agent=house.agent, names=names, by=None)


def _ask(house: House, share: list[Question], told: dict[str, str]) -> None:
    visitor = Visitor(house.key.value)
    try:
        for question in share:
            told[question.text] = visitor.told(question.text)["text"]
    finally:
        connection.close()
