"""What leaves Halo by itself after a commit, and the receivers that organisations name for it."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from conversations.models.talk import Conversation
from conversations.models.work import Ticket
from halo.fields import OrderedJSONField
from orgs.models import User
from orgs.secrets import EncryptedTextField
from orgs.tenancy import TenantModel, TenantQuerySet


class Webhook(TenantModel):
    """Another system that is told of tickets, by signed calls in the shape of standardwebhooks.com."""

    label = models.CharField(max_length=100, help_text="Which system this is, for example “Help desk”.")
    url = models.URLField(
        "address",
        max_length=1000,
        help_text="Where calls are sent to: https and public, without a password in it.",
    )
    secret = EncryptedTextField(editable=False)
    # The secret before this one, which signs beside it until its time is over.
    old_secret = EncryptedTextField(editable=False, blank=True, default="")
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField("active", default=True, help_text="Off: nothing new is sent there.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["org"], condition=Q(is_active=True), name="webhook_active")]

    def __str__(self) -> str:
        return self.label


class OutboxQuerySet(TenantQuerySet):
    """What is still to be sent."""

    def due(self, *, now: dt.datetime) -> OutboxQuerySet:
        """Neither done nor given up, not waiting for its next attempt, and first in its lane."""
        waiting: OutboxQuerySet = self.filter(done_at=None, dead_at=None, next_attempt_at__lte=now)
        before = OutboxItem.objects.filter(
            org=OuterRef("org"), lane=OuterRef("lane"), pk__lt=OuterRef("pk"), done_at=None, dead_at=None
        )
        return waiting.filter(Q(lane="") | ~Exists(before))


class OutboxItem(TenantModel):
    """Something slow that must happen once after a commit: an e-mail, a webhook."""

    class Kind(models.TextChoices):
        TICKET_EMAIL = "ticket_email", "E-mail about a ticket"
        REPLY_EMAIL = "reply_email", "E-mail to a visitor who left"
        WEBHOOK = "webhook", "Webhook"

    kind = models.CharField(max_length=30, choices=Kind.choices)
    # The receiver's idempotency key, so that a repeat after an unknown outcome is harmless.
    key = models.CharField(max_length=120)
    ticket = models.ForeignKey(Ticket, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    conversation = models.ForeignKey(Conversation, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    webhook = models.ForeignKey(Webhook, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    # What is to be told, as it was when it happened.
    payload = OrderedJSONField(null=True, blank=True)
    # What has one goes out in order, one at a time; what is given up holds up nothing.
    lane = models.CharField(max_length=120, blank=True, default="", db_default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField("delivered", null=True, blank=True)
    dead_at = models.DateTimeField("given up", null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, default="")
    repeated_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[Any] = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["org", "kind", "key"], name="outbox_key_unique")]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(done_at=None, dead_at=None), name="outbox_due"),
            models.Index(fields=["org", "lane", "id"], condition=Q(done_at=None, dead_at=None), name="outbox_lane"),
            models.Index(fields=["org", "-id"], name="outbox_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.key}"
