"""End users, companies, sessions and events: who is on the customer's site."""

from __future__ import annotations

import datetime as dt
import secrets

from django.db import models
from django.db.models import Q
from django.utils import timezone

from halo.fields import OrderedJSONField
from halo.ids import uuid7
from orgs.tenancy import GrowingTenantModel, TenantModel

SESSION_LIFETIME = dt.timedelta(days=7)


def new_session_id() -> str:
    """A bearer value: `sess_` and 192 random bits."""
    return "sess_" + secrets.token_urlsafe(24)


def new_expiry() -> dt.datetime:
    """When a session that begins now ends."""
    return timezone.now() + SESSION_LIFETIME


class Relationship(models.Model):
    """The commercial columns that end users and companies share."""

    class RenewalStatus(models.TextChoices):
        UP_FOR_RENEWAL = "up_for_renewal"
        IN_PROGRESS = "in_progress"
        LIKELY_TO_RENEW = "likely_to_renew"
        EXPANSION_OPPORTUNITY = "expansion_opportunity"
        SET_TO_CANCEL = "set_to_cancel"
        SET_TO_CANCEL_TRIAL = "set_to_cancel_trial"
        AT_RISK = "at_risk"
        RENEWED = "renewed"
        LOST = "lost"

    class Period(models.TextChoices):
        MONTHLY = "monthly"
        QUARTERLY = "quarterly"
        ANNUAL = "annual"
        BI_ANNUAL = "bi_annual"

    signed_up_at = models.DateTimeField(null=True, blank=True)
    renewal_date = models.DateTimeField(null=True, blank=True)
    renewal_status = models.CharField(max_length=30, choices=RenewalStatus.choices, blank=True, default="")
    contract_term = models.CharField(max_length=20, choices=Period.choices, blank=True, default="")
    payment_terms = models.CharField(max_length=20, choices=Period.choices, blank=True, default="")
    on_contract = models.BooleanField(null=True, blank=True)
    mrr = models.DecimalField("MRR", max_digits=16, decimal_places=2, null=True, blank=True)
    arr = models.DecimalField("ARR", max_digits=16, decimal_places=2, null=True, blank=True)

    class Meta:
        abstract = True


class Company(TenantModel, Relationship):
    """A firm among the organisation's customers."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    external_id = models.CharField("customer's own id", max_length=255)
    name = models.CharField(max_length=500, blank=True, default="")
    domain = models.CharField(max_length=255, blank=True, default="")
    industry = models.CharField(max_length=255, blank=True, default="")
    plan = models.CharField(max_length=255, blank=True, default="")
    employee_count = models.BigIntegerField(null=True, blank=True)
    custom_fields = OrderedJSONField(default=dict, blank=True)
    context = OrderedJSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "companies"
        constraints = [models.UniqueConstraint(fields=["org", "external_id"], name="company_external_id_unique")]

    def __str__(self) -> str:
        return self.name or self.external_id


class EndUser(TenantModel, Relationship):
    """A person on the customer's site, known by the customer's own id, or a requester known by an e-mail alone."""

    audit_by_id = True

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    external_id = models.CharField("customer's own id", max_length=255, blank=True, default="")
    name = models.CharField(max_length=500, blank=True, default="")
    email = models.CharField("e-mail", max_length=320, blank=True, default="")
    email_verified = models.BooleanField(default=False)
    company = models.ForeignKey(Company, null=True, blank=True, on_delete=models.SET_NULL, related_name="users")
    custom_fields = OrderedJSONField(default=dict, blank=True)
    context = OrderedJSONField(default=dict, blank=True)
    first_seen = models.DateTimeField(default=timezone.now, editable=False)
    last_seen = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "external_id"], condition=~Q(external_id=""), name="end_user_external_id_unique"
            )
        ]
        indexes = [
            models.Index(fields=["org", "email"], name="end_user_email"),
            models.Index(fields=["org", "-last_seen", "id"], name="end_user_last_seen"),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.external_id or "requester"


class ChatSession(GrowingTenantModel):
    """A visit: the bearer of `session_id` continues it, and after a verified turn only as its verified owner."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # SECURITY: a bearer value; staff pages show the primary key and never this.
    session_id = models.CharField(max_length=64, default=new_session_id, editable=False)
    end_user = models.ForeignKey(
        EndUser, null=True, blank=True, on_delete=models.PROTECT, related_name="sessions", db_index=False
    )
    company = models.ForeignKey(
        Company, null=True, blank=True, on_delete=models.SET_NULL, related_name="sessions", db_index=False
    )
    # Once a verified turn was accepted, only verified requests of that user continue or read it.
    verified_only = models.BooleanField(default=False)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(default=new_expiry, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    successor = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )

    class Meta:
        # `unique=True` would have made a second index, for searches by how the value begins.
        constraints = [models.UniqueConstraint(fields=["session_id"], name="session_id_unique")]
        indexes = [
            models.Index(fields=["org", "-started_at", "id"], name="session_started"),
            models.Index(fields=["end_user"], condition=Q(end_user__isnull=False), name="session_end_user"),
            models.Index(fields=["company"], condition=Q(company__isnull=False), name="session_company"),
            models.Index(fields=["successor"], condition=Q(successor__isnull=False), name="session_successor"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def is_live(self, *, now: dt.datetime) -> bool:
        """Whether it can still be continued itself, and not only by a successor."""
        return self.closed_at is None and self.expires_at > now


class Event(GrowingTenantModel):
    """Something a visitor did on the site. No unique constraint: it may be partitioned by id one day."""

    session = models.ForeignKey(
        ChatSession, null=True, blank=True, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    end_user = models.ForeignKey(
        EndUser, null=True, blank=True, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    event_type = models.CharField(max_length=100)
    element_selector = models.TextField(blank=True, default="")
    page_url = models.CharField(max_length=2000, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["session", "id"], name="event_session"),
            models.Index(fields=["end_user", "id"], name="event_end_user"),
            models.Index(fields=["org", "created_at"], name="event_retention"),
        ]

    def __str__(self) -> str:
        return self.event_type
