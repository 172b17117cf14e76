"""Finds the passages of one organisation that a message is about."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from pgvector import Vector

from agents.knowledge.embedding import Vectors, embed
from agents.knowledge.splitting import sentences, size
from agents.knowledge.statements import COUNT, LARGE, SMALL
from halo import db
from halo.api.strict_json import storable

# Up to so many passages (the organisation's, or of the sources asked for) are each compared with the question. Above,
# those whose signs agree with the question's in most dimensions are.
EXACT_UP_TO, ROUGHLY_NEAREST = 5_000, 1_500
# The nearest in meaning, among which the words decide; with 300 recall@5 of the conversations was 0.965, not 0.971.
NEAREST = 500
# What words add to a similarity: those of the message that a passage has, weighted by how often they are said and how
# rare they are among the nearest (as in BM25), in multiples of what chance gives; and the share of its heading that
# the message says. Recall was flat from 0.01 to 0.02, and from 0.04 to 0.07.
WORDS_WEIGHT, HEADING_WEIGHT = 0.015, 0.05
# How much of its words' weight a passage loses to its length, as in BM25; from 0 to 0.75 it made no difference.
LENGTH_WEIGHT = 0.5
# What an identifier adds that one passage alone has; half of it without letters or without digits, which many texts
# have for other reasons. Where `n` passages have it, less by the square root of `n`.
IDENTIFIER_WEIGHT = 0.4
MAX_IDENTIFIERS = 16
# An identifier that so few share that it is worth this stands third at least, whatever else the message says.
CLEAR_WORTH = 0.45
# Identifiers are looked up wherever they are, as are words that next to none of the nearest has (names, above all);
# what more passages have than this says little.
MAX_RARE, MAX_HOLDERS = 6, 40
# A long text is read in parts of so many wordpieces and its vector is their mean: 256 is all that the model sees.
PART_SIZE = 192
# The longest messages are read at both ends, where people say what they want.
FIRST_PARTS, LAST_PARTS = 6, 3
# Words of a long message that are looked up: those said most often, which it is about; of equals those with digits
# (codes, amounts), then the longest (rare ones).
MAX_LEXEMES = 32
# A passage that answers stands out from so many that come next; between 30 and 250 it hardly matters how many.
RIVALS = 50
# How much of each earlier line says what the conversation is about; more of it drowned the message.
CONTEXT_WORDS = 40


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, best first by words and meaning.

    `score` is its cosine similarity to the query, `lead` how much that is above the mean of the fifty best passages.
    """

    passage_id: int
    article_pk: uuid.UUID
    external_id: str
    title: str
    heading: str
    text: str
    url: str
    score: float
    lead: float


def query_text(message: str, history: Sequence[str] = ()) -> list[str]:
    """What to search for: the message, and it with what was said before (`history`, oldest first, without the message).

    "And how long does that take?" means nothing alone, so the last exchange is searched too; where the subject has
    changed, the message by itself still counts for half.
    """
    if not history:
        return [message]
    lines = [" ".join(line.split()[:CONTEXT_WORDS]) for line in history[-2:]]
    return [message, "\n".join([*lines, message])]


def search(
    *,
    org_id: uuid.UUID,
    query: str | Sequence[str],
    limit: int = 8,
    sources: Collection[uuid.UUID] | None = None,
    vector: Vectors | None = None,
) -> list[Hit]:
    """The organisation's best passages for `query`, at most `limit`; of `sources` only, unless that is None.

    Of several texts the meanings count alike, and the words are the first one's. `vector` spares embedding them again.
    """
    texts = [query] if isinstance(query, str) else list(query)
    parameters = _constants() | {"org": org_id, "sources": None if sources is None else list(sources)}
    # An organisation without knowledge pays for no model.
    count = _count(parameters) if texts and parameters["sources"] != [] else 0
    if not count:
        return []
    if vector is None:
        # Hundreds of threads may wait here for their turn on a core: not with the pool's few connections in hand.
        db.release_connection()
        vector = query_vector(texts)
    parameters |= {"text": storable(texts[0]), "vector": Vector(vector).to_text(), "limit": limit}
    if count <= EXACT_UP_TO:
        return [Hit(*row) for row in db.run(SMALL, parameters)]
    # A plan for whatever may be asked took a third longer here than one for the question, planning included.
    with connection.cursor() as cursor:
        cursor.execute(LARGE, parameters)
        return [Hit(*row) for row in cursor.fetchall()]


def _constants() -> dict[str, Any]:
    return {
        "exact_up_to": EXACT_UP_TO,
        "roughly_nearest": ROUGHLY_NEAREST,
        "nearest": NEAREST,
        "words_weight": WORDS_WEIGHT,
        "heading_weight": HEADING_WEIGHT,
        "length_weight": LENGTH_WEIGHT,
        "identifier_weight": IDENTIFIER_WEIGHT,
        "clear_worth": CLEAR_WORTH,
        "max_identifiers": MAX_IDENTIFIERS,
        "max_rare": MAX_RARE,
        "max_holders": MAX_HOLDERS,
        "max_lexemes": MAX_LEXEMES,
        "rivals": RIVALS,
    }


def _count(parameters: dict[str, Any]) -> int:
    """How many passages there are to search; counts no further than matters."""
    [(count,)] = db.run(COUNT, parameters)
    return int(count)


def query_vector(texts: Sequence[str]) -> Vectors:
    """The direction between the texts' meanings, 384 float32 of length 1."""
    parts = [_parts(text) for text in texts]
    vectors = iter(embed([part for several in parts for part in several]))
    means = [_unit(np.sum([next(vectors) for _ in several], axis=0)) for several in parts]
    return _unit(np.sum(means, axis=0))


def _parts(text: str) -> list[str]:
    """The text in runs of whole sentences that the model sees in full."""
    if size(text) <= PART_SIZE:
        return [text]
    parts: list[str] = []
    length = PART_SIZE
    for sentence in dict.fromkeys(sentences(text)):
        more = size(sentence)
        if length + more > PART_SIZE:
            parts.append(sentence)
            length = more
        else:
            parts[-1] += f" {sentence}"
            length += more
    return parts[:FIRST_PARTS] + parts[FIRST_PARTS:][-LAST_PARTS:] or [text]


def _unit(vector: Vectors) -> Vectors:
    return vector / np.maximum(np.linalg.norm(vector), 1e-12)
