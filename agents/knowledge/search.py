"""Finds the passages of one organisation that a message is about."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from pgvector import Vector

from agents.knowledge.embedding import Vectors, embed
from agents.knowledge.models import Passage
from agents.knowledge.splitting import sentences, size
from halo.api.strict_json import storable
from halo.db import release_connection

# How much a standardised full-text rank counts beside a standardised similarity. The vectors carry the meaning, the
# words find names, numbers and codes; recall was flat from 0.2 to 0.3 and lower at 0 and at 1.
WORDS_WEIGHT = 0.25
# A long text is read in parts of so many wordpieces and its vector is their mean: 256 is all that the model sees.
PART_SIZE = 192
# The longest messages are read at both ends, where people say what they want.
FIRST_PARTS, LAST_PARTS = 6, 3
# Words of a long message that are looked up: those said most often, which it is about (looking up all of them found
# less); of equals those with digits (codes, amounts), then the longest (rare ones).
MAX_LEXEMES = 32
# A passage that answers stands out from so many that come next; between 30 and 250 it hardly matters how many.
RIVALS = 50
# How much of each earlier line says what the conversation is about; more of it drowned the message.
CONTEXT_WORDS = 40

# SECURITY: the organisation is in the only place where passages are read, so nothing of another can be found.
_SEARCH = r"""
WITH words AS (
    SELECT string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery AS query
    FROM (
        SELECT lexeme FROM unnest(to_tsvector('english', %(text)s))
        ORDER BY cardinality(positions) DESC, lexeme ~ '[0-9]' DESC, length(lexeme) DESC, lexeme
        LIMIT %(max_lexemes)s
    ) AS chosen
), scored AS MATERIALIZED (
    SELECT id, 1 - (embedding <=> %(vector)s::vector) AS similarity,
        coalesce(ts_rank(lexemes, words.query, 1), 0)::float8 AS rank
    FROM agents_passage, words
    WHERE org_id = %(org)s
), spread AS (
    SELECT nullif(stddev_pop(similarity), 0) AS of_similarity, nullif(stddev_pop(rank), 0) AS of_rank FROM scored
), nearest AS (
    SELECT id, similarity,
        coalesce(similarity / of_similarity, 0) + coalesce(%(words_weight)s * rank / of_rank, 0) AS standing
    FROM scored, spread
    ORDER BY standing DESC, id LIMIT greatest(%(limit)s, %(rivals)s)
), placed AS (
    SELECT *, row_number() OVER (ORDER BY standing DESC, id) AS place FROM nearest
), best AS (
    SELECT *, similarity - avg(similarity) FILTER (WHERE place <= %(rivals)s) OVER () AS lead FROM placed
)
SELECT passage.id, article.id, article.external_id, article.title, passage.heading, passage.text, article.url,
    best.similarity, best.lead
FROM best
JOIN agents_passage AS passage ON passage.id = best.id
JOIN agents_article AS article ON article.id = passage.article_id
WHERE best.place <= %(limit)s
ORDER BY best.place
"""


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
    *, org_id: uuid.UUID, query: str | Sequence[str], limit: int = 8, vector: Vectors | None = None
) -> list[Hit]:
    """The organisation's best passages for `query`, at most `limit`; exact, over all of them.

    Of several texts the meanings count alike, and the words are the first one's. `vector` spares embedding them again.
    """
    texts = [query] if isinstance(query, str) else list(query)
    # An organisation without knowledge pays for no model.
    if not texts or not Passage.objects.for_org(org_id).exists():
        return []
    if vector is None:
        # Hundreds of threads may wait here for their turn on a core: not with the pool's few connections in hand.
        release_connection()
        vector = query_vector(texts)
    parameters: dict[str, Any] = {
        "text": storable(texts[0]),
        "vector": Vector(vector).to_text(),
        "org": org_id,
        "limit": limit,
        "rivals": RIVALS,
        "max_lexemes": MAX_LEXEMES,
        "words_weight": WORDS_WEIGHT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SEARCH, parameters)
        return [Hit(*row) for row in cursor.fetchall()]


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
