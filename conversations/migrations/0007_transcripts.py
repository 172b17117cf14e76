"""What transcripts are searched and filtered by: words without case and accents, origin, and who called for people."""

from __future__ import annotations

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.contrib.postgres.operations import UnaccentExtension
from django.db import migrations, models

import halo.ids

# Visitors write in many languages, so no word is stemmed; but whoever looks for "Zurich" finds "Zürich".
WORDS = """
CREATE TEXT SEARCH CONFIGURATION halo_words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION halo_words
    ALTER MAPPING FOR word, hword, hword_part, numword, numhword, hword_numpart WITH unaccent, simple;
"""
NO_WORDS = "DROP TEXT SEARCH CONFIGURATION halo_words;"


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0013_appearance"),
        ("chat_sessions", "0004_event_indexes"),
        ("conversations", "0006_turns_in_flight_of_an_org"),
        ("orgs", "0005_settings_bump_config"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        UnaccentExtension(),
        migrations.RunSQL(WORDS, NO_WORDS),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=80)),
                ("query", models.CharField(blank=True, default="", max_length=2000)),
                ("is_shared", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.RemoveIndex(
            model_name="message",
            name="message_search",
        ),
        migrations.AddField(
            model_name="conversation",
            name="origin",
            field=models.CharField(
                blank=True,
                choices=[("", "Said here"), ("imported", "Imported"), ("generated", "Generated")],
                db_default="",
                default="",
                editable=False,
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="conversation",
            name="origin_key",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=200),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("origin", ""), _negated=True),
                fields=["org", "origin", "id"],
                name="conversation_origin",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=django.contrib.postgres.indexes.GinIndex(
                models.F("org"),
                django.contrib.postgres.search.SearchVector("text", config="halo_words"),
                name="message_words",
            ),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(condition=models.Q(("escalated", True)), fields=["conversation"], name="turn_escalated"),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(
                condition=models.Q(("routing_rule__isnull", False)),
                fields=["conversation", "routing_rule"],
                name="turn_routed",
            ),
        ),
        migrations.AddConstraint(
            model_name="conversation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("origin_key", ""), _negated=True),
                fields=("org", "origin", "origin_key"),
                name="conversation_origin_key_unique",
            ),
        ),
        migrations.AddField(
            model_name="savedview",
            name="org",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orgs.organization",
                verbose_name="organisation",
            ),
        ),
        migrations.AddField(
            model_name="savedview",
            name="owner",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(
                models.F("org"),
                models.F("owner"),
                django.db.models.functions.text.Lower("name"),
                name="saved_view_name_unique",
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="saved_view_has_name"
            ),
        ),
    ]
