"""An index less for what another one begins with, and smaller ones for references that most rows have not.

Of a turn's rows each index was written up to three times. The ORM would drop and check the foreign keys anew, which
takes longer the larger the tables are; this reads each once.
"""

import django.db.models.deletion
from django.db import migrations, models

import sessions.models


def _without(name: str, on: str) -> migrations.RunSQL:
    return migrations.RunSQL(f"DROP INDEX IF EXISTS {name}", f"CREATE INDEX {name} ON {on}")


class Migration(migrations.Migration):
    dependencies = [
        ("chat_sessions", "0001_squashed_0004_event_indexes"),
        ("orgs", "0001_squashed_0007_api_keys"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="chatsession",
            index=models.Index(
                condition=models.Q(("end_user__isnull", False)), fields=["end_user"], name="session_end_user"
            ),
        ),
        migrations.AddIndex(
            model_name="chatsession",
            index=models.Index(
                condition=models.Q(("company__isnull", False)), fields=["company"], name="session_company"
            ),
        ),
        migrations.AddIndex(
            model_name="chatsession",
            index=models.Index(
                condition=models.Q(("successor__isnull", False)), fields=["successor"], name="session_successor"
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="chatsession",
                    name="company",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="sessions",
                        to="chat_sessions.company",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatsession",
                    name="end_user",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sessions",
                        to="chat_sessions.enduser",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatsession",
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
                    model_name="chatsession",
                    name="session_id",
                    field=models.CharField(default=sessions.models.new_session_id, editable=False, max_length=64),
                ),
                migrations.AlterField(
                    model_name="chatsession",
                    name="successor",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="chat_sessions.chatsession",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="chatsession",
                    constraint=models.UniqueConstraint(fields=("session_id",), name="session_id_unique"),
                ),
            ],
            database_operations=[
                _without(
                    "chat_sessions_chatsession_session_id_75ad5d80_like",
                    "chat_sessions_chatsession (session_id varchar_pattern_ops)",
                ),
                _without("chat_sessions_chatsession_org_id_5af8e370", "chat_sessions_chatsession (org_id)"),
                _without("chat_sessions_chatsession_successor_id_8172c5f6", "chat_sessions_chatsession (successor_id)"),
                _without("chat_sessions_chatsession_company_id_09e9f9d7", "chat_sessions_chatsession (company_id)"),
                _without("chat_sessions_chatsession_end_user_id_800345e7", "chat_sessions_chatsession (end_user_id)"),
                migrations.RunSQL(
                    "ALTER TABLE chat_sessions_chatsession "
                    "RENAME CONSTRAINT chat_sessions_chatsession_session_id_key TO session_id_unique",
                    "ALTER TABLE chat_sessions_chatsession "
                    "RENAME CONSTRAINT session_id_unique TO chat_sessions_chatsession_session_id_key",
                ),
            ],
        ),
    ]
