"""Conversations and what was said in them."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Agent, AgentVersion
from halo.fields import OrderedJSONField
from halo.ids import uuid7
from orgs.models import User
from orgs.tenancy import GrowingTenantModel, TenantModel
from sessions.models import ChatSession

# The text search configuration of the migration 0007: words as they are written, without case and accents. Visitors
# write in many languages, so none is stemmed.
WORDS = "halo_words"


class Conversation(GrowingTenantModel):
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

    class Origin(models.TextChoices):
        HERE = "", "Said here"
        IMPORTED = "imported", "Imported"
        GENERATED = "generated", "Generated"

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
    taken_over_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    taken_over_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Ids of teammates' newest messages: that a browser of the visitor's was given, and that went out by e-mail.
    visitor_saw = models.UUIDField(null=True, blank=True, editable=False)
    visitor_mailed = models.UUIDField(null=True, blank=True, editable=False)

    # The summary, written in the transactions that accept and record.
    last_message_at = models.DateTimeField(default=timezone.now)
    message_count = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, blank=True, default="")
    lowest_confidence = models.FloatField(null=True, blank=True)
    # Of the last answer.
    answer_type = models.CharField(max_length=20, blank=True, default="")
    has_error = models.BooleanField(default=False)
    rating = models.CharField(max_length=4, choices=Rating.choices, blank=True, default="")
    language = models.CharField(max_length=12, blank=True, default="")
    agent_version = models.ForeignKey(AgentVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    has_images = models.BooleanField(default=False)
    verified = models.BooleanField(default=False)
    # Set by a trigger on every change, so that what reads the records in turn misses none.
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    # Where it comes from (conversations.bulk), and by what it is known there, so that it is brought in once.
    origin = models.CharField(
        max_length=10, choices=Origin.choices, blank=True, default="", db_default="", editable=False
    )
    origin_key = models.CharField(max_length=200, blank=True, default="", db_default="", editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "origin", "origin_key"],
                condition=~Q(origin_key=""),
                name="conversation_origin_key_unique",
            ),
        ]
        indexes = [
            models.Index(fields=["org", "-last_message_at", "id"], name="conversation_recent"),
            models.Index(fields=["org", "agent", "-last_message_at", "id"], name="conversation_agent"),
            models.Index(fields=["org", "outcome", "-last_message_at", "id"], name="conversation_outcome"),
            models.Index(fields=["org", "answer_type", "-last_message_at", "id"], name="conversation_answer_type"),
            models.Index(
                fields=["org", "-last_message_at", "id"],
                condition=Q(taken_over_by__isnull=False, status="open"),
                name="conversation_with_people",
            ),
            models.Index(
                fields=["org", "-last_message_at", "id"], condition=Q(has_error=True), name="conversation_errors"
            ),
            models.Index(fields=["org", "origin", "id"], condition=~Q(origin=""), name="conversation_origin"),
            models.Index(fields=["org", "updated_at", "id"], name="conversation_updated"),
            models.Index(
                fields=["taken_over_by"], condition=Q(taken_over_by__isnull=False), name="conversation_taken_over_by"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Message(GrowingTenantModel):
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
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, related_name="messages", db_index=False)
    turn = models.ForeignKey(
        "conversations.Turn", null=True, blank=True, on_delete=models.PROTECT, related_name="messages", db_index=False
    )
    seq = models.BigIntegerField()
    part = models.PositiveSmallIntegerField(choices=Part.choices, default=Part.MESSAGE)
    author = models.CharField(max_length=10, choices=Author.choices)
    person = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False)
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
            models.Index(fields=["person"], condition=Q(person__isnull=False), name="message_person"),
            models.Index(fields=["org", "id"], name="message_stored"),
            # An expression, not a column: the chat path neither writes nor reads it.
            GinIndex(F("org"), SearchVector("text", config=WORDS), name="message_words"),
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
