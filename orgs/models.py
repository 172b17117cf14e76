"""Organisations, the people who work for them, and the keys that open their doors."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from halo.ids import uuid7
from orgs.secrets import EncryptedTextField, new_widget_key
from orgs.tenancy import TenantModel, TenantQuerySet


class Organization(models.Model):
    """A tenant: everything else hangs on one of these."""

    class ModelBackend(models.TextChoices):
        DEFAULT = "", "The installation's default"
        OPENAI = "openai", "A model (any OpenAI-compatible endpoint)"
        EXTRACTIVE = "extractive", "No model: quote the knowledge"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True, help_text="A short name for commands and addresses.")
    verify_identity = models.BooleanField(
        "verify identities",
        default=False,
        help_text="When on, a request that names a user must prove it with a signed token, or it is refused.",
    )
    guidance = models.TextField(
        blank=True, help_text="Shown to every agent of the organisation, always, before its own instructions."
    )
    model_backend = models.CharField(max_length=20, choices=ModelBackend.choices, blank=True, default="")
    model_base_url = models.URLField(
        "model address",
        max_length=500,
        blank=True,
        help_text="Base URL of an OpenAI-compatible API. Changing it clears the stored key.",
    )
    model_api_key = EncryptedTextField("model key", blank=True, default="")
    model_name = models.CharField("model", max_length=200, blank=True)
    # SECURITY: set only where a superuser entered the address; others must be public (halo.outgoing.door).
    model_url_trusted = models.BooleanField(default=False, editable=False)
    input_price = models.FloatField(
        "price of a million tokens read",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(10_000.0)],
        help_text="What the model costs, for the sums on traces and pages; an agent may have prices of its own.",
    )
    output_price = models.FloatField(
        "price of a million tokens written",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(10_000.0)],
    )
    currency = models.CharField(max_length=3, default="USD", help_text="What prices are in, such as USD or EUR.")
    key_rate_limit = models.PositiveIntegerField(
        "requests a minute per key",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Empty: the installation's default.",
    )
    turn_limit = models.PositiveIntegerField(
        "turns at once",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="How many messages may be waiting or being answered at the same time; more are refused with a 429. "
        "Empty: the installation's default.",
    )
    retain_messages_months = models.PositiveSmallIntegerField(
        "keep messages (months)", default=24, validators=[MinValueValidator(1), MaxValueValidator(240)]
    )
    retain_traces_days = models.PositiveSmallIntegerField(
        "keep traces (days)", default=90, validators=[MinValueValidator(1), MaxValueValidator(3650)]
    )
    retain_events_days = models.PositiveSmallIntegerField(
        "keep events (days)", default=30, validators=[MinValueValidator(1), MaxValueValidator(3650)]
    )
    retain_people_months = models.PositiveSmallIntegerField(
        "keep people (months)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(240)],
        help_text="Since they were last seen, once none of their conversations and tickets is left. Empty: until "
        "somebody erases them.",
    )
    # Bumped by triggers on whatever the chat path caches, so that one select per request invalidates exactly.
    config_version = models.BigIntegerField(default=1, editable=False)
    ticket_counter = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "organisation"

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Makes people; an e-mail address is the login, compared without regard to case."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username or "")

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = User(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person on our side: a teammate of organisations, or a superuser who runs the installation."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField("e-mail", max_length=254)
    name = models.CharField(max_length=200, blank=True)
    is_staff = models.BooleanField("may log in here", default=True)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    objects = UserManager()

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.name or self.email


class Membership(TenantModel):
    """What a person may do in one organisation."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        ADMIN = "admin", "Admin"
        SUPPORT = "support", "Support"
        ANALYST = "analyst", "Analyst"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "member"
        constraints = [models.UniqueConstraint(fields=["org", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


class Team(TenantModel):
    """People who take tickets together."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    email = models.EmailField("e-mail for new tickets", blank=True)
    time_zone = models.CharField("time zone", max_length=60, default="UTC", help_text="Such as Europe/Berlin.")
    hours = models.JSONField(
        "hours",
        default=dict,
        blank=True,
        help_text='When people are there: {"mon": ["09:00-12:30", "13:30-17:00"], …}. Empty: always.',
    )
    away_text = models.CharField(
        "outside the hours",
        max_length=500,
        blank=True,
        help_text="What acknowledgements say then, with {opens} for when the team is back. Empty: our own words.",
    )
    members = models.ManyToManyField(User, blank=True, related_name="teams")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("org", Lower("name"), name="team_name_unique")]

    def __str__(self) -> str:
        return self.name


class ExpiringQuerySet(TenantQuerySet):
    """Keys and secrets that can be revoked or run out."""

    def active(self, *, now: dt.datetime) -> Self:
        """Neither revoked nor past their grace time."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


class Expiring(TenantModel):
    """What opens a door until it is revoked or its grace time is over."""

    expires_at = models.DateTimeField("works until", null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[Any] = ExpiringQuerySet.as_manager()

    class Meta:
        abstract = True

    def is_active(self, *, now: dt.datetime) -> bool:
        """Whether the door opens."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class WidgetKey(Expiring):
    """A publishable key: names the organisation, and gives read access to nothing but its bearer's own session."""

    label = models.CharField(max_length=100, help_text="Where this key is used, for example “Website”.")
    value = models.CharField("key", max_length=100, unique=True, default=new_widget_key, editable=False)
    origins = models.JSONField(
        "allowed origins",
        default=list,
        blank=True,
        help_text='A list such as ["https://www.example.com"]; empty: every origin.',
    )
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.label


class IdentitySecret(Expiring):
    """A secret that the organisation's server signs identity tokens with; at most two are active."""

    label = models.CharField(max_length=100, blank=True)
    secret = EncryptedTextField(editable=False)
    hint = models.CharField(max_length=20, editable=False, help_text="The last characters, to tell secrets apart.")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.label or f"…{self.hint}"


class ApiKey(Expiring):
    """A key that tools of the organisation's own read its records with; only its hash is kept."""

    class Scope(models.TextChoices):
        CONVERSATIONS = "conversations", "Conversations"
        MESSAGES = "messages", "Messages"
        TICKETS = "tickets", "Tickets"

    label = models.CharField(max_length=100, help_text="What reads with this key, for example “Data warehouse”.")
    # SECURITY: 256 random bits, so that one round of SHA-256 protects them; found by exact match.
    value_hash = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=20, editable=False, help_text="The last characters, to tell keys apart.")
    scopes = models.JSONField("may read", default=list)
    last_used_at = models.DateTimeField("last used", null=True, blank=True, editable=False)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.label or f"…{self.hint}"


class AuditEntry(models.Model):
    """Who did what, when and from where; append-only by a trigger in the database.

    `org` is empty only for what happened outside every organisation, such as a failed login.
    """

    org = models.ForeignKey(Organization, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    actor = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    actor_label = models.CharField(max_length=254, blank=True, help_text="Who it was, also after the account is gone.")
    action = models.CharField(max_length=60)
    target_type = models.CharField(max_length=60, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["org", "-created_at"], name="audit_org_created"),
            models.Index(fields=["org", "action", "-created_at"], name="audit_org_action"),
            models.Index(fields=["org", "actor", "-created_at"], name="audit_org_actor"),
            models.Index(fields=["target_id"], condition=~Q(target_id=""), name="audit_target"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_label}".strip()


class Canary(models.Model):
    """One row, encrypted with the first key ring; if it does not open, the keys are wrong and nothing starts."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    word = EncryptedTextField(default="canary")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="canary_is_alone")]

    def __str__(self) -> str:
        return "canary"
