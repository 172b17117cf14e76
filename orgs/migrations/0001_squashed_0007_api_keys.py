"""Organisations, their people and keys, and what the database itself holds of them.

It stands for the first migrations, which are only for databases that have some of them and not all.
"""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.contrib.postgres.operations import (
    BtreeGinExtension,
    TrigramExtension,
    UnaccentExtension,
)
from django.db import migrations, models
from pgvector.django import VectorExtension

import halo.ids
import orgs.secrets

# The audit is append-only, and a change of keys or settings invalidates caches. The ticket counter is no setting, and
# whoever bumps the version alone has done what the last trigger does.
GUARDS = """
CREATE FUNCTION halo_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON orgs_auditentry
    FOR EACH ROW EXECUTE FUNCTION halo_append_only();

CREATE FUNCTION halo_bump_config() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE changed uuid;
BEGIN
    IF TG_OP = 'DELETE' THEN changed := OLD.org_id; ELSE changed := NEW.org_id; END IF;
    UPDATE orgs_organization SET config_version = config_version + 1 WHERE id = changed;
    RETURN NULL;
END $$;
CREATE TRIGGER identity_secret_bumps_config AFTER INSERT OR UPDATE OR DELETE ON orgs_identitysecret
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();

CREATE FUNCTION halo_bump_own_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.config_version := greatest(OLD.config_version, NEW.config_version) + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER organization_bumps_config BEFORE UPDATE ON orgs_organization
    FOR EACH ROW WHEN (
        to_jsonb(OLD) - '{config_version,ticket_counter}'::text[]
        IS DISTINCT FROM to_jsonb(NEW) - '{config_version,ticket_counter}'::text[]
    ) EXECUTE FUNCTION halo_bump_own_config();
"""
NO_GUARDS = """
DROP TRIGGER organization_bumps_config ON orgs_organization;
DROP FUNCTION halo_bump_own_config();
DROP TRIGGER identity_secret_bumps_config ON orgs_identitysecret;
DROP FUNCTION halo_bump_config();
DROP TRIGGER audit_append_only ON orgs_auditentry;
DROP FUNCTION halo_append_only();
"""


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("orgs", "0001_initial"),
        ("orgs", "0002_guards"),
        ("orgs", "0003_staff_settings"),
        ("orgs", "0004_turn_limit"),
        ("orgs", "0005_settings_bump_config"),
        ("orgs", "0006_audit_indexes_and_people"),
        ("orgs", "0007_api_keys"),
    ]

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        VectorExtension(),
        BtreeGinExtension(),
        TrigramExtension(),
        UnaccentExtension(),
        migrations.CreateModel(
            name="Organization",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                (
                    "slug",
                    models.SlugField(help_text="A short name for commands and addresses.", max_length=80, unique=True),
                ),
                (
                    "verify_identity",
                    models.BooleanField(
                        default=False,
                        help_text="When on, a request that names a user must prove it with a signed token, or it is refused.",
                        verbose_name="verify identities",
                    ),
                ),
                (
                    "guidance",
                    models.TextField(
                        blank=True,
                        help_text="Shown to every agent of the organisation, always, before its own instructions.",
                    ),
                ),
                (
                    "model_backend",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "The installation's default"),
                            ("openai", "A model (any OpenAI-compatible endpoint)"),
                            ("extractive", "No model: quote the knowledge"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                (
                    "model_base_url",
                    models.URLField(
                        blank=True,
                        help_text="Base URL of an OpenAI-compatible API. Changing it clears the stored key.",
                        max_length=500,
                        verbose_name="model address",
                    ),
                ),
                ("model_api_key", orgs.secrets.EncryptedTextField(blank=True, default="", verbose_name="model key")),
                ("model_name", models.CharField(blank=True, max_length=200, verbose_name="model")),
                ("model_url_trusted", models.BooleanField(default=False, editable=False)),
                (
                    "input_price",
                    models.FloatField(
                        blank=True,
                        help_text="What the model costs, for the sums on traces and pages; an agent may have prices of its own.",
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
                    "currency",
                    models.CharField(default="USD", help_text="What prices are in, such as USD or EUR.", max_length=3),
                ),
                (
                    "key_rate_limit",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Empty: the installation's default.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000000),
                        ],
                        verbose_name="requests a minute per key",
                    ),
                ),
                (
                    "turn_limit",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="How many messages may be waiting or being answered at the same time; more are refused with a 429. Empty: the installation's default.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000000),
                        ],
                        verbose_name="turns at once",
                    ),
                ),
                (
                    "retain_messages_months",
                    models.PositiveSmallIntegerField(
                        default=24,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(240),
                        ],
                        verbose_name="keep messages (months)",
                    ),
                ),
                (
                    "retain_traces_days",
                    models.PositiveSmallIntegerField(
                        default=90,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(3650),
                        ],
                        verbose_name="keep traces (days)",
                    ),
                ),
                (
                    "retain_events_days",
                    models.PositiveSmallIntegerField(
                        default=30,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(3650),
                        ],
                        verbose_name="keep events (days)",
                    ),
                ),
                (
                    "retain_people_months",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Since they were last seen, once none of their conversations and tickets is left. Empty: until somebody erases them.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(240),
                        ],
                        verbose_name="keep people (months)",
                    ),
                ),
                ("config_version", models.BigIntegerField(default=1, editable=False)),
                ("ticket_counter", models.BigIntegerField(default=0, editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "verbose_name": "organisation",
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("email", models.EmailField(max_length=254, verbose_name="e-mail")),
                ("name", models.CharField(blank=True, max_length=200)),
                ("is_staff", models.BooleanField(default=True, verbose_name="may log in here")),
                ("is_active", models.BooleanField(default=True)),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "person",
                "verbose_name_plural": "people",
                "constraints": [
                    models.UniqueConstraint(django.db.models.functions.text.Lower("email"), name="user_email_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="Canary",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("word", orgs.secrets.EncryptedTextField(default="canary")),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="canary_is_alone")],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("admin", "Admin"),
                            ("support", "Support"),
                            ("analyst", "Analyst"),
                        ],
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
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
                "verbose_name": "member",
                "constraints": [models.UniqueConstraint(fields=("org", "user"), name="membership_once")],
            },
        ),
        migrations.CreateModel(
            name="IdentitySecret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("expires_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="works until")),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("label", models.CharField(blank=True, max_length=100)),
                ("secret", orgs.secrets.EncryptedTextField(editable=False)),
                (
                    "hint",
                    models.CharField(
                        editable=False, help_text="The last characters, to tell secrets apart.", max_length=20
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
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
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "actor_label",
                    models.CharField(
                        blank=True, help_text="Who it was, also after the account is gone.", max_length=254
                    ),
                ),
                ("action", models.CharField(max_length=60)),
                ("target_type", models.CharField(blank=True, max_length=60)),
                ("target_id", models.CharField(blank=True, max_length=64)),
                ("target_label", models.CharField(blank=True, max_length=200)),
                ("before", models.JSONField(blank=True, null=True)),
                ("after", models.JSONField(blank=True, null=True)),
                ("address", models.GenericIPAddressField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "actor",
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
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "indexes": [
                    models.Index(fields=["org", "-created_at"], name="audit_org_created"),
                    models.Index(fields=["org", "action", "-created_at"], name="audit_org_action"),
                    models.Index(fields=["org", "actor", "-created_at"], name="audit_org_actor"),
                    models.Index(
                        condition=models.Q(("target_id", ""), _negated=True), fields=["target_id"], name="audit_target"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("expires_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="works until")),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "label",
                    models.CharField(
                        help_text="What reads with this key, for example “Data warehouse”.", max_length=100
                    ),
                ),
                ("value_hash", models.CharField(editable=False, max_length=64, unique=True)),
                (
                    "hint",
                    models.CharField(
                        editable=False, help_text="The last characters, to tell keys apart.", max_length=20
                    ),
                ),
                ("scopes", models.JSONField(default=list, verbose_name="may read")),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last used")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
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
                "verbose_name": "API key",
            },
        ),
        migrations.CreateModel(
            name="Team",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="e-mail for new tickets")),
                (
                    "time_zone",
                    models.CharField(
                        default="UTC", help_text="Such as Europe/Berlin.", max_length=60, verbose_name="time zone"
                    ),
                ),
                (
                    "hours",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text='When people are there: {"mon": ["09:00-12:30", "13:30-17:00"], …}. Empty: always.',
                        verbose_name="hours",
                    ),
                ),
                (
                    "away_text",
                    models.CharField(
                        blank=True,
                        help_text="What acknowledgements say then, with {opens} for when the team is back. Empty: our own words.",
                        max_length=500,
                        verbose_name="outside the hours",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("members", models.ManyToManyField(blank=True, related_name="teams", to=settings.AUTH_USER_MODEL)),
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
                        models.F("org"), django.db.models.functions.text.Lower("name"), name="team_name_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WidgetKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("expires_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="works until")),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("label", models.CharField(help_text="Where this key is used, for example “Website”.", max_length=100)),
                (
                    "value",
                    models.CharField(
                        default=orgs.secrets.new_widget_key,
                        editable=False,
                        max_length=100,
                        unique=True,
                        verbose_name="key",
                    ),
                ),
                (
                    "origins",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text='A list such as ["https://www.example.com"]; empty: every origin.',
                        verbose_name="allowed origins",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
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
                "abstract": False,
            },
        ),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ]
