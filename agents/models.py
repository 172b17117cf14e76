"""Agents, their published versions, and the rules that route past them."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

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
from halo.ids import uuid7
from orgs.models import Organization, Team, User
from orgs.secrets import EncryptedTextField
from orgs.tenancy import TenantModel

__all__ = [
    "Agent",
    "AgentConfig",
    "AgentVersion",
    "Article",
    "Guidance",
    "Passage",
    "RoutingRule",
    "Source",
    "SourceDocument",
    "SourceFile",
    "SourceRun",
    "StagedArticle",
]


@dataclasses.dataclass(frozen=True, slots=True)
class AgentConfig:
    """What a published version fixes. A field that is added later needs a default, for the versions before it."""

    name: str
    instructions: str = ""
    greeting: str = ""
    backend: str = ""
    base_url: str = ""
    url_trusted: bool = False
    model: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    deadline_seconds: int = 30
    takeover_text: str = ""
    on_failure: str = "error"
    failure_text: str = ""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AgentConfig:
        """The configuration in a version's JSON; keys of a newer release are ignored, as two may run side by side."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: item for key, item in value.items() if key in known})


class Agent(TenantModel):
    """The AI that answers for an organisation. Retired, never deleted: transcripts name it."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"
        RETIRED = "retired", "Retired"

    class OnFailure(models.TextChoices):
        ERROR = "error", "Answer with an error (503)"
        POLITE = "polite", "Apologise and open a ticket"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    is_default = models.BooleanField(
        "the active agent",
        default=False,
        help_text="Answers when a request names no agent. Without one, the oldest active agent does.",
    )
    instructions = models.TextField(blank=True, help_text="Who the agent is and how it should answer.")
    greeting = models.CharField(max_length=500, blank=True)
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
        ]

    def __str__(self) -> str:
        return self.name

    def draft(self) -> AgentConfig:
        """What would be published if it were published now."""
        names = {field.name for field in dataclasses.fields(AgentConfig)}
        return AgentConfig(**{name: getattr(self, name) for name in names})


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
        help_text=(
            'All must hold. A list such as [{"source": "user", "key": "plan", "op": "is", "value": "enterprise"}]; '
            "source: message, user, company, context, request; op: is, is_not, contains, exists, missing, gt, lt."
        ),
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
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


# The choice of a model backend is the organisation's as well as the agent's.
assert {value for value, _ in Agent._meta.get_field("backend").choices or []} == set(Organization.ModelBackend.values)
