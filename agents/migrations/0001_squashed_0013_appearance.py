"""Agents, what they know and what they may do, and what the database itself holds of it.

It stands for the first migrations, which are only for databases that have some of them and not all.
"""

from __future__ import annotations

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import pgvector.django.bit
import pgvector.django.vector
from django.conf import settings
from django.db import migrations, models

import agents.appearance
import agents.models
import halo.fields
import halo.ids
import orgs.secrets

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
# Versions are insert-only, and a change of what is published invalidates caches.
# SECURITY: the database itself gives a passage its article's source, so a filter by sources cannot be wrong; a
# passage of another organisation's article has none and is refused.
# Embeddings stay in the row: fetching them from the side table was most of what a search cost.
GUARDS = """
CREATE TRIGGER agent_version_insert_only BEFORE UPDATE OR DELETE ON agents_agentversion
    FOR EACH ROW EXECUTE FUNCTION halo_append_only();
CREATE TRIGGER agent_bumps_config AFTER INSERT OR UPDATE OR DELETE ON agents_agent
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();
CREATE TRIGGER routing_rule_bumps_config AFTER INSERT OR UPDATE OR DELETE ON agents_routingrule
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();

CREATE TRIGGER custom_tool_bumps_config AFTER INSERT OR UPDATE OR DELETE ON agents_customtool
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();
CREATE TRIGGER team_bumps_config AFTER INSERT OR UPDATE OR DELETE ON orgs_team
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();

CREATE TRIGGER guidance_bumps_config AFTER INSERT OR UPDATE OR DELETE ON agents_guidance
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();

CREATE TRIGGER passage_source BEFORE INSERT OR UPDATE OF article_id, org_id, source_id ON agents_passage
    FOR EACH ROW EXECUTE FUNCTION halo_passage_source();
CREATE TRIGGER article_moved AFTER UPDATE OF source_id ON agents_article
    FOR EACH ROW WHEN (OLD.source_id IS DISTINCT FROM NEW.source_id) EXECUTE FUNCTION halo_article_moved();

ALTER TABLE agents_passage ALTER COLUMN embedding SET STORAGE MAIN;
ALTER TABLE agents_passage SET (toast_tuple_target = 8160);
"""
NO_GUARDS = """
ALTER TABLE agents_passage RESET (toast_tuple_target);
ALTER TABLE agents_passage ALTER COLUMN embedding SET STORAGE EXTERNAL;
DROP TRIGGER article_moved ON agents_article;
DROP TRIGGER passage_source ON agents_passage;
DROP TRIGGER guidance_bumps_config ON agents_guidance;
DROP TRIGGER team_bumps_config ON orgs_team;
DROP TRIGGER custom_tool_bumps_config ON agents_customtool;
DROP TRIGGER routing_rule_bumps_config ON agents_routingrule;
DROP TRIGGER agent_bumps_config ON agents_agent;
DROP TRIGGER agent_version_insert_only ON agents_agentversion;
"""


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("agents", "0001_initial"),
        ("agents", "0002_initial"),
        ("agents", "0003_guards"),
        ("agents", "0004_passage_storage"),
        ("agents", "0005_escalation_and_tools"),
        ("agents", "0006_texts"),
        ("agents", "0007_passage_search"),
        ("agents", "0008_sources"),
        ("agents", "0009_words_of_policy"),
        ("agents", "0010_published_key"),
        ("agents", "0011_page_marks"),
        ("agents", "0012_merge_bursts"),
        ("agents", "0013_appearance"),
    ]

    dependencies = [
        ("orgs", "0001_squashed_0007_api_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.CreateModel(
            name="Agent",
            fields=[
                (
                    "greeting",
                    models.CharField(
                        blank=True,
                        help_text="What visitors read when they open the chat, before anything was said.",
                        max_length=500,
                    ),
                ),
                (
                    "suggested_messages",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="One a line, 6 at most: questions that a visitor can send with one click before anything was said.",
                        validators=[agents.appearance.check_suggestions],
                    ),
                ),
                (
                    "live_help_label",
                    models.CharField(
                        blank=True,
                        default="Talk to a person",
                        help_text="What the button says with which a visitor asks for a person. It opens a ticket at once, without asking the agent, for the team of “Handing over”. Empty: no button; visitors can still ask in words.",
                        max_length=60,
                        verbose_name="button for a person",
                    ),
                ),
                (
                    "primary_colour",
                    models.CharField(
                        default="#2f5bea",
                        help_text="Of the button on the page, the visitor's messages and links. Black or white is written on it, whichever can be read better.",
                        max_length=7,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A#[0-9a-fA-F]{6}\\Z", "A colour in six hexadecimal digits, such as #2f5bea."
                            )
                        ],
                        verbose_name="colour",
                    ),
                ),
                (
                    "dark_primary_colour",
                    models.CharField(
                        default="#8fabff",
                        help_text="The same where the chat is dark; a lighter tone of the colour reads well there.",
                        max_length=7,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A#[0-9a-fA-F]{6}\\Z", "A colour in six hexadecimal digits, such as #2f5bea."
                            )
                        ],
                        verbose_name="colour in the dark",
                    ),
                ),
                (
                    "theme",
                    models.CharField(
                        choices=[
                            ("auto", "As the visitor's device"),
                            ("light", "Always light"),
                            ("dark", "Always dark"),
                        ],
                        default="auto",
                        help_text="A page can choose for itself when it starts the widget.",
                        max_length=5,
                        verbose_name="light or dark",
                    ),
                ),
                (
                    "position",
                    models.CharField(
                        choices=[("right", "Bottom right"), ("left", "Bottom left")],
                        default="right",
                        help_text="Where the button stands. A page can choose for itself when it starts the widget.",
                        max_length=5,
                    ),
                ),
                (
                    "avatar",
                    models.CharField(
                        blank=True,
                        help_text="One or two letters, or an emoji, in the circle beside the agent's name. Empty: the first letter of the name.",
                        max_length=8,
                    ),
                ),
                (
                    "voice",
                    models.CharField(
                        blank=True,
                        help_text="For sites that speak answers aloud: the name of the voice to use. Empty: the site chooses.",
                        max_length=100,
                    ),
                ),
                (
                    "voice_language",
                    models.CharField(
                        blank=True,
                        help_text="Such as en-GB, for sites that speak answers aloud. Empty: the page's own language.",
                        max_length=35,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\\Z", "A language tag, such as en or en-GB."
                            )
                        ],
                        verbose_name="language of the voice",
                    ),
                ),
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused"), ("retired", "Retired")],
                        default="active",
                        max_length=10,
                    ),
                ),
                (
                    "is_default",
                    models.BooleanField(
                        default=False,
                        help_text="Answers when a request names no agent. Without one, the oldest active agent does.",
                        verbose_name="the active agent",
                    ),
                ),
                ("instructions", models.TextField(blank=True, help_text="Who the agent is and how it should answer.")),
                (
                    "backend",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "The organisation's setting"),
                            ("openai", "A model (any OpenAI-compatible endpoint)"),
                            ("extractive", "No model: quote the knowledge"),
                        ],
                        default="",
                        max_length=20,
                        verbose_name="answers with",
                    ),
                ),
                (
                    "base_url",
                    models.URLField(
                        blank=True,
                        help_text="Changing it clears the stored key.",
                        max_length=500,
                        verbose_name="model address",
                    ),
                ),
                ("url_trusted", models.BooleanField(default=False, editable=False)),
                ("api_key", orgs.secrets.EncryptedTextField(blank=True, default="", verbose_name="model key")),
                ("published_url", models.CharField(blank=True, default="", editable=False, max_length=500)),
                ("published_key", orgs.secrets.EncryptedTextField(blank=True, default="", editable=False)),
                ("model", models.CharField(blank=True, max_length=200)),
                (
                    "temperature",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(2.0),
                        ],
                    ),
                ),
                (
                    "max_tokens",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(16),
                            django.core.validators.MaxValueValidator(32000),
                        ],
                        verbose_name="longest answer (tokens)",
                    ),
                ),
                (
                    "deadline_seconds",
                    models.PositiveSmallIntegerField(
                        default=30,
                        help_text="Past it the visitor gets an error, or the apology below.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(50),
                        ],
                        verbose_name="time to answer (seconds)",
                    ),
                ),
                (
                    "takeover_text",
                    models.CharField(
                        default="A teammate has joined this conversation and will answer you here.",
                        help_text="What a visitor reads when they write while a teammate has taken over.",
                        max_length=1000,
                    ),
                ),
                (
                    "on_failure",
                    models.CharField(
                        choices=[("error", "Answer with an error (503)"), ("polite", "Apologise and open a ticket")],
                        default="error",
                        max_length=10,
                        verbose_name="when the model fails",
                    ),
                ),
                (
                    "failure_text",
                    models.CharField(
                        default="I'm sorry, I can't answer right now. I have passed your question on to our team.",
                        help_text="The apology, where one is given instead of an error.",
                        max_length=1000,
                    ),
                ),
                (
                    "input_price",
                    models.FloatField(
                        blank=True,
                        help_text="What the model costs, for the sums on traces and pages; empty: the organisation's price.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(10000.0),
                        ],
                        verbose_name="price of a million tokens read",
                    ),
                ),
                (
                    "output_price",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(10000.0),
                        ],
                        verbose_name="price of a million tokens written",
                    ),
                ),
                (
                    "sources",
                    models.JSONField(
                        blank=True, default=list, help_text="None chosen: all of it.", verbose_name="knowledge"
                    ),
                ),
                (
                    "tools",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="HTTP calls that the agent may make.",
                        verbose_name="custom tools",
                    ),
                ),
                (
                    "may_open_tickets",
                    models.BooleanField(
                        default=True,
                        help_text="The agent may pass a request on as a ticket and go on answering.",
                        verbose_name="may open tickets",
                    ),
                ),
                (
                    "may_guide",
                    models.BooleanField(
                        default=True,
                        help_text="The agent may highlight an element of the visitor's page, or lead them to another page of the site.",
                        verbose_name="may point and lead",
                    ),
                ),
                (
                    "guard",
                    models.BooleanField(
                        default=True,
                        help_text="Statements that nothing the agent was shown supports are not sent; the visitor is told that the answer is not known instead. Off: the model's words go out as they are.",
                    ),
                ),
                (
                    "merge_bursts",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="What a visitor writes while the agent still answers an earlier message is then answered by one reply, and costs one call of the model. Each of the requests returns that reply, with the same message_id, for your page to show once. Off: each message has a reply of its own.",
                        verbose_name="answer quick messages together",
                    ),
                ),
                (
                    "escalation",
                    models.CharField(
                        choices=[
                            ("off", "Never by itself"),
                            ("always", "At any sign that a person is needed"),
                            ("conditional", "Only after some attempts"),
                        ],
                        default="always",
                        help_text="Signs are: the visitor asks for a person, the agent asks for one, a phrase below, a confidence below the threshold. “Never” leaves it to the visitor to ask for a person.",
                        max_length=12,
                        verbose_name="hand over to people",
                    ),
                ),
                (
                    "escalation_threshold",
                    models.FloatField(
                        blank=True,
                        help_text="An answer with less confidence than this, between 0 and 1, calls in a person. Empty: confidence calls in nobody. Where an error budget is set, the threshold follows from it.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                        verbose_name="confidence threshold",
                    ),
                ),
                (
                    "error_budget",
                    models.FloatField(
                        blank=True,
                        help_text="The share of answers that may be wrong, such as 0.05 for one in twenty. The threshold is set from the answers that people judged.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.001),
                            django.core.validators.MaxValueValidator(0.5),
                        ],
                    ),
                ),
                (
                    "escalation_attempts",
                    models.PositiveSmallIntegerField(
                        default=2,
                        help_text="“Only after some attempts”: from which answer of the agent in a conversation on signs count. Who asks for a person gets one at once.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10),
                        ],
                        verbose_name="attempts first",
                    ),
                ),
                (
                    "escalation_phrases",
                    models.TextField(
                        blank=True,
                        help_text="One a line: any of them in the visitor's message or in the answer is a sign, whole words, without regard to case.",
                        max_length=4000,
                        verbose_name="phrases",
                    ),
                ),
                (
                    "audience",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Conditions that must all hold; empty: for everybody.",
                        verbose_name="only for",
                    ),
                ),
                (
                    "priority",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Conditions; where all of them hold, the ticket has priority.",
                        verbose_name="with priority where",
                    ),
                ),
                (
                    "handover_text",
                    models.CharField(
                        default="I have passed this on to our team. A person will get back to you.",
                        help_text="What is added to an answer where a person was called in and the agent does not say so itself.",
                        max_length=1000,
                    ),
                ),
                (
                    "unknown_text",
                    models.CharField(
                        default="I don't have reliable information about that, so I would rather not guess.",
                        help_text="What the visitor reads instead of statements that the guard keeps back.",
                        max_length=1000,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "escalation_team",
                    models.ForeignKey(
                        blank=True,
                        help_text="Whose tickets they are; empty: everybody's.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.team",
                        verbose_name="team",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_default", True)), fields=("org",), name="agent_one_default"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("deadline_seconds__gte", 1), ("deadline_seconds__lte", 50)),
                        name="agent_deadline_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("escalation_threshold__isnull", True),
                            models.Q(("escalation_threshold__gte", 0), ("escalation_threshold__lte", 1)),
                            _connector="OR",
                        ),
                        name="agent_threshold_in_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AgentVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("config", models.JSONField()),
                ("note", models.CharField(blank=True, default="", max_length=500)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="agents.agent"
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("agent", "number"), name="agent_version_number_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="CustomTool",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "name",
                    models.CharField(
                        help_text="What the model calls it, such as order_status.",
                        max_length=50,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z][a-z0-9_]*\\Z", "Small letters, digits and underscores."
                            )
                        ],
                    ),
                ),
                (
                    "description",
                    models.TextField(
                        help_text="What it does and when to use it, for the model: it decides by these words.",
                        max_length=1000,
                    ),
                ),
                (
                    "parameters",
                    halo.fields.OrderedJSONField(
                        default=agents.models.empty_schema,
                        help_text="A JSON schema of type object. What the model fills in is checked against it before the call.",
                        verbose_name="arguments",
                    ),
                ),
                (
                    "method",
                    models.CharField(
                        choices=[
                            ("GET", "GET"),
                            ("POST", "POST"),
                            ("PUT", "PUT"),
                            ("PATCH", "PATCH"),
                            ("DELETE", "DELETE"),
                        ],
                        default="GET",
                        max_length=6,
                    ),
                ),
                (
                    "url_template",
                    models.CharField(
                        help_text="https://…, with {argument} in the path or query, and {visitor.user_id}, {visitor.company_id} or {conversation.id}, which the model cannot choose. Other arguments go into the query of GET and DELETE, and into a JSON body otherwise.",
                        max_length=2000,
                        verbose_name="address",
                    ),
                ),
                (
                    "headers",
                    orgs.secrets.EncryptedTextField(
                        blank=True,
                        default="",
                        help_text="A JSON object, encrypted when it is stored, never shown to a model.",
                    ),
                ),
                (
                    "needs_verified_user",
                    models.BooleanField(
                        default=True,
                        help_text="Only visitors who proved who they are. Leave it on for anything about an account.",
                    ),
                ),
                (
                    "needs_confirmation",
                    models.BooleanField(
                        default=False, help_text="The visitor is asked first, and must say yes in their next message."
                    ),
                ),
                (
                    "is_idempotent",
                    models.BooleanField(
                        default=False,
                        help_text="The receiver treats a repeat of the same Idempotency-Key as the same call, or the call changes nothing. Otherwise a call whose outcome is unknown is never repeated.",
                        verbose_name="may be repeated",
                    ),
                ),
                (
                    "timeout_seconds",
                    models.PositiveSmallIntegerField(
                        default=10,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(20),
                        ],
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("org", "name"), name="custom_tool_name_unique")],
            },
        ),
        migrations.CreateModel(
            name="Guidance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100)),
                (
                    "text",
                    models.TextField(
                        help_text="In your own words, to the agent: “Offer a call when somebody is angry.” Agents follow it in every answer. Facts, prices and instructions for visitors belong into articles, where they can be cited.",
                        max_length=4000,
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="in use")),
                (
                    "position",
                    models.PositiveIntegerField(default=0, help_text="They are shown from the lowest number up."),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "guidance",
                "indexes": [models.Index(fields=["org", "position", "id"], name="guidance_order")],
            },
        ),
        migrations.CreateModel(
            name="RoutingRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                (
                    "position",
                    models.PositiveIntegerField(default=0, help_text="Rules are tried from the lowest number up."),
                ),
                ("is_active", models.BooleanField(default=True)),
                (
                    "phrases",
                    models.TextField(
                        blank=True,
                        help_text="One a line: any of them in the message matches, whole words, without regard to case.",
                    ),
                ),
                (
                    "conditions",
                    models.JSONField(
                        blank=True, default=list, help_text="All must hold; what they are is in agents/conditions.py."
                    ),
                ),
                (
                    "has_priority",
                    models.BooleanField(
                        default=False, help_text="The ticket is a priority one.", verbose_name="with priority"
                    ),
                ),
                (
                    "acknowledgement",
                    models.TextField(
                        default="Thank you. Our team will get back to you.",
                        help_text="What the visitor reads instead of an answer.",
                        max_length=2000,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="routing_rules", to="agents.agent"
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.team"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["agent", "position", "id"], name="routing_rule_order")],
            },
        ),
        migrations.CreateModel(
            name="Source",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("site", "Website"),
                            ("upload", "Files"),
                            ("import", "Import"),
                            ("manual", "Written here"),
                        ],
                        default="import",
                        max_length=20,
                    ),
                ),
                (
                    "address",
                    models.URLField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="The page to begin with, or the site's sitemap (an address that ends in .xml or .xml.gz). Pages of the same host are read; of an address with a path, those below that path.",
                        max_length=1000,
                    ),
                ),
                (
                    "include",
                    models.TextField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="One a line, such as /help/* (the asterisk stands for anything). Empty: all of them.",
                        max_length=4000,
                        verbose_name="only these paths",
                    ),
                ),
                (
                    "exclude",
                    models.TextField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="One a line, such as /blog/*. They win over those above.",
                        max_length=4000,
                        verbose_name="never these paths",
                    ),
                ),
                (
                    "page_limit",
                    models.PositiveIntegerField(
                        db_default=500,
                        default=500,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(5000),
                        ],
                        verbose_name="pages at most",
                    ),
                ),
                (
                    "every",
                    models.CharField(
                        choices=[("never", "Only when somebody asks"), ("day", "Every day"), ("week", "Every week")],
                        db_default="week",
                        default="week",
                        max_length=10,
                        verbose_name="read again",
                    ),
                ),
                ("last_read_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("next_read_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_read_at__isnull", False)), fields=["next_read_at"], name="source_due"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "name"), name="source_name_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("page_limit__gte", 1), ("page_limit__lte", 5000)),
                        name="source_page_limit_in_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SourceFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("size", models.PositiveIntegerField()),
                ("data", models.BinaryField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="files", to="agents.source"
                    ),
                ),
                (
                    "uploaded_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("source", "name"), name="source_file_name_unique")],
            },
        ),
        migrations.CreateModel(
            name="Article",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("external_id", models.CharField(max_length=255, verbose_name="importer's own id")),
                ("title", models.CharField(max_length=500)),
                ("content", models.TextField(help_text="Markdown.")),
                ("url", models.URLField(blank=True, default="", max_length=2000, verbose_name="address")),
                ("content_hash", models.CharField(blank=True, default="", editable=False, max_length=64)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="articles", to="agents.source"
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="articles",
                        to="agents.sourcefile",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["org", "-updated_at", "id"], name="article_updated"),
                    models.Index(
                        condition=models.Q(("content_hash", "")), fields=["updated_at"], name="article_unread"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "source", "external_id"), name="article_external_id_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="Passage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("heading", models.CharField(blank=True, default="", max_length=500, verbose_name="heading path")),
                ("text", models.TextField()),
                ("embedding", pgvector.django.vector.VectorField(dimensions=384)),
                (
                    "lexemes",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.contrib.postgres.search.SearchVector("heading", "text", config="english"),
                        output_field=django.contrib.postgres.search.SearchVectorField(),
                    ),
                ),
                (
                    "bits",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(
                            "embedding", function="binary_quantize", template="%(function)s(%(expressions)s)::bit(384)"
                        ),
                        output_field=pgvector.django.bit.BitField(length=384),
                    ),
                ),
                (
                    "identifiers",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func("heading", "text", function="halo_identifiers"),
                        output_field=django.contrib.postgres.fields.ArrayField(
                            base_field=models.TextField(), size=None
                        ),
                    ),
                ),
                (
                    "article",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="passages", to="agents.article"
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="agents.source",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["org", "source"], include=("id", "bits"), name="passage_scan"),
                    django.contrib.postgres.indexes.GinIndex(fields=["org", "identifiers"], name="passage_identifiers"),
                    django.contrib.postgres.indexes.GinIndex(fields=["org", "lexemes"], name="passage_words"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("article", "position"), name="passage_position_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="SourceRun",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Waiting"),
                            ("running", "Reading"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("stopped", "Stopped"),
                        ],
                        default="queued",
                        max_length=10,
                    ),
                ),
                ("created", models.PositiveIntegerField(default=0)),
                ("updated", models.PositiveIntegerField(default=0)),
                ("unchanged", models.PositiveIntegerField(default=0)),
                ("removed", models.PositiveIntegerField(default=0)),
                ("withheld", models.PositiveIntegerField(default=0)),
                ("passages", models.PositiveIntegerField(default=0)),
                ("note", models.TextField(blank=True, default="")),
                ("memory", models.JSONField(default=dict)),
                ("claim", models.PositiveIntegerField(default=0)),
                ("in_hand", models.BooleanField(default=False)),
                ("lost", models.PositiveSmallIntegerField(default=0)),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="runs", to="agents.source"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["source", "-created_at"], name="source_run_newest"),
                    models.Index(
                        condition=models.Q(("status__in", ["queued", "running"])),
                        fields=["due_at"],
                        name="source_run_due",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ["queued", "running"])),
                        fields=("source",),
                        name="source_run_one_open",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SourceDocument",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=1000, verbose_name="page or file")),
                ("is_sitemap", models.BooleanField(default=False)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("read", "Read"),
                            ("partly", "Partly read"),
                            ("skipped", "Left out"),
                            ("gone", "Gone"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("reason", models.TextField(blank=True, default="")),
                ("articles", models.PositiveIntegerField(default=0)),
                ("passages", models.PositiveIntegerField(default=0)),
                ("etag", models.CharField(blank=True, db_default="", default="", max_length=300)),
                (
                    "modified",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=100, verbose_name="last modified"
                    ),
                ),
                (
                    "links",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, db_default=[], default=list, size=None
                    ),
                ),
                (
                    "article_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, db_default=[], default=list, size=None
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="agents.sourcefile",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="documents", to="agents.sourcerun"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["run", "state", "tries", "id"], name="source_document_state")],
                "constraints": [models.UniqueConstraint(fields=("run", "key"), name="source_document_key_unique")],
            },
        ),
        migrations.CreateModel(
            name="StagedArticle",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("external_id", models.CharField(max_length=255)),
                ("title", models.CharField(max_length=500)),
                ("content", models.TextField()),
                ("url", models.URLField(blank=True, default="", max_length=2000)),
                ("content_hash", models.CharField(max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "To be embedded"), ("same", "Unchanged"), ("ready", "Embedded")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("pieces", models.JSONField(default=list)),
                ("vectors", models.BinaryField(default=b"")),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="staged", to="agents.sourcedocument"
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="staged", to="agents.sourcerun"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["run", "content_hash"], name="staged_content"),
                    models.Index(fields=["run", "state", "id"], name="staged_state"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("run", "external_id"), name="staged_external_id_unique")
                ],
            },
        ),
        migrations.AddField(
            model_name="agent",
            name="current_version",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="agents.agentversion",
            ),
        ),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ]
