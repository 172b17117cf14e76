"""What is counted and kept when the words themselves are gone: sums, and nothing of anybody's."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from agents.models import AgentVersion
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
