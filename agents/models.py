"""Agents, their published versions, and the rules that route past them."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.appearance import Appearance
from agents.config import AgentConfig
from agents.knowledge.models import (
    Article,
    Guidance,
    Passage,
    Source,
    SourceDocument,
    SourceFile,
    SourceRun,
    StagedArticle,
)
from halo.fields import OrderedJSONField
from halo.ids import uuid7
from orgs.models import Organization, Team, User
from orgs.secrets import EncryptedTextField
from orgs.tenancy import TenantModel

__all__ = [
    "Agent",
    "AgentVersion",
    "Article",
    "CustomTool",
    "Guidance",
    "Passage",
    "RoutingRule",
    "Source",
    "SourceDocument",
    "SourceFile",
    "SourceRun",
    "StagedArticle",
]


def empty_schema() -> dict[str, Any]:
    """A tool without arguments."""
    return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


class Agent(TenantModel, Appearance):
    """The AI that answers for an organisation. Retired, never deleted: transcripts name it."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"
        RETIRED = "retired", "Retired"

    class OnFailure(models.TextChoices):
        ERROR = "error", "Answer with an error (503)"
        POLITE = "polite", "Apologise and open a ticket"

    class Escalation(models.TextChoices):
        OFF = "off", "Never by itself"
        ALWAYS = "always", "At any sign that a person is needed"
        CONDITIONAL = "conditional", "Only after some attempts"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    is_default = models.BooleanField(
        "the active agent",
        default=False,
        help_text="Answers when a request names no agent. Without one, the oldest active agent does.",
    )
    instructions = models.TextField(blank=True, help_text="Who the agent is and how it should answer.")
    backend = models.CharField(
        "answers with",
        max_length=20,
        blank=True,
        default="",
        choices=[
            ("", "The organisation's setting"),
            ("openai", "A model (any OpenAI-compatible endpoint)"),
            ("extractive", "No model: quote the knowledge"),
        ],
    )
    base_url = models.URLField(
        "model address", max_length=500, blank=True, help_text="Changing it clears the stored key."
    )
    url_trusted = models.BooleanField(default=False, editable=False)
    api_key = EncryptedTextField("model key", blank=True, default="")
    # Address and key of the published version, while the draft names another address.
    published_url = models.CharField(max_length=500, blank=True, default="", editable=False)
    published_key = EncryptedTextField(blank=True, default="", editable=False)
    model = models.CharField(max_length=200, blank=True)
    temperature = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0.0), MaxValueValidator(2.0)])
    max_tokens = models.PositiveIntegerField(
        "longest answer (tokens)", null=True, blank=True, validators=[MinValueValidator(16), MaxValueValidator(32_000)]
    )
    deadline_seconds = models.PositiveSmallIntegerField(
        "time to answer (seconds)",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="Past it the visitor gets an error, or the apology below.",
    )
    takeover_text = models.CharField(
        max_length=1000,
        default="A teammate has joined this conversation and will answer you here.",
        help_text="What a visitor reads when they write while a teammate has taken over.",
    )
    on_failure = models.CharField(
        "when the model fails", max_length=10, choices=OnFailure.choices, default=OnFailure.ERROR
    )
    failure_text = models.CharField(
        max_length=1000,
        default="I'm sorry, I can't answer right now. I have passed your question on to our team.",
        help_text="The apology, where one is given instead of an error.",
    )
    input_price = models.FloatField(
        "price of a million tokens read",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(10_000.0)],
        help_text="What the model costs, for the sums on traces and pages; empty: the organisation's price.",
    )
    output_price = models.FloatField(
        "price of a million tokens written",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(10_000.0)],
    )
    sources = models.JSONField("knowledge", default=list, blank=True, help_text="None chosen: all of it.")
    tools = models.JSONField("custom tools", default=list, blank=True, help_text="HTTP calls that the agent may make.")
    may_open_tickets = models.BooleanField(
        "may open tickets", default=True, help_text="The agent may pass a request on as a ticket and go on answering."
    )
    may_guide = models.BooleanField(
        "may point and lead",
        default=True,
        help_text="The agent may highlight an element of the visitor's page, or lead them to another page of the site.",
    )
    guard = models.BooleanField(
        default=True,
        help_text="Statements that nothing the agent was shown supports are not sent; the visitor is told that the "
        "answer is not known instead. Off: the model's words go out as they are.",
    )
    escalation = models.CharField(
        "hand over to people",
        max_length=12,
        choices=Escalation.choices,
        default=Escalation.ALWAYS,
        help_text="Signs are: the visitor asks for a person, the agent asks for one, a phrase below, a confidence "
        "below the threshold. “Never” leaves it to the visitor to ask for a person.",
    )
    escalation_threshold = models.FloatField(
        "confidence threshold",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="An answer with less confidence than this, between 0 and 1, calls in a person. Empty: confidence "
        "calls in nobody. Where an error budget is set, the threshold follows from it.",
    )
    error_budget = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.001), MaxValueValidator(0.5)],
        help_text="The share of answers that may be wrong, such as 0.05 for one in twenty. The threshold is set from "
        "the answers that people judged.",
    )
    escalation_attempts = models.PositiveSmallIntegerField(
        "attempts first",
        default=2,
        validators=[MinValueValidator(1), MaxValueValidator(10)],
        help_text="“Only after some attempts”: from which answer of the agent in a conversation on signs count. "
        "Who asks for a person gets one at once.",
    )
    escalation_phrases = models.TextField(
        "phrases",
        blank=True,
        max_length=4000,
        help_text="One a line: any of them in the visitor's message or in the answer is a sign, whole words, without "
        "regard to case.",
    )
    audience = models.JSONField(
        "only for", default=list, blank=True, help_text="Conditions that must all hold; empty: for everybody."
    )
    priority = models.JSONField(
        "with priority where",
        default=list,
        blank=True,
        help_text="Conditions; where all of them hold, the ticket has priority.",
    )
    escalation_team = models.ForeignKey(
        Team,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name="team",
        help_text="Whose tickets they are; empty: everybody's.",
    )
    handover_text = models.CharField(
        max_length=1000,
        default="I have passed this on to our team. A person will get back to you.",
        help_text="What is added to an answer where a person was called in and the agent does not say so itself.",
    )
    unknown_text = models.CharField(
        max_length=1000,
        default="I don't have reliable information about that, so I would rather not guess.",
        help_text="What the visitor reads instead of statements that the guard keeps back.",
    )
    current_version = models.ForeignKey(
        "AgentVersion", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["org"], condition=Q(is_default=True), name="agent_one_default"),
            models.CheckConstraint(
                condition=Q(deadline_seconds__gte=1, deadline_seconds__lte=50), name="agent_deadline_in_range"
            ),
            models.CheckConstraint(
                condition=Q(escalation_threshold__isnull=True)
                | Q(escalation_threshold__gte=0, escalation_threshold__lte=1),
                name="agent_threshold_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def draft(self) -> AgentConfig:
        """What would be published if it were published now."""
        names = {field.name for field in dataclasses.fields(AgentConfig)} - {"escalation_team"}
        values = {name: getattr(self, name) for name in names}
        team = str(self.escalation_team_id) if self.escalation_team_id else ""
        return AgentConfig.from_json({**values, "escalation_team": team})

    def take(self, config: AgentConfig) -> None:
        """Makes `config` the draft, unsaved; the model's address is left alone, as a key may hang on it."""
        values = config.to_json()
        self.escalation_team_id = uuid.UUID(team) if (team := values.pop("escalation_team")) else None
        for name in values.keys() - {"base_url", "url_trusted"}:
            setattr(self, name, values[name])

    def published(self) -> AgentConfig | None:
        """What visitors are answered with; None before the first version."""
        return AgentConfig.from_json(self.current_version.config) if self.current_version else None

    def has_changes(self) -> bool:
        """Whether the draft differs from what is published."""
        return self.draft() != self.published()

    def key_for(self, base_url: str) -> str:
        """The stored key that was entered for this address; empty where there is none."""
        # SECURITY: a key is only ever sent to the address it was entered for.
        if self.base_url == base_url:
            return self.api_key
        return self.published_key if self.published_url == base_url else ""


class AgentVersion(TenantModel):
    """What an agent was when it answered; insert-only by a trigger in the database, so it may be cached for ever."""

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    config = models.JSONField()
    note = models.CharField(max_length=500, blank=True, default="")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "number"], name="agent_version_number_unique")]

    def __str__(self) -> str:
        return f"Version {self.number}"


class RoutingRule(TenantModel):
    """Sends a message straight to a team before any model is asked; the first matching rule of the agent wins."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="routing_rules")
    name = models.CharField(max_length=100)
    position = models.PositiveIntegerField(default=0, help_text="Rules are tried from the lowest number up.")
    is_active = models.BooleanField(default=True)
    phrases = models.TextField(
        blank=True,
        help_text="One a line: any of them in the message matches, whole words, without regard to case.",
    )
    conditions = models.JSONField(
        default=list,
        blank=True,
        help_text="All must hold; what they are is in agents/conditions.py.",
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    has_priority = models.BooleanField("with priority", default=False, help_text="The ticket is a priority one.")
    acknowledgement = models.TextField(
        max_length=2000,
        help_text="What the visitor reads instead of an answer.",
        default="Thank you. Our team will get back to you.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["agent", "position", "id"], name="routing_rule_order")]

    def __str__(self) -> str:
        return self.name


class CustomTool(TenantModel):
    """An HTTP call that an agent may make: the model chooses and fills in the arguments, the rest is fixed here."""

    class Method(models.TextChoices):
        GET = "GET", "GET"
        POST = "POST", "POST"
        PUT = "PUT", "PUT"
        PATCH = "PATCH", "PATCH"
        DELETE = "DELETE", "DELETE"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(
        max_length=50,
        validators=[RegexValidator(r"\A[a-z][a-z0-9_]*\Z", "Small letters, digits and underscores.")],
        help_text="What the model calls it, such as order_status.",
    )
    description = models.TextField(
        max_length=1000, help_text="What it does and when to use it, for the model: it decides by these words."
    )
    parameters = OrderedJSONField(
        "arguments",
        default=empty_schema,
        help_text="A JSON schema of type object. What the model fills in is checked against it before the call.",
    )
    method = models.CharField(max_length=6, choices=Method.choices, default=Method.GET)
    url_template = models.CharField(
        "address",
        max_length=2000,
        help_text="https://…, with {argument} in the path or query, and {visitor.user_id}, {visitor.company_id} or "
        "{conversation.id}, which the model cannot choose. Other arguments go into the query of GET and DELETE, and "
        "into a JSON body otherwise.",
    )
    headers = EncryptedTextField(
        blank=True, default="", help_text="A JSON object, encrypted when it is stored, never shown to a model."
    )
    needs_verified_user = models.BooleanField(
        default=True, help_text="Only visitors who proved who they are. Leave it on for anything about an account."
    )
    needs_confirmation = models.BooleanField(
        default=False, help_text="The visitor is asked first, and must say yes in their next message."
    )
    is_idempotent = models.BooleanField(
        "may be repeated",
        default=False,
        help_text="The receiver treats a repeat of the same Idempotency-Key as the same call, or the call changes "
        "nothing. Otherwise a call whose outcome is unknown is never repeated.",
    )
    timeout_seconds = models.PositiveSmallIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(20)]
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "name"], name="custom_tool_name_unique")]

    def __str__(self) -> str:
        return self.name


# The choice of a model backend is the organisation's as well as the agent's.
assert {value for value, _ in Agent._meta.get_field("backend").choices or []} == set(Organization.ModelBackend.values)
