"""Conversations, tickets and numbers, and what the database itself holds of them.

It stands for the first migrations, which are only for databases that have some of them and not all.
"""

from __future__ import annotations

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.utils.timezone
import pgvector.django.vector
from django.conf import settings
from django.db import migrations, models

import halo.fields
import halo.ids
import orgs.secrets

# Visitors write in many languages, so no word is stemmed; but whoever looks for "Zurich" finds "Zürich".
WORDS = """
CREATE TEXT SEARCH CONFIGURATION halo_words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION halo_words
    ALTER MAPPING FOR word, hword, hword_part, numword, numhword, hword_numpart WITH unaccent, simple;
"""
NO_WORDS = "DROP TEXT SEARCH CONFIGURATION halo_words;"
# A receipt stays as it was when the erasing was done. Whoever sets the time of a change itself, as with what is old
# already, has done what the touch does.
GUARDS = """
CREATE TRIGGER erasure_receipt_stays BEFORE UPDATE OR DELETE ON conversations_erasure
    FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION halo_append_only();

CREATE FUNCTION halo_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER conversation_touched BEFORE UPDATE ON conversations_conversation
    FOR EACH ROW WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION halo_touch();
CREATE TRIGGER ticket_touched BEFORE UPDATE ON conversations_ticket
    FOR EACH ROW WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION halo_touch();
"""
NO_GUARDS = """
DROP TRIGGER ticket_touched ON conversations_ticket;
DROP TRIGGER conversation_touched ON conversations_conversation;
DROP FUNCTION halo_touch();
DROP TRIGGER erasure_receipt_stays ON conversations_erasure;
"""


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("conversations", "0001_initial"),
        ("conversations", "0002_initial"),
        ("conversations", "0003_keep_json_order"),
        ("conversations", "0004_answer_types_and_labels"),
        ("conversations", "0005_streams"),
        ("conversations", "0006_turns_in_flight_of_an_org"),
        ("conversations", "0007_transcripts"),
        ("conversations", "0008_inbox"),
        ("conversations", "0009_numbers_and_erasures"),
        ("conversations", "0010_records"),
    ]

    dependencies = [
        ("agents", "0001_squashed_0013_appearance"),
        ("chat_sessions", "0001_squashed_0004_event_indexes"),
        ("orgs", "0001_squashed_0007_api_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(WORDS, NO_WORDS),
        migrations.CreateModel(
            name="Conversation",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "status",
                    models.CharField(choices=[("open", "Open"), ("closed", "Closed")], default="open", max_length=10),
                ),
                ("seq", models.BigIntegerField(default=0, editable=False)),
                ("epoch", models.BigIntegerField(default=0, editable=False)),
                ("taken_over_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("visitor_saw", models.UUIDField(blank=True, editable=False, null=True)),
                ("visitor_mailed", models.UUIDField(blank=True, editable=False, null=True)),
                ("last_message_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("message_count", models.PositiveIntegerField(default=0)),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "—"),
                            ("answered", "Answered by the agent"),
                            ("escalated", "Escalated"),
                            ("routed", "Routed to a team"),
                            ("human", "With a teammate"),
                            ("failed", "Not answered"),
                        ],
                        default="",
                        max_length=12,
                    ),
                ),
                ("lowest_confidence", models.FloatField(blank=True, null=True)),
                ("answer_type", models.CharField(blank=True, default="", max_length=20)),
                ("has_error", models.BooleanField(default=False)),
                (
                    "rating",
                    models.CharField(
                        blank=True,
                        choices=[("", "—"), ("up", "Helpful"), ("down", "Not helpful")],
                        default="",
                        max_length=4,
                    ),
                ),
                ("language", models.CharField(blank=True, default="", max_length=12)),
                ("has_images", models.BooleanField(default=False)),
                ("verified", models.BooleanField(default=False)),
                (
                    "updated_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "origin",
                    models.CharField(
                        blank=True,
                        choices=[("", "Said here"), ("imported", "Imported"), ("generated", "Generated")],
                        db_default="",
                        default="",
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("origin_key", models.CharField(blank=True, db_default="", default="", editable=False, max_length=200)),
                (
                    "agent",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="agents.agent"),
                ),
                (
                    "agent_version",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agents.agentversion",
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
                    "session",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="conversation",
                        to="chat_sessions.chatsession",
                    ),
                ),
                (
                    "taken_over_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["org", "-last_message_at", "id"], name="conversation_recent"),
                    models.Index(fields=["org", "agent", "-last_message_at", "id"], name="conversation_agent"),
                    models.Index(fields=["org", "outcome", "-last_message_at", "id"], name="conversation_outcome"),
                    models.Index(
                        fields=["org", "answer_type", "-last_message_at", "id"], name="conversation_answer_type"
                    ),
                    models.Index(
                        condition=models.Q(("status", "open"), ("taken_over_by__isnull", False)),
                        fields=["org", "-last_message_at", "id"],
                        name="conversation_with_people",
                    ),
                    models.Index(
                        condition=models.Q(("has_error", True)),
                        fields=["org", "-last_message_at", "id"],
                        name="conversation_errors",
                    ),
                    models.Index(
                        condition=models.Q(("origin", ""), _negated=True),
                        fields=["org", "origin", "id"],
                        name="conversation_origin",
                    ),
                    models.Index(fields=["org", "updated_at", "id"], name="conversation_updated"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("origin_key", ""), _negated=True),
                        fields=("org", "origin", "origin_key"),
                        name="conversation_origin_key_unique",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Turn",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[("queued", "Queued"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")],
                        default="queued",
                        max_length=10,
                    ),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[("chat", "Chat"), ("voice", "Voice"), ("video", "Video"), ("livehelp", "Live help")],
                        default="chat",
                        max_length=10,
                    ),
                ),
                ("verified", models.BooleanField(default=False)),
                ("snapshot", halo.fields.OrderedJSONField(default=dict)),
                ("request_id", models.CharField(blank=True, default="", max_length=128)),
                ("keeps_text", models.BooleanField(db_default=False, default=False)),
                ("accepted_at", models.DateTimeField()),
                ("answer_by", models.DateTimeField()),
                ("claimed_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("claimed_by", models.BigIntegerField(blank=True, null=True)),
                ("claimed_epoch", models.BigIntegerField(blank=True, null=True)),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("lost", models.PositiveSmallIntegerField(default=0, help_text="Attempts whose process died.")),
                ("rung_at", models.DateTimeField(blank=True, null=True)),
                ("rings", models.PositiveSmallIntegerField(default=0)),
                ("covers_to", models.BigIntegerField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "—"),
                            ("answered", "Answered"),
                            ("routed", "Routed to a team"),
                            ("human", "Left to a teammate"),
                            ("apology", "Apologised"),
                        ],
                        default="",
                        max_length=10,
                    ),
                ),
                ("response", halo.fields.OrderedJSONField(blank=True, null=True)),
                ("confidence", models.FloatField(blank=True, null=True)),
                ("confidence_inputs", models.JSONField(blank=True, default=dict)),
                (
                    "answer_type",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "—"),
                            ("answerable", "Answered from what is known"),
                            ("needs_fact", "Needs one fact"),
                            ("ambiguous", "Ambiguous"),
                            ("not_in_knowledge", "Not in the knowledge"),
                            ("not_allowed", "Not allowed"),
                            ("needs_person", "Needs a person"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                ("withheld", models.BooleanField(default=False)),
                ("escalated", models.BooleanField(default=False)),
                ("explanation", halo.fields.OrderedJSONField(blank=True, default=dict)),
                ("error_code", models.CharField(blank=True, default="", max_length=30)),
                (
                    "error_detail",
                    models.CharField(
                        blank=True, default="", help_text="For staff; never shown outside.", max_length=500
                    ),
                ),
                ("model_name", models.CharField(blank=True, default="", max_length=200)),
                ("prompt_tokens", models.PositiveIntegerField(default=0)),
                ("completion_tokens", models.PositiveIntegerField(default=0)),
                ("cost", models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True)),
                (
                    "agent_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="agents.agentversion"
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="turns",
                        to="conversations.conversation",
                    ),
                ),
                (
                    "merged_into",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="merged",
                        to="conversations.turn",
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
                    "routing_rule",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="agents.routingrule",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ["queued", "running"])),
                        fields=["status", "answer_by"],
                        name="turn_in_flight",
                    ),
                    models.Index(
                        condition=models.Q(("status__in", ["queued", "running"])),
                        fields=["org", "accepted_at"],
                        name="turn_in_flight_org",
                    ),
                    models.Index(fields=["org", "-accepted_at"], name="turn_recent"),
                    models.Index(
                        condition=models.Q(("escalated", True)), fields=["conversation"], name="turn_escalated"
                    ),
                    models.Index(
                        condition=models.Q(("routing_rule__isnull", False)),
                        fields=["conversation", "routing_rule"],
                        name="turn_routed",
                    ),
                    models.Index(
                        condition=models.Q(("answer_type", "not_in_knowledge"), ("withheld", True), _connector="OR"),
                        fields=["org", "-accepted_at"],
                        name="turn_unknown",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("conversation", "seq"), name="turn_seq_unique"),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "running")), fields=("conversation",), name="turn_one_running"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "running"), _negated=True),
                            models.Q(("claimed_by__isnull", False), ("claimed_epoch__isnull", False)),
                            _connector="OR",
                        ),
                        name="turn_running_is_claimed",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["queued", "running"]), ("finished_at__isnull", False), _connector="OR"
                        ),
                        name="turn_ended_has_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("confidence__isnull", True),
                            models.Q(("confidence__gte", 0), ("confidence__lte", 1)),
                            _connector="OR",
                        ),
                        name="turn_confidence_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "done"), _negated=True), ("response__isnull", False), _connector="OR"
                        ),
                        name="turn_done_has_response",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DayArticle",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("article", models.CharField(max_length=255)),
                ("answers", models.PositiveIntegerField()),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("org", "day", "article"), name="day_article_once")],
            },
        ),
        migrations.CreateModel(
            name="DayConversations",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("conversations", models.PositiveIntegerField()),
                ("handed_over", models.PositiveIntegerField()),
                ("failed", models.PositiveIntegerField()),
                ("denied", models.PositiveIntegerField()),
                ("returned", models.PositiveIntegerField()),
                ("abandoned", models.PositiveIntegerField()),
                ("confirmed", models.PositiveIntegerField()),
                ("assumed", models.PositiveIntegerField()),
                (
                    "agent_version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agents.agentversion",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("org", "day", "agent_version"), name="day_conversations_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "proofs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64), default=list, size=None
                    ),
                ),
                ("requested_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("finished_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("removed", models.JSONField(default=dict)),
                (
                    "end_user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="chat_sessions.enduser",
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
                    "requested_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["org", "-requested_at"], name="erasure_recent")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at", None)), fields=("end_user",), name="erasure_one_open"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="HourNumbers",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                ("messages", models.PositiveIntegerField()),
                ("answered", models.PositiveIntegerField()),
                ("unknown", models.PositiveIntegerField()),
                ("handed_over", models.PositiveIntegerField()),
                ("by_people", models.PositiveIntegerField()),
                ("failed", models.PositiveIntegerField()),
                ("errors", models.PositiveIntegerField()),
                (
                    "seconds",
                    django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None),
                ),
                ("prompt_tokens", models.BigIntegerField()),
                ("completion_tokens", models.BigIntegerField()),
                ("cost", models.DecimalField(decimal_places=6, max_digits=16)),
                ("unpriced", models.PositiveIntegerField()),
                (
                    "agent_version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agents.agentversion",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("org", "hour", "agent_version"), name="hour_numbers_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
                ("part", models.PositiveSmallIntegerField(choices=[(0, "Message"), (1, "Reply")], default=0)),
                (
                    "author",
                    models.CharField(
                        choices=[
                            ("visitor", "Visitor"),
                            ("agent", "Agent"),
                            ("teammate", "Teammate"),
                            ("system", "System"),
                        ],
                        max_length=10,
                    ),
                ),
                ("text", models.TextField()),
                ("citations", halo.fields.OrderedJSONField(blank=True, default=list)),
                ("image_count", models.PositiveSmallIntegerField(default=0)),
                ("unanswered", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "conversation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="messages",
                        to="conversations.conversation",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "turn",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="messages",
                        to="conversations.turn",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["conversation", "seq", "part"], name="message_transcript"),
                    models.Index(fields=["turn"], name="message_turn"),
                    models.Index(fields=["org", "id"], name="message_stored"),
                    django.contrib.postgres.indexes.GinIndex(
                        models.F("org"),
                        django.contrib.postgres.search.SearchVector("text", config="halo_words"),
                        name="message_words",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="MessageImage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveSmallIntegerField()),
                ("url", models.URLField(blank=True, default="", max_length=4000)),
                ("media_type", models.CharField(blank=True, default="", max_length=20)),
                ("data", models.BinaryField(blank=True, null=True)),
                (
                    "message",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="images", to="conversations.message"
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
                    models.UniqueConstraint(fields=("message", "position"), name="image_position_unique"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("data__isnull", False), ("url", "")),
                            models.Q(models.Q(("url", ""), _negated=True), ("data__isnull", True)),
                            _connector="OR",
                        ),
                        name="image_is_url_or_data",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=80)),
                ("query", models.CharField(blank=True, default="", max_length=2000)),
                ("is_shared", models.BooleanField(default=False)),
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
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("org"),
                        models.F("owner"),
                        django.db.models.functions.text.Lower("name"),
                        name="saved_view_name_unique",
                    ),
                    models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="saved_view_has_name"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Ticket",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("number", models.BigIntegerField(editable=False)),
                ("subject", models.CharField(max_length=1000)),
                ("message", models.TextField()),
                ("summary", models.TextField(blank=True, default="")),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("source", models.CharField(default="api", max_length=50)),
                (
                    "priority",
                    models.CharField(
                        choices=[("normal", "Normal"), ("priority", "Priority")], default="normal", max_length=10
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("in_progress", "In progress"),
                            ("snoozed", "Snoozed"),
                            ("resolved", "Resolved"),
                            ("spam", "Spam"),
                        ],
                        default="open",
                        max_length=12,
                    ),
                ),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("snoozed_until", models.DateTimeField(blank=True, null=True)),
                ("effect_key", models.CharField(blank=True, default="", editable=False, max_length=120)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "assignee",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tickets",
                        to="conversations.conversation",
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
                    "requester",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="chat_sessions.enduser",
                    ),
                ),
                (
                    "session",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tickets",
                        to="chat_sessions.chatsession",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.team",
                    ),
                ),
                (
                    "turn",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tickets",
                        to="conversations.turn",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["org", "status", "-created_at", "id"], name="ticket_status"),
                    models.Index(fields=["org", "team", "-created_at", "id"], name="ticket_team"),
                    models.Index(
                        condition=models.Q(("status__in", ["open", "in_progress", "snoozed"])),
                        fields=["org", "assignee", "-created_at", "id"],
                        name="ticket_assignee",
                    ),
                    models.Index(
                        condition=models.Q(("status", "snoozed")), fields=["snoozed_until"], name="ticket_snoozed"
                    ),
                    models.Index(fields=["org", "updated_at", "id"], name="ticket_updated"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "number"), name="ticket_number_unique"),
                    models.UniqueConstraint(
                        condition=models.Q(("effect_key", ""), _negated=True),
                        fields=("org", "effect_key"),
                        name="ticket_effect_unique",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField(validators=[django.core.validators.MaxLengthValidator(10000)])),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notes",
                        to="conversations.conversation",
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
                    "ticket",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notes",
                        to="conversations.ticket",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("conversation__isnull", False), ("ticket", None)),
                            models.Q(("conversation", None), ("ticket__isnull", False)),
                            _connector="OR",
                        ),
                        name="note_is_about_one_thing",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TurnTrace",
            fields=[
                (
                    "turn",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="trace",
                        serialize=False,
                        to="conversations.turn",
                    ),
                ),
                ("prompt", halo.fields.OrderedJSONField(default=list)),
                ("passages", halo.fields.OrderedJSONField(default=list)),
                ("timings", models.JSONField(default=dict)),
                ("model_calls", halo.fields.OrderedJSONField(default=list)),
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
                "indexes": [models.Index(fields=["org", "created_at"], name="trace_retention")],
            },
        ),
        migrations.CreateModel(
            name="UnansweredQuestion",
            fields=[
                (
                    "turn",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="conversations.turn",
                    ),
                ),
                ("asked_at", models.DateTimeField()),
                ("embedding", pgvector.django.vector.VectorField(dimensions=384)),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["org", "-asked_at"], name="unanswered_recent")],
            },
        ),
        migrations.CreateModel(
            name="ToolCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("step", models.PositiveSmallIntegerField()),
                ("round", models.PositiveSmallIntegerField()),
                ("said", models.TextField(blank=True, default="")),
                ("call_id", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("arguments", models.TextField(help_text="As the model wrote them.")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("planned", "Planned"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("asked", "Waits for the visitor's yes"),
                            ("unknown", "Outcome unknown"),
                        ],
                        default="planned",
                        max_length=10,
                    ),
                ),
                ("result", models.TextField(blank=True, default="")),
                ("effect_key", models.CharField(blank=True, default="", max_length=120)),
                ("http_status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "custom_tool",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="agents.customtool",
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
                    "turn",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tool_calls", to="conversations.turn"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("turn", "step"), name="tool_call_step_unique")],
            },
        ),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scope", models.CharField(max_length=80)),
                ("key_hash", models.CharField(max_length=64)),
                ("body_hash", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
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
                    "ticket",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="conversations.ticket",
                    ),
                ),
                (
                    "turn",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="conversations.turn",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("org", "scope", "key_hash"), name="idempotency_key_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="AnswerLabel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("verdict", models.CharField(choices=[("right", "Right"), ("wrong", "Wrong")], max_length=5)),
                (
                    "by",
                    models.CharField(
                        choices=[
                            ("visitor", "The visitor's thumb"),
                            ("teammate", "A teammate"),
                            ("takeover", "A takeover"),
                        ],
                        max_length=10,
                    ),
                ),
                ("comment", models.CharField(blank=True, default="", max_length=2000)),
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
                    "person",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "turn",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="labels", to="conversations.turn"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["org", "-created_at"], name="answer_label_recent")],
                "constraints": [models.UniqueConstraint(fields=("turn", "by"), name="answer_label_once")],
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("label", models.CharField(help_text="Which system this is, for example “Help desk”.", max_length=100)),
                (
                    "url",
                    models.URLField(
                        help_text="Where calls are sent to: https and public, without a password in it.",
                        max_length=1000,
                        verbose_name="address",
                    ),
                ),
                ("secret", orgs.secrets.EncryptedTextField(editable=False)),
                ("old_secret", orgs.secrets.EncryptedTextField(blank=True, default="", editable=False)),
                ("old_secret_until", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "is_active",
                    models.BooleanField(
                        default=True, help_text="Off: nothing new is sent there.", verbose_name="active"
                    ),
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
                "indexes": [
                    models.Index(condition=models.Q(("is_active", True)), fields=["org"], name="webhook_active")
                ],
            },
        ),
        migrations.CreateModel(
            name="OutboxItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("ticket_email", "E-mail about a ticket"),
                            ("reply_email", "E-mail to a visitor who left"),
                            ("webhook", "Webhook"),
                        ],
                        max_length=30,
                    ),
                ),
                ("key", models.CharField(max_length=120)),
                ("payload", halo.fields.OrderedJSONField(blank=True, null=True)),
                ("lane", models.CharField(blank=True, db_default="", default="", max_length=120)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("done_at", models.DateTimeField(blank=True, null=True, verbose_name="delivered")),
                ("dead_at", models.DateTimeField(blank=True, null=True, verbose_name="given up")),
                ("error", models.CharField(blank=True, default="", max_length=500)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "conversation",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="conversations.conversation",
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
                    "repeated_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="conversations.ticket",
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="conversations.webhook",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("dead_at", None), ("done_at", None)),
                        fields=["next_attempt_at"],
                        name="outbox_due",
                    ),
                    models.Index(
                        condition=models.Q(("dead_at", None), ("done_at", None)),
                        fields=["org", "lane", "id"],
                        name="outbox_lane",
                    ),
                    models.Index(fields=["org", "-id"], name="outbox_recent"),
                ],
                "constraints": [models.UniqueConstraint(fields=("org", "kind", "key"), name="outbox_key_unique")],
            },
        ),
        migrations.CreateModel(
            name="Whisper",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField(validators=[django.core.validators.MaxLengthValidator(2000)])),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="whispers",
                        to="conversations.conversation",
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
                    "turn",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="conversations.turn",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("used_at", None)), fields=["conversation", "id"], name="whisper_waiting"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CannedReply",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(
                        help_text="What is typed behind a slash, such as “refund” for /refund.",
                        max_length=40,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[\\w-]+\\Z", "Letters, digits, hyphens and underscores only."
                            )
                        ],
                    ),
                ),
                (
                    "text",
                    models.TextField(
                        help_text="Put into the reply as it is, to be changed before it is sent. Visitors see **bold**, lists and links as in the agent's answers.",
                        validators=[django.core.validators.MaxLengthValidator(10000)],
                    ),
                ),
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
            ],
            options={
                "verbose_name": "canned reply",
                "verbose_name_plural": "canned replies",
                "constraints": [
                    models.UniqueConstraint(
                        models.F("org"), django.db.models.functions.text.Lower("name"), name="canned_reply_name_unique"
                    )
                ],
            },
        ),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ]
