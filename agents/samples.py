"""Labelled answers and questions by others, as rows that the heads of agents.confidence are fitted on and judged by.

answer_faithfulness.jsonl, an answer a line: `task` (its question's id), `answer`, `messages` (`speaker` and `text`, the
question last), `passages` (`id` and `text`), `human.faithfulness` (scores of 1 to 4).
answerability.jsonl, a question a line: `conversation`, `messages`, `passages`, `answerability`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from agents import confidence
from agents.calibration import Numbers
from agents.fitting import Samples
from agents.knowledge.embedding import Vectors, embed
from agents.knowledge.search import RIVALS, query_text, query_vector
from agents.knowledge.splitting import split
from agents.llm.base import Excerpt

FAITHFULNESS, ANSWERABILITY = "answer_faithfulness.jsonl", "answerability.jsonl"
# People's mean score above which an answer counts as right.
RIGHT = 3
SHOWN = 8

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def can_be_answered(row: Row) -> bool:
    return row["answerability"] in ("ANSWERABLE", "PARTIAL")


def passages_of(rows: Iterable[Row]) -> dict[str, tuple[str, str]]:
    """All passages of a file by id: title and text. The title says nothing that the text does not: its first words."""
    texts = {passage["id"]: passage["text"] for row in rows for passage in row["passages"]}
    return {key: (" ".join(text.split()[:8]), text) for key, text in texts.items()}


def conversation(row: Row) -> tuple[str, list[str]]:
    """The last message, and what was said before it."""
    *history, message = (line["text"] for line in row["messages"])
    return message, history


def answerability_samples(rows: Sequence[Row], found: Sequence[list[Excerpt]]) -> Samples:
    """What a search, which found so much for each row, says of its question; true: it can be answered, or in part."""
    inputs = [
        confidence.coverage(question=conversation(row)[0], excerpts=excerpts)
        for row, excerpts in zip(rows, found, strict=True)
    ]
    return Samples(inputs, _truth(map(can_be_answered, rows)), [row["conversation"] for row in rows])


def faithfulness_samples(rows: Sequence[Row]) -> Samples:
    """What is seen of each answer and the passages it was given; true: people found it faithful."""
    pool = Pool(passages_of(rows))
    inputs = []
    for row in rows:
        message, history = conversation(row)
        given = {passage["id"] for passage in row["passages"]}
        inputs.append(
            confidence.inputs(
                question=message,
                answer=row["answer"],
                excerpts=[excerpt for excerpt in pool.ranked(message, history) if excerpt.article_id in given],
                history=history,
                cited=0,
                unsupported=0,
                tool_calls=0,
                tool_errors=0,
                escalated=False,
                repeated=False,
            )
        )
    return Samples(
        inputs, _truth(mean(row["human"]["faithfulness"]) > RIGHT for row in rows), [r["task"] for r in rows]
    )


class Pool:
    """Passages searched by meaning alone, in memory: what the search in the database finds, but for its full text."""

    def __init__(self, passages: Mapping[str, tuple[str, str]]) -> None:
        self._pieces = [(key, piece) for key, (title, text) in passages.items() for piece in split(title, text)]
        self._vectors = embed([f"{piece.heading}\n{piece.text}" for _, piece in self._pieces])
        self._queries: dict[tuple[str, ...], Vectors] = {}

    def search(self, message: str, history: Sequence[str]) -> list[Excerpt]:
        return self.ranked(message, history)[:SHOWN]

    def ranked(self, message: str, history: Sequence[str]) -> list[Excerpt]:
        """All passages, best first."""
        query = tuple(query_text(message, history))
        if query not in self._queries:
            self._queries[query] = query_vector(query)
        scores = self._vectors @ self._queries[query]
        order = np.argsort(-scores, kind="stable")
        rivals = float(scores[order[:RIVALS]].mean()) if len(order) else 0.0
        return [self._excerpt(n, int(place), float(scores[place]), rivals) for n, place in enumerate(order, 1)]

    def _excerpt(self, n: int, place: int, score: float, rivals: float) -> Excerpt:
        key, piece = self._pieces[place]
        return Excerpt(n, piece.heading, piece.text, "", score, key, lead=score - rivals)


def _truth(values: Iterable[bool]) -> Numbers:
    return np.array([float(value) for value in values])
