"""Turns: one message being answered, with its tool calls and its trace."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.answer_types import AnswerType
from agents.models import AgentVersion, CustomTool, RoutingRule
from conversations.models.talk import Conversation
from halo.fields import OrderedJSONField
from halo.ids import uuid7
from orgs.models import User
from orgs.tenancy import GrowingTenantModel, TenantModel

# A turn is answered within this time after it was accepted, by the database's clock, or not at all.
ANSWER_WITHIN = dt.timedelta(seconds=55)


class Turn(GrowingTenantModel):
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
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, related_name="turns", db_index=False)
    seq = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    agent_version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.CHAT)
    verified = models.BooleanField(default=False)
    # What this request brought: traits, claims, context, behaviour, history, company. Changes no stored record.
    snapshot = OrderedJSONField(default=dict)
    request_id = models.CharField(max_length=128, blank=True, default="")
    # Text that has left on a stream without resets cannot be taken back: then it is the answer, or its beginning.
    keeps_text = models.BooleanField(default=False, db_default=False)

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

    # Burst merging (conversations.bursts): the seq up to which this turn's reply answers, and the turn that answers
    # this one. Its own seq: it may be merged, and nobody has claimed it yet.
    covers_to = models.BigIntegerField(null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="merged", db_index=False
    )

    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default="")
    # What the client was answered, without ids and bearer values: text, actions, citations, routing.
    response = OrderedJSONField(null=True, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    confidence_inputs = models.JSONField(default=dict, blank=True)
    answer_type = models.CharField(max_length=20, choices=AnswerType.choices, blank=True, default="")
    # The guard kept the model's words from the visitor.
    withheld = models.BooleanField(default=False)
    escalated = models.BooleanField(default=False)
    # Why it went to people, or did not: what was looked at, and what decided.
    explanation = OrderedJSONField(default=dict, blank=True)
    routing_rule = models.ForeignKey(
        RoutingRule, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    error_code = models.CharField(max_length=30, blank=True, default="")
    error_detail = models.CharField(max_length=500, blank=True, default="", help_text="For staff; never shown outside.")
    model_name = models.CharField(max_length=200, blank=True, default="")
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    # In the organisation's currency; None where no price is known.
    cost = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)

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
            # Which of an organisation's is next. Not by the organisation: where statistics are old, an index of all its
            # turns would look as good.
            models.Index(fields=["accepted_at"], condition=Q(status="queued"), name="turn_queued"),
            models.Index(fields=["org", "-accepted_at"], name="turn_recent"),
            # Which conversations went to people, and by which rule; most turns are in neither.
            models.Index(fields=["conversation"], condition=Q(escalated=True), name="turn_escalated"),
            models.Index(
                fields=["conversation", "routing_rule"], condition=Q(routing_rule__isnull=False), name="turn_routed"
            ),
            models.Index(fields=["routing_rule"], condition=Q(routing_rule__isnull=False), name="turn_routing_rule"),
            models.Index(fields=["merged_into"], condition=Q(merged_into__isnull=False), name="turn_merged_into"),
            # The few that the agent had no answer to (conversations.analytics.gaps).
            models.Index(
                fields=["org", "-accepted_at"],
                condition=Q(answer_type=AnswerType.NOT_IN_KNOWLEDGE) | Q(withheld=True),
                name="turn_unknown",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ToolCall(TenantModel):
    """A call the model asked for; committed with its arguments before it is performed."""

    class Status(models.TextChoices):
        PLANNED = "planned", "Planned"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        ASKED = "asked", "Waits for the visitor's yes"
        UNKNOWN = "unknown", "Outcome unknown"

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
    custom_tool = models.ForeignKey(CustomTool, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # What an outside receiver, or a row of ours, knows the effect by: the same however often it is tried.
    effect_key = models.CharField(max_length=120, blank=True, default="")
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["turn", "step"], name="tool_call_step_unique")]

    def __str__(self) -> str:
        return self.name


class TurnTrace(GrowingTenantModel):
    """How an answer came about, kept for a shorter time than the answer."""

    turn = models.OneToOneField(Turn, primary_key=True, on_delete=models.CASCADE, related_name="trace")
    prompt = OrderedJSONField(default=list)
    passages = OrderedJSONField(default=list)
    timings = models.JSONField(default=dict)
    # Each call of a model: when, how long, tokens, how it ended, and what it said before anything was checked.
    model_calls = OrderedJSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["org", "created_at"], name="trace_retention")]

    def __str__(self) -> str:
        return str(self.turn_id)


class AnswerLabel(TenantModel):
    """Whether an answer was right, in somebody's judgement; what the confidence is held against."""

    class Verdict(models.TextChoices):
        RIGHT = "right", "Right"
        WRONG = "wrong", "Wrong"

    class By(models.TextChoices):
        VISITOR = "visitor", "The visitor's thumb"
        TEAMMATE = "teammate", "A teammate"
        TAKEOVER = "takeover", "A takeover"

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="labels")
    verdict = models.CharField(max_length=5, choices=Verdict.choices)
    by = models.CharField(max_length=10, choices=By.choices)
    person = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    comment = models.CharField(max_length=2000, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["turn", "by"], name="answer_label_once")]
        indexes = [models.Index(fields=["org", "-created_at"], name="answer_label_recent")]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} ({self.get_by_display()})"
