"""What is counted and kept when the words themselves are gone: sums, and nothing of anybody's."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from pgvector.django import VectorField

from agents.knowledge.models import DIMENSIONS
from agents.models import AgentVersion
from conversations.models.turns import Turn
from orgs.tenancy import TenantModel


class HourNumbers(TenantModel):
    """What became of the messages that one version of an agent got in one hour; conversations.analytics.counting.

    Every message that has ended is in exactly one of `answered` to `failed`.
    """

    # The unique constraint is the index of all that is asked.
    org = models.ForeignKey(
        "orgs.Organization", on_delete=models.PROTECT, related_name="+", verbose_name="organisation", db_index=False
    )
    hour = models.DateTimeField()
    agent_version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    messages = models.PositiveIntegerField()
    answered = models.PositiveIntegerField()
    unknown = models.PositiveIntegerField()
    handed_over = models.PositiveIntegerField()
    by_people = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    errors = models.PositiveIntegerField()
    # How many answers took how long, by the bounds of conversations.analytics.numbers: such counts add up, and
    # percentiles do not.
    seconds = ArrayField(models.PositiveIntegerField())
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    cost = models.DecimalField(max_digits=16, decimal_places=6)
    # Answers whose cost is not known.
    unpriced = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "hour", "agent_version"], name="hour_numbers_once")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00"


class DayConversations(TenantModel):
    """How the conversations ended whose last word was said on one day (UTC), by the version that answered last.

    Each conversation is in exactly one of `handed_over` to `assumed`; conversations.analytics.days says which.
    """

    org = models.ForeignKey(
        "orgs.Organization", on_delete=models.PROTECT, related_name="+", verbose_name="organisation", db_index=False
    )
    day = models.DateField()
    agent_version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    conversations = models.PositiveIntegerField()
    handed_over = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    denied = models.PositiveIntegerField()
    returned = models.PositiveIntegerField()
    abandoned = models.PositiveIntegerField()
    confirmed = models.PositiveIntegerField()
    assumed = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "day", "agent_version"], name="day_conversations_once")]

    def __str__(self) -> str:
        return f"{self.day}"


class DayArticle(TenantModel):
    """In how many answers of one day an article was cited, by the importer's own id, as citations have it."""

    org = models.ForeignKey(
        "orgs.Organization", on_delete=models.PROTECT, related_name="+", verbose_name="organisation", db_index=False
    )
    day = models.DateField()
    article = models.CharField(max_length=255)
    answers = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "day", "article"], name="day_article_once")]

    def __str__(self) -> str:
        return f"{self.article}, {self.day}"


class UnansweredQuestion(TenantModel):
    """A question that the agent had no answer to, as a vector, so that like ones are found; it goes with its turn."""

    org = models.ForeignKey(
        "orgs.Organization", on_delete=models.PROTECT, related_name="+", verbose_name="organisation", db_index=False
    )
    turn = models.OneToOneField(Turn, primary_key=True, on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField()
    embedding = VectorField(dimensions=DIMENSIONS)

    class Meta:
        indexes = [models.Index(fields=["org", "-asked_at"], name="unanswered_recent")]

    def __str__(self) -> str:
        return str(self.turn_id)
