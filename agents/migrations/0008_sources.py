"""Sources that are read, what a reading prepares, and guidance, whose changes invalidate caches."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import halo.ids

FORWARD = """
CREATE TRIGGER guidance_bumps_config AFTER INSERT OR UPDATE OR DELETE ON agents_guidance
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();
"""
BACKWARD = "DROP TRIGGER guidance_bumps_config ON agents_guidance;"


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0007_passage_search"),
        ("orgs", "0002_guards"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Guidance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100)),
                (
                    "text",
                    models.TextField(
                        help_text="In your own words, to the agent: “Offer a call when somebody is angry.” Agents "
                        "follow it in every answer. Facts, prices and instructions for visitors belong into "
                        "articles, where they can be cited.",
                        max_length=4000,
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="in use")),
                (
                    "position",
                    models.PositiveIntegerField(default=0, help_text="They are shown from the lowest number up."),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "verbose_name_plural": "guidance",
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
            ],
        ),
        migrations.CreateModel(
            name="SourceFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("size", models.PositiveIntegerField()),
                ("data", models.BinaryField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
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
            ],
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
            ],
        ),
        migrations.AddField(
            model_name="source",
            name="address",
            field=models.URLField(
                blank=True,
                db_default="",
                default="",
                help_text="The page to begin with, or the site's sitemap (an address that ends in .xml or .xml.gz). "
                "Pages of the same host are read; of an address with a path, those below that path.",
                max_length=1000,
            ),
        ),
        migrations.AddField(
            model_name="source",
            name="every",
            field=models.CharField(
                choices=[("never", "Only when somebody asks"), ("day", "Every day"), ("week", "Every week")],
                db_default="week",
                default="week",
                max_length=10,
                verbose_name="read again",
            ),
        ),
        migrations.AddField(
            model_name="source",
            name="exclude",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="One a line, such as /blog/*. They win over those above.",
                max_length=4000,
                verbose_name="never these paths",
            ),
        ),
        migrations.AddField(
            model_name="source",
            name="include",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="One a line, such as /help/* (the asterisk stands for anything). Empty: all of them.",
                max_length=4000,
                verbose_name="only these paths",
            ),
        ),
        migrations.AddField(
            model_name="source",
            name="last_read_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="source",
            name="next_read_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="source",
            name="page_limit",
            field=models.PositiveIntegerField(
                db_default=500,
                default=500,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(5000),
                ],
                verbose_name="pages at most",
            ),
        ),
        migrations.AlterField(
            model_name="source",
            name="kind",
            field=models.CharField(
                choices=[("site", "Website"), ("upload", "Files"), ("import", "Import"), ("manual", "Written here")],
                default="import",
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            model_name="source",
            index=models.Index(
                condition=models.Q(("next_read_at__isnull", False)), fields=["next_read_at"], name="source_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.CheckConstraint(
                condition=models.Q(("page_limit__gte", 1), ("page_limit__lte", 5000)), name="source_page_limit_in_range"
            ),
        ),
        migrations.AddField(
            model_name="guidance",
            name="org",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orgs.organization",
                verbose_name="organisation",
            ),
        ),
        migrations.AddField(
            model_name="sourcedocument",
            name="org",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orgs.organization",
                verbose_name="organisation",
            ),
        ),
        migrations.AddField(
            model_name="sourcefile",
            name="org",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orgs.organization",
                verbose_name="organisation",
            ),
        ),
        migrations.AddField(
            model_name="sourcefile",
            name="source",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="files", to="agents.source"
            ),
        ),
        migrations.AddField(
            model_name="sourcefile",
            name="uploaded_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sourcedocument",
            name="file",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="agents.sourcefile",
            ),
        ),
        migrations.AddField(
            model_name="article",
            name="file",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="articles",
                to="agents.sourcefile",
            ),
        ),
        migrations.AddIndex(
            model_name="article",
            index=models.Index(condition=models.Q(("content_hash", "")), fields=["updated_at"], name="article_unread"),
        ),
        migrations.AddField(
            model_name="sourcerun",
            name="org",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orgs.organization",
                verbose_name="organisation",
            ),
        ),
        migrations.AddField(
            model_name="sourcerun",
            name="requested_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sourcerun",
            name="source",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="runs", to="agents.source"
            ),
        ),
        migrations.AddField(
            model_name="sourcedocument",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="documents", to="agents.sourcerun"
            ),
        ),
        migrations.AddField(
            model_name="stagedarticle",
            name="document",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="staged", to="agents.sourcedocument"
            ),
        ),
        migrations.AddField(
            model_name="stagedarticle",
            name="org",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orgs.organization",
                verbose_name="organisation",
            ),
        ),
        migrations.AddField(
            model_name="stagedarticle",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="staged", to="agents.sourcerun"
            ),
        ),
        migrations.AddIndex(
            model_name="guidance",
            index=models.Index(fields=["org", "position", "id"], name="guidance_order"),
        ),
        migrations.AddConstraint(
            model_name="sourcefile",
            constraint=models.UniqueConstraint(fields=("source", "name"), name="source_file_name_unique"),
        ),
        migrations.AddIndex(
            model_name="sourcerun",
            index=models.Index(fields=["source", "-created_at"], name="source_run_newest"),
        ),
        migrations.AddIndex(
            model_name="sourcerun",
            index=models.Index(
                condition=models.Q(("status__in", ["queued", "running"])), fields=["due_at"], name="source_run_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcerun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["queued", "running"])),
                fields=("source",),
                name="source_run_one_open",
            ),
        ),
        migrations.AddIndex(
            model_name="sourcedocument",
            index=models.Index(fields=["run", "state", "tries", "id"], name="source_document_state"),
        ),
        migrations.AddConstraint(
            model_name="sourcedocument",
            constraint=models.UniqueConstraint(fields=("run", "key"), name="source_document_key_unique"),
        ),
        migrations.AddIndex(
            model_name="stagedarticle",
            index=models.Index(fields=["run", "content_hash"], name="staged_content"),
        ),
        migrations.AddIndex(
            model_name="stagedarticle",
            index=models.Index(fields=["run", "state", "id"], name="staged_state"),
        ),
        migrations.AddConstraint(
            model_name="stagedarticle",
            constraint=models.UniqueConstraint(fields=("run", "external_id"), name="staged_external_id_unique"),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
