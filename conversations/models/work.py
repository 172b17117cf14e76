"""Tickets, and the keys that stand for turns and tickets."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from conversations.models.talk import Conversation
from conversations.models.turns import Turn
from halo.ids import uuid7
from orgs.models import Team, User
from orgs.tenancy import TenantModel
from sessions.models import ChatSession, EndUser


class Ticket(TenantModel):
    """Work handed to a team."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        IN_PROGRESS = "in_progress", "In progress"
        SNOOZED = "snoozed", "Snoozed"
        RESOLVED = "resolved", "Resolved"
        SPAM = "spam", "Spam"

    # What is still to be done, and what is done with.
    UNSETTLED = (Status.OPEN, Status.IN_PROGRESS, Status.SNOOZED)
    SETTLED = (Status.RESOLVED, Status.SPAM)

    class Priority(models.TextChoices):
        NORMAL = "normal", "Normal"
        PRIORITY = "priority", "Priority"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.BigIntegerField(editable=False)
    # A ticket from a chat reaches its user through the session; one made through the API alone has a requester.
    session = models.ForeignKey(ChatSession, null=True, blank=True, on_delete=models.PROTECT, related_name="tickets")
    requester = models.ForeignKey(EndUser, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    conversation = models.ForeignKey(
        Conversation, null=True, blank=True, on_delete=models.PROTECT, related_name="tickets"
    )
    turn = models.ForeignKey(Turn, null=True, blank=True, on_delete=models.PROTECT, related_name="tickets")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    assignee = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=1000)
    message = models.TextField()
    summary = models.TextField(blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=50, default="api")
    priority = models.CharField(max_length=10, choices=Priority.choices, default=Priority.NORMAL)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.OPEN)
    # When it should be settled, and until when a snoozed one is out of sight.
    due_at = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    # Derived from turn and step: the same effect, tried again, is the same ticket.
    effect_key = models.CharField(max_length=120, blank=True, default="", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["org", "number"], name="ticket_number_unique"),
            models.UniqueConstraint(
                fields=["org", "effect_key"], condition=~Q(effect_key=""), name="ticket_effect_unique"
            ),
        ]
        indexes = [
            models.Index(fields=["org", "status", "-created_at", "id"], name="ticket_status"),
            models.Index(fields=["org", "team", "-created_at", "id"], name="ticket_team"),
            models.Index(
                fields=["org", "assignee", "-created_at", "id"],
                condition=Q(status__in=["open", "in_progress", "snoozed"]),
                name="ticket_assignee",
            ),
            models.Index(fields=["snoozed_until"], condition=Q(status="snoozed"), name="ticket_snoozed"),
            models.Index(fields=["org", "updated_at", "id"], name="ticket_updated"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.subject}"

    @property
    def audit_label(self) -> str:
        """What the audit calls it: the subject is the visitor's words."""
        return f"#{self.number}"


class IdempotencyKey(TenantModel):
    """Which turn or ticket a client's key stands for; only hashes are kept."""

    scope = models.CharField(max_length=80)
    key_hash = models.CharField(max_length=64)
    body_hash = models.CharField(max_length=64)
    turn = models.ForeignKey(Turn, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    ticket = models.ForeignKey(Ticket, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["org", "scope", "key_hash"], name="idempotency_key_unique"),
        ]

    def __str__(self) -> str:
        return self.key_hash[:12]
