"""An index less for what another one begins with, and smaller ones for references that most rows have not.

Of a turn's rows each index was written up to three times. The ORM would drop and check the foreign keys anew, which
takes longer the larger the tables are; this reads each once.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def _without(name: str, on: str) -> migrations.RunSQL:
    return migrations.RunSQL(f"DROP INDEX IF EXISTS {name}", f"CREATE INDEX {name} ON {on}")


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0001_squashed_0013_appearance"),
        ("chat_sessions", "0005_fewer_indexes"),
        ("conversations", "0001_squashed_0010_records"),
        ("orgs", "0001_squashed_0007_api_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("taken_over_by__isnull", False)),
                fields=["taken_over_by"],
                name="conversation_taken_over_by",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(condition=models.Q(("person__isnull", False)), fields=["person"], name="message_person"),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(
                condition=models.Q(("routing_rule__isnull", False)), fields=["routing_rule"], name="turn_routing_rule"
            ),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(
                condition=models.Q(("merged_into__isnull", False)), fields=["merged_into"], name="turn_merged_into"
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="conversation",
                    name="org",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="taken_over_by",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="conversation",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="messages",
                        to="conversations.conversation",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="person",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="turn",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="messages",
                        to="conversations.turn",
                    ),
                ),
                migrations.AlterField(
                    model_name="turn",
                    name="conversation",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="turns",
                        to="conversations.conversation",
                    ),
                ),
                migrations.AlterField(
                    model_name="turn",
                    name="merged_into",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="merged",
                        to="conversations.turn",
                    ),
                ),
                migrations.AlterField(
                    model_name="turn",
                    name="org",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
                migrations.AlterField(
                    model_name="turn",
                    name="routing_rule",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="agents.routingrule",
                    ),
                ),
                migrations.AlterField(
                    model_name="turntrace",
                    name="org",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            database_operations=[
                _without("conversations_conversation_org_id_8ef46e8a", "conversations_conversation (org_id)"),
                _without(
                    "conversations_conversation_taken_over_by_id_31fa63ed",
                    "conversations_conversation (taken_over_by_id)",
                ),
                _without("conversations_message_conversation_id_f1a2d5e9", "conversations_message (conversation_id)"),
                _without("conversations_message_person_id_eeeaacb0", "conversations_message (person_id)"),
                _without("conversations_message_turn_id_ff2e7681", "conversations_message (turn_id)"),
                _without("conversations_turn_conversation_id_5017480b", "conversations_turn (conversation_id)"),
                _without("conversations_turn_merged_into_id_844c93a9", "conversations_turn (merged_into_id)"),
                _without("conversations_turn_org_id_5af625b8", "conversations_turn (org_id)"),
                _without("conversations_turn_routing_rule_id_7a9ce147", "conversations_turn (routing_rule_id)"),
                _without("conversations_turntrace_org_id_84bf8c52", "conversations_turntrace (org_id)"),
            ],
        ),
    ]
