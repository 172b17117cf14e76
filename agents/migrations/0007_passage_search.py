"""What the search reads: each passage's source, identifiers and a bit a dimension, in indexes led by organisation."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import pgvector.django
from django.contrib.postgres.operations import BtreeGinExtension
from django.db import migrations, models

# The codes in a text, each spelt one way: "ERR-4012", "err 4012" and "Err4012" are all err4012, and 4012 besides.
# Alone, "504" is a number of three digits or more that is no amount; quantities ("30-day", "24h") are none of these.
FUNCTIONS = r"""
CREATE FUNCTION halo_identifiers(heading text, body text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(array_agg(DISTINCT found.code ORDER BY found.code), '{}')
    FROM (SELECT heading || E'\n' || body AS content) AS whole, LATERAL (
        -- Joined by marks or with an underscore: ERR-4012, config.max_retries, 2.14.3, SKU/88-A, 1234-5678.
        SELECT regexp_replace(lower(token[1]), '[-/:#]', '', 'g') AS code
        FROM regexp_matches(content, '[A-Za-z0-9_]+(?:[-./:#][A-Za-z0-9_]+)*', 'g') AS token
        WHERE (token[1] ~ '[A-Za-z]' AND token[1] ~ '[0-9]' AND token[1] !~ '^[0-9]+-?[A-Za-z]+$')
            OR token[1] ~ '[A-Za-z0-9]_[A-Za-z0-9]'
            OR token[1] ~ '^[0-9]+(?:[.][0-9]+){2,}$'
            OR token[1] ~ '^[0-9]+(?:-[0-9]+)+$' AND length(token[1]) >= 8
            OR token[1] ~ '^[A-Za-z_]+(?:[.][A-Za-z_]+)+$' AND length(token[1]) >= 6
        UNION ALL
        -- A word with its number: "HTTP 504", "error code: 12", and "ERR-4012" by its number.
        SELECT lower(token[1]) || token[2]
        FROM regexp_matches(
            content, '\m([A-Z]{2,10}|[Ee]rror|[Cc]ode|[Ss]tatus)[ :#]{1,3}([0-9]{2,})\M(?![.,%]?[0-9%])', 'g'
        ) AS token
        UNION ALL
        SELECT token[1] FROM regexp_matches(content, '[A-Za-z][-_#/]?([0-9]{3,}|[0-9]+(?:[.][0-9]+)+)\M', 'g') AS token
        UNION ALL
        SELECT token[1]
        FROM regexp_matches(content, '(?<![$€£.,0-9])\m([0-9]{3,})\M(?![.,]?[0-9]|[ ]?[%€£])', 'g') AS token
        UNION ALL
        -- In groups of four: an IBAN.
        SELECT lower(replace(token[1], ' ', ''))
        FROM regexp_matches(
            content, '\m([A-Z]{2}[0-9]{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)\M', 'g'
        ) AS token
    ) AS found
    WHERE length(found.code) BETWEEN 2 AND 64;
END;

CREATE FUNCTION halo_passage_source() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.source_id := (SELECT source_id FROM agents_article WHERE id = NEW.article_id AND org_id = NEW.org_id);
    RETURN NEW;
END $$;
CREATE FUNCTION halo_article_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE agents_passage SET source_id = NEW.source_id WHERE article_id = NEW.id;
    RETURN NULL;
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION halo_article_moved();
DROP FUNCTION halo_passage_source();
DROP FUNCTION halo_identifiers(text, text);
"""
# SECURITY: the database itself gives a passage its article's source, so a filter by sources cannot be wrong; a
# passage of another organisation's article has none and is refused.
TRIGGERS = """
CREATE TRIGGER passage_source BEFORE INSERT OR UPDATE OF article_id, org_id, source_id ON agents_passage
    FOR EACH ROW EXECUTE FUNCTION halo_passage_source();
CREATE TRIGGER article_moved AFTER UPDATE OF source_id ON agents_article
    FOR EACH ROW WHEN (OLD.source_id IS DISTINCT FROM NEW.source_id) EXECUTE FUNCTION halo_article_moved();
"""
NO_TRIGGERS = """
DROP TRIGGER article_moved ON agents_article;
DROP TRIGGER passage_source ON agents_passage;
"""


FILLED = """
UPDATE agents_passage SET source_id = article.source_id FROM agents_article AS article WHERE article.id = article_id;
SET CONSTRAINTS ALL IMMEDIATE;
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0006_texts")]
    operations = [
        BtreeGinExtension(),
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.AddField(
            "passage",
            "source",
            models.ForeignKey(
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="agents.source",
            ),
        ),
        migrations.RunSQL(FILLED, migrations.RunSQL.noop),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        migrations.AlterField(
            "passage",
            "source",
            models.ForeignKey(
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="agents.source",
            ),
        ),
        migrations.AddField(
            "passage",
            "bits",
            models.GeneratedField(
                db_persist=True,
                expression=models.Func(
                    "embedding", function="binary_quantize", template="%(function)s(%(expressions)s)::bit(384)"
                ),
                output_field=pgvector.django.BitField(length=384),
            ),
        ),
        migrations.AddField(
            "passage",
            "identifiers",
            models.GeneratedField(
                db_persist=True,
                expression=models.Func("heading", "text", function="halo_identifiers"),
                output_field=django.contrib.postgres.fields.ArrayField(models.TextField()),
            ),
        ),
        migrations.AddIndex(
            "passage", models.Index(fields=["org", "source"], include=["id", "bits"], name="passage_scan")
        ),
        migrations.AddIndex(
            "passage",
            django.contrib.postgres.indexes.GinIndex(fields=["org", "identifiers"], name="passage_identifiers"),
        ),
        migrations.AddIndex(
            "passage", django.contrib.postgres.indexes.GinIndex(fields=["org", "lexemes"], name="passage_words")
        ),
        migrations.RemoveIndex("passage", "passage_lexemes"),
    ]
