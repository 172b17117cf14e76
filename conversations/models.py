"""Conversations, turns, messages and what an answer leaves behind."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from agents.models import Agent, AgentVersion, RoutingRule
from halo.fields import OrderedJSONField
from halo.ids import uuid7
from orgs.models import Team, User
from orgs.tenancy import TenantModel, TenantQuerySet
from sessions.models import ChatSession, EndUser

# A turn is answered within this time after it was accepted, by the database's clock, or not at all.
ANSWER_WITHIN = dt.timedelta(seconds=55)


class Conversation(TenantModel):
    """The record of what was said in a session, with a summary that lists are filtered by."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    class Outcome(models.TextChoices):
        NONE = "", "—"
        ANSWERED = "answered", "Answered by the agent"
        ESCALATED = "escalated", "Escalated"
        ROUTED = "routed", "Routed to a team"
        HUMAN = "human", "With a teammate"
        FAILED = "failed", "Not answered"

    class Rating(models.TextChoices):
        NONE = "", "—"
        UP = "up", "Helpful"
        DOWN = "down", "Not helpful"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    session = models.OneToOneField(ChatSession, on_delete=models.PROTECT, related_name="conversation")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    # The last seq given out; accept takes the next one under this row's lock.
    seq = models.BigIntegerField(default=0, editable=False)
    # Bumped by takeover, hand-back and close; an answer is recorded only in the epoch it was claimed in.
    epoch = models.BigIntegerField(default=0, editable=False)
    taken_over_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    taken_over_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    # The summary, written in the transactions that accept and record.
    last_message_at = models.DateTimeField(default=timezone.now)
    message_count = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, blank=True, default="")
    lowest_confidence = models.FloatField(null=True, blank=True)
    has_error = models.BooleanField(default=False)
    rating = models.CharField(max_length=4, choices=Rating.choices, blank=True, default="")
    language = models.CharField(max_length=12, blank=True, default="")
    agent_version = models.ForeignKey(AgentVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    has_images = models.BooleanField(default=False)
    verified = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["org", "-last_message_at", "id"], name="conversation_recent"),
            models.Index(fields=["org", "agent", "-last_message_at", "id"], name="conversation_agent"),
            models.Index(fields=["org", "outcome", "-last_message_at", "id"], name="conversation_outcome"),
            models.Index(
                fields=["org", "-last_message_at", "id"],
                condition=Q(taken_over_by__isnull=False, status="open"),
                name="conversation_with_people",
            ),
            models.Index(
                fields=["org", "-last_message_at", "id"], condition=Q(has_error=True), name="conversation_errors"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Turn(TenantModel):
    """One visitor's message being answered. The row is the truth; queue and tape are nudges."""

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    class Mode(models.TextChoices):
        CHAT = "chat", "Chat"
        VOICE = "voice", "Voice"
        VIDEO = "video", "Video"
        LIVEHELP = "livehelp", "Live help"

    class Outcome(models.TextChoices):
        NONE = "", "—"
        ANSWERED = "answered", "Answered"
        ROUTED = "routed", "Routed to a team"
        HUMAN = "human", "Left to a teammate"
        APOLOGY = "apology", "Apologised"

    IN_FLIGHT = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, related_name="turns")
    seq = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    agent_version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.CHAT)
    verified = models.BooleanField(default=False)
    # What this request brought: traits, claims, context, behaviour, history, company. Changes no stored record.
    snapshot = OrderedJSONField(default=dict)
    request_id = models.CharField(max_length=128, blank=True, default="")

    # Clocks, all by the database.
    accepted_at = models.DateTimeField()
    answer_by = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # The claim: which process (its advisory lock), in which epoch, for the how-manieth time.
    claimed_by = models.BigIntegerField(null=True, blank=True)
    claimed_epoch = models.BigIntegerField(null=True, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    lost = models.PositiveSmallIntegerField(default=0, help_text="Attempts whose process died.")
    rung_at = models.DateTimeField(null=True, blank=True)
    rings = models.PositiveSmallIntegerField(default=0)

    # Burst merging: the seq up to which this turn's reply answers, and the turn that answers this one.
    covers_to = models.BigIntegerField(null=True, blank=True)
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="merged")

    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default="")
    # What the client was answered, without ids and bearer values: text, actions, citations, routing.
    response = OrderedJSONField(null=True, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    confidence_inputs = models.JSONField(default=dict, blank=True)
    escalated = models.BooleanField(default=False)
    routing_rule = models.ForeignKey(RoutingRule, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    error_code = models.CharField(max_length=30, blank=True, default="")
    error_detail = models.CharField(max_length=500, blank=True, default="", help_text="For staff; never shown outside.")
    model_name = models.CharField(max_length=200, blank=True, default="")
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="turn_seq_unique"),
            # The last word on order: one running turn a conversation.
            models.UniqueConstraint(fields=["conversation"], condition=Q(status="running"), name="turn_one_running"),
            models.CheckConstraint(
                condition=~Q(status="running") | Q(claimed_by__isnull=False, claimed_epoch__isnull=False),
                name="turn_running_is_claimed",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"]) | Q(finished_at__isnull=False),
                name="turn_ended_has_time",
            ),
            models.CheckConstraint(
                condition=Q(confidence__isnull=True) | Q(confidence__gte=0, confidence__lte=1),
                name="turn_confidence_in_range",
            ),
            models.CheckConstraint(
                condition=~Q(status="done") | Q(response__isnull=False), name="turn_done_has_response"
            ),
        ]
        indexes = [
            # The sweep and the claim look at these few rows only.
            models.Index(
                fields=["status", "answer_by"], condition=Q(status__in=["queued", "running"]), name="turn_in_flight"
            ),
            models.Index(fields=["org", "-accepted_at"], name="turn_recent"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Message(TenantModel):
    """One thing that was said. No unique constraint: it may be partitioned by id one day.

    Transcript order is `(seq, part)`: a reply has the seq of the message it answers.
    """

    class Author(models.TextChoices):
        VISITOR = "visitor", "Visitor"
        AGENT = "agent", "Agent"
        TEAMMATE = "teammate", "Teammate"
        SYSTEM = "system", "System"

    class Part(models.IntegerChoices):
        MESSAGE = 0
        REPLY = 1

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, related_name="messages")
    turn = models.ForeignKey(Turn, null=True, blank=True, on_delete=models.PROTECT, related_name="messages")
    seq = models.BigIntegerField()
    part = models.PositiveSmallIntegerField(choices=Part.choices, default=Part.MESSAGE)
    author = models.CharField(max_length=10, choices=Author.choices)
    person = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    citations = OrderedJSONField(default=list, blank=True)
    image_count = models.PositiveSmallIntegerField(default=0)
    # The visitor's message whose turn failed: it stays, and a retry with its key may still answer it.
    unanswered = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["conversation", "seq", "part"], name="message_transcript"),
            models.Index(fields=["turn"], name="message_turn"),
            # An expression, not a column: the chat path neither writes nor reads it.
            GinIndex(F("org"), SearchVector("text", config="simple"), name="message_search"),
        ]

    def __str__(self) -> str:
        return self.text[:60]


class MessageImage(TenantModel):
    """An image that came with a message; bytes live here so that no list query touches them."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="images")
    position = models.PositiveSmallIntegerField()
    url = models.URLField(max_length=4000, blank=True, default="")
    media_type = models.CharField(max_length=20, blank=True, default="")
    data = models.BinaryField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "position"], name="image_position_unique"),
            models.CheckConstraint(
                condition=Q(url="", data__isnull=False) | (~Q(url="") & Q(data__isnull=True)),
                name="image_is_url_or_data",
            ),
        ]

    def __str__(self) -> str:
        return self.url or self.media_type


class ToolCall(TenantModel):
    """A call the model asked for; committed with its arguments before it is performed."""

    class Status(models.TextChoices):
        PLANNED = "planned", "Planned"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="tool_calls")
    step = models.PositiveSmallIntegerField()
    round = models.PositiveSmallIntegerField()
    # What the model said in the round beside its calls; kept once a round so that it can be replayed.
    said = models.TextField(blank=True, default="")
    call_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    arguments = models.TextField(help_text="As the model wrote them.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PLANNED)
    result = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["turn", "step"], name="tool_call_step_unique")]

    def __str__(self) -> str:
        return self.name


class TurnTrace(TenantModel):
    """How an answer came about, kept for a shorter time than the answer."""

    turn = models.OneToOneField(Turn, primary_key=True, on_delete=models.CASCADE, related_name="trace")
    prompt = OrderedJSONField(default=list)
    passages = OrderedJSONField(default=list)
    timings = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["org", "created_at"], name="trace_retention")]

    def __str__(self) -> str:
        return str(self.turn_id)


class Ticket(TenantModel):
    """Work handed to a team."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        IN_PROGRESS = "in_progress", "In progress"
        SNOOZED = "snoozed", "Snoozed"
        RESOLVED = "resolved", "Resolved"
        SPAM = "spam", "Spam"

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
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.subject}"


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


class OutboxQuerySet(TenantQuerySet):
    """What is still to be sent."""

    def due(self, *, now: dt.datetime) -> OutboxQuerySet:
        """Neither done nor given up, and not waiting for its next attempt."""
        return self.filter(done_at=None, dead_at=None, next_attempt_at__lte=now)


class OutboxItem(TenantModel):
    """Something slow that must happen once after a commit: a notification, a webhook."""

    class Kind(models.TextChoices):
        TICKET_EMAIL = "ticket_email", "E-mail about a ticket"

    kind = models.CharField(max_length=30, choices=Kind.choices)
    # The receiver's idempotency key, so that a repeat after an unknown outcome is harmless.
    key = models.CharField(max_length=120)
    ticket = models.ForeignKey(Ticket, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[Any] = OutboxQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "kind", "key"], name="outbox_key_unique")]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(done_at=None, dead_at=None), name="outbox_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
