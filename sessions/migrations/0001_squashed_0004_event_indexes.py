"""Visitors, their sessions and what they do on the website.

It stands for the first migrations, which are only for databases that have some of them and not all.
"""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import halo.fields
import halo.ids
import sessions.models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("chat_sessions", "0001_initial"),
        ("chat_sessions", "0002_initial"),
        ("chat_sessions", "0003_keep_json_order"),
        ("chat_sessions", "0004_event_indexes"),
    ]

    dependencies = [
        ("orgs", "0001_squashed_0007_api_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="Company",
            fields=[
                ("signed_up_at", models.DateTimeField(blank=True, null=True)),
                ("renewal_date", models.DateTimeField(blank=True, null=True)),
                (
                    "renewal_status",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("up_for_renewal", "Up For Renewal"),
                            ("in_progress", "In Progress"),
                            ("likely_to_renew", "Likely To Renew"),
                            ("expansion_opportunity", "Expansion Opportunity"),
                            ("set_to_cancel", "Set To Cancel"),
                            ("set_to_cancel_trial", "Set To Cancel Trial"),
                            ("at_risk", "At Risk"),
                            ("renewed", "Renewed"),
                            ("lost", "Lost"),
                        ],
                        default="",
                        max_length=30,
                    ),
                ),
                (
                    "contract_term",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("monthly", "Monthly"),
                            ("quarterly", "Quarterly"),
                            ("annual", "Annual"),
                            ("bi_annual", "Bi Annual"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                (
                    "payment_terms",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("monthly", "Monthly"),
                            ("quarterly", "Quarterly"),
                            ("annual", "Annual"),
                            ("bi_annual", "Bi Annual"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                ("on_contract", models.BooleanField(blank=True, null=True)),
                (
                    "mrr",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=16, null=True, verbose_name="MRR"),
                ),
                (
                    "arr",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=16, null=True, verbose_name="ARR"),
                ),
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("external_id", models.CharField(max_length=255, verbose_name="customer's own id")),
                ("name", models.CharField(blank=True, default="", max_length=500)),
                ("domain", models.CharField(blank=True, default="", max_length=255)),
                ("industry", models.CharField(blank=True, default="", max_length=255)),
                ("plan", models.CharField(blank=True, default="", max_length=255)),
                ("employee_count", models.BigIntegerField(blank=True, null=True)),
                ("custom_fields", halo.fields.OrderedJSONField(blank=True, default=dict)),
                ("context", halo.fields.OrderedJSONField(blank=True, default=dict)),
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
            ],
            options={
                "verbose_name_plural": "companies",
                "constraints": [
                    models.UniqueConstraint(fields=("org", "external_id"), name="company_external_id_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="EndUser",
            fields=[
                ("signed_up_at", models.DateTimeField(blank=True, null=True)),
                ("renewal_date", models.DateTimeField(blank=True, null=True)),
                (
                    "renewal_status",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("up_for_renewal", "Up For Renewal"),
                            ("in_progress", "In Progress"),
                            ("likely_to_renew", "Likely To Renew"),
                            ("expansion_opportunity", "Expansion Opportunity"),
                            ("set_to_cancel", "Set To Cancel"),
                            ("set_to_cancel_trial", "Set To Cancel Trial"),
                            ("at_risk", "At Risk"),
                            ("renewed", "Renewed"),
                            ("lost", "Lost"),
                        ],
                        default="",
                        max_length=30,
                    ),
                ),
                (
                    "contract_term",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("monthly", "Monthly"),
                            ("quarterly", "Quarterly"),
                            ("annual", "Annual"),
                            ("bi_annual", "Bi Annual"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                (
                    "payment_terms",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("monthly", "Monthly"),
                            ("quarterly", "Quarterly"),
                            ("annual", "Annual"),
                            ("bi_annual", "Bi Annual"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                ("on_contract", models.BooleanField(blank=True, null=True)),
                (
                    "mrr",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=16, null=True, verbose_name="MRR"),
                ),
                (
                    "arr",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=16, null=True, verbose_name="ARR"),
                ),
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "external_id",
                    models.CharField(blank=True, default="", max_length=255, verbose_name="customer's own id"),
                ),
                ("name", models.CharField(blank=True, default="", max_length=500)),
                ("email", models.CharField(blank=True, default="", max_length=320, verbose_name="e-mail")),
                ("email_verified", models.BooleanField(default=False)),
                ("custom_fields", halo.fields.OrderedJSONField(blank=True, default=dict)),
                ("context", halo.fields.OrderedJSONField(blank=True, default=dict)),
                ("first_seen", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("last_seen", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "company",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="users",
                        to="chat_sessions.company",
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
                "indexes": [
                    models.Index(fields=["org", "email"], name="end_user_email"),
                    models.Index(fields=["org", "-last_seen", "id"], name="end_user_last_seen"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("external_id", ""), _negated=True),
                        fields=("org", "external_id"),
                        name="end_user_external_id_unique",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ChatSession",
            fields=[
                ("id", models.UUIDField(default=halo.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "session_id",
                    models.CharField(
                        default=sessions.models.new_session_id, editable=False, max_length=64, unique=True
                    ),
                ),
                ("verified_only", models.BooleanField(default=False)),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(default=sessions.models.new_expiry, editable=False)),
                ("closed_at", models.DateTimeField(blank=True, editable=False, null=True)),
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
                    "successor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="chat_sessions.chatsession",
                    ),
                ),
                (
                    "company",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="sessions",
                        to="chat_sessions.company",
                    ),
                ),
                (
                    "end_user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sessions",
                        to="chat_sessions.enduser",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["org", "-started_at", "id"], name="session_started")],
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event_type", models.CharField(max_length=100)),
                ("element_selector", models.TextField(blank=True, default="")),
                ("page_url", models.CharField(blank=True, default="", max_length=2000)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "end_user",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="chat_sessions.enduser",
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
                    "session",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="chat_sessions.chatsession",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["session", "id"], name="event_session"),
                    models.Index(fields=["end_user", "id"], name="event_end_user"),
                    models.Index(fields=["org", "created_at"], name="event_retention"),
                ],
            },
        ),
    ]
