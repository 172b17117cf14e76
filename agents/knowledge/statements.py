"""The one statement that finds passages, in the steps that it takes; `search` says what goes in and comes out.

It is built from common table expressions, each MATERIALIZED so that its rows are made once and in this order. Every
expression is named for what its rows are.
"""

from __future__ import annotations

# SECURITY: whatever finds passages below has this in its own condition, so nothing of another organisation or of
# another source can be found; the other reads are of what was found.
_MINE = "org_id = %(org)s AND (%(sources)s::uuid[] IS NULL OR source_id = ANY(%(sources)s::uuid[]))"
# For a turn's own statement: whether the organisation has anything to be searched.
ANY = "EXISTS (SELECT FROM agents_passage WHERE org_id = {org})"
_COUNT = "SELECT count(*) FROM (SELECT FROM agents_passage WHERE <mine> LIMIT %(exact_up_to)s + 1) AS few"
_EXACTLY = """
    SELECT id, -(embedding <#> %(vector)s::vector) AS similarity FROM agents_passage WHERE <mine>
    ORDER BY embedding <#> %(vector)s::vector, id LIMIT %(nearest)s
"""
# An index holds the bits side by side, 48 bytes a passage; only the candidates' rows are read.
_ROUGHLY = """
    SELECT id, -(embedding <#> %(vector)s::vector) AS similarity
    FROM agents_passage WHERE id = ANY(ARRAY(
        SELECT id FROM agents_passage WHERE <mine>
        ORDER BY bits <~> binary_quantize(%(vector)s::vector)::bit(384) LIMIT %(roughly_nearest)s
    ))
    ORDER BY embedding <#> %(vector)s::vector, id LIMIT %(nearest)s
"""
# What the message says: its words with how often it says them, and its identifiers.
_MESSAGE = r"""
message AS MATERIALIZED (
    SELECT to_tsvector('english', %(text)s::text) AS said, halo_identifiers('', %(text)s::text) AS identifiers
), wanted AS MATERIALIZED (
    SELECT lexeme, cardinality(positions)::float8 AS times,
        ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS query
    FROM message, unnest(said)
    ORDER BY times DESC, lexeme ~ '[0-9]' DESC, length(lexeme) DESC, lexeme
    LIMIT %(max_lexemes)s
)
"""
# The nearest passages as they are ranked by. A vector of words is stored compressed; strip() makes a plain copy of it,
# once, so that asking it for every word of the message costs next to nothing.
_SEEN = """
seen AS MATERIALIZED (
    SELECT id, similarity, strip(lexemes) AS words, length(lexemes) AS size, heading
    FROM nearest JOIN agents_passage USING (id)
)
"""
# Which of the message's words the nearest passages have, and what each is worth: as in BM25, by how rare it is among
# them. `deviation` is what chance gives a passage, so that long and short messages weigh alike.
_WORDS = r"""
known AS MATERIALIZED (
    SELECT id, lexeme FROM seen JOIN wanted ON words @@ query
), counted AS MATERIALIZED (
    SELECT lexeme, count(*)::float8 AS holders FROM known GROUP BY lexeme
), weighed AS MATERIALIZED (
    SELECT lexeme, times, query, coalesce(holders, 0) AS holders,
        times * ln(1 + (total - coalesce(holders, 0) + 0.5) / (coalesce(holders, 0) + 0.5)) AS weight,
        (coalesce(holders, 0) + 0.5) / (total + 1) AS share
    FROM (SELECT count(*)::float8 AS total FROM nearest) AS all_of_them, wanted LEFT JOIN counted USING (lexeme)
), chance AS MATERIALIZED (
    SELECT sqrt(sum(weight ^ 2 * share * (1 - share))) AS deviation FROM weighed
)
"""
# Passages that have an identifier of the message, wherever they are, and what that is worth.
_IDENTIFIERS = r"""
codes AS MATERIALIZED (
    -- A short number or a year is a code only where the message says of what, as in "HTTP 504".
    SELECT code FROM message, unnest(identifiers) AS code
    WHERE code !~ '^([0-9]{1,3}|(19|20)[0-9]{2})$'
        OR EXISTS (SELECT FROM unnest(identifiers) AS other WHERE other ~ ('[a-z]' || code || '$'))
    ORDER BY code ~ '[a-z]' DESC, length(code) DESC, code LIMIT %(max_identifiers)s
), coded AS MATERIALIZED (
    SELECT id, max(CASE WHEN code ~ '[a-z]' AND code ~ '[0-9]' THEN 1 ELSE 0.5 END / sqrt(holders)) AS worth
    FROM codes CROSS JOIN LATERAL (
        SELECT id, count(*) OVER () AS holders FROM (
            SELECT id FROM agents_passage WHERE <mine> AND identifiers @> ARRAY[code] LIMIT %(max_holders)s + 1
        ) AS one
    ) AS found
    WHERE holders <= %(max_holders)s GROUP BY id
)
"""
# Passages with a word that next to none of the nearest has, wherever they are: names, above all.
_NAMES = r"""
named AS MATERIALIZED (
    SELECT id
    FROM (
        SELECT query FROM weighed WHERE holders <= 1 AND (SELECT count(*) FROM nearest) >= %(nearest)s
        ORDER BY times DESC, length(lexeme) DESC, lexeme LIMIT %(max_rare)s
    ) AS rare CROSS JOIN LATERAL (
        SELECT id, count(*) OVER () AS holders FROM (
            SELECT id FROM agents_passage WHERE <mine> AND lexemes @@ query LIMIT %(max_holders)s + 1
        ) AS one
    ) AS found
    WHERE holders <= %(max_holders)s
)
"""
# What was found elsewhere, seen likewise.
_OTHERS = """
others AS MATERIALIZED (
    SELECT id, -(embedding <#> %(vector)s::vector) AS similarity, strip(lexemes) AS words, length(lexemes) AS size,
        heading
    FROM ((SELECT id FROM coded UNION SELECT id FROM named) EXCEPT SELECT id FROM nearest) AS elsewhere
    JOIN agents_passage USING (id)
), wordy AS MATERIALIZED (
    SELECT id, sum(weight) AS worth
    FROM (SELECT * FROM known UNION ALL SELECT id, lexeme FROM others JOIN wanted ON words @@ query) AS all_known
    JOIN weighed USING (lexeme)
    GROUP BY id
), pool AS (
    SELECT * FROM seen UNION ALL SELECT * FROM others
)
"""
# Similarity, words, heading and identifiers in one number, and the places that follow from it.
_RANKING = r"""
ranked AS MATERIALIZED (
    SELECT id, similarity, similarity
        + %(words_weight)s * coalesce(wordy.worth / deviation, 0)
            / (1 - %(length_weight)s + %(length_weight)s * size / greatest(avg(size) OVER (), 1))
        + %(heading_weight)s * (length(headed) > 0)::int * (
            1 - length(ts_delete(headed, tsvector_to_array(said)))::float8 / greatest(length(headed), 1)
        )
        + %(identifier_weight)s * coalesce(coded.worth, 0) AS standing, coded.worth
    FROM pool LEFT JOIN wordy USING (id) LEFT JOIN coded USING (id), chance, message,
        LATERAL to_tsvector('english', heading) AS headed
), placed AS (
    SELECT id, similarity, row_number() OVER (
        ORDER BY greatest(
            standing,
            CASE WHEN worth >= %(clear_worth)s THEN (SELECT standing FROM ranked ORDER BY 1 DESC OFFSET 2 LIMIT 1) END
        ) DESC, worth DESC NULLS LAST, id
    ) AS place
    FROM ranked
), best AS (
    SELECT *, similarity - avg(similarity) FILTER (WHERE place <= %(rivals)s) OVER () AS lead FROM placed
)
"""
_FOUND = """
SELECT passage.id, article.id, article.external_id, article.title, passage.heading, passage.text, article.url,
    best.similarity, best.lead
FROM best
JOIN agents_passage AS passage ON passage.id = best.id
JOIN agents_article AS article ON article.id = passage.article_id
WHERE best.place <= %(limit)s
ORDER BY best.place
"""


def _statement(nearest: str) -> str:
    steps = [_MESSAGE, f"nearest AS MATERIALIZED ({nearest})", _SEEN, _WORDS, _IDENTIFIERS, _NAMES, _OTHERS, _RANKING]
    return ("WITH " + ",\n".join(step.strip() for step in steps) + _FOUND).replace("<mine>", _MINE)


COUNT = _COUNT.replace("<mine>", _MINE)
SMALL, LARGE = _statement(_EXACTLY), _statement(_ROUGHLY)
