"""What staff write beside a conversation: notes, hints for the agent, and replies that are kept ready."""

from __future__ import annotations

from django.core.validators import MaxLengthValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from conversations.models.talk import Conversation
from conversations.models.turns import Turn
from conversations.models.work import Ticket
from orgs.models import User
from orgs.tenancy import TenantModel

LONGEST_NOTE = 10_000
LONGEST_WHISPER = 2_000
LONGEST_REPLY = 10_000


class Note(TenantModel):
    """What teammates tell each other about a conversation, or about a ticket that has none; no visitor reads it."""

    conversation = models.ForeignKey(
        Conversation, null=True, blank=True, on_delete=models.CASCADE, related_name="notes"
    )
    ticket = models.ForeignKey(Ticket, null=True, blank=True, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(validators=[MaxLengthValidator(LONGEST_NOTE)])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(conversation__isnull=False, ticket=None) | Q(conversation=None, ticket__isnull=False),
                name="note_is_about_one_thing",
            )
        ]

    def __str__(self) -> str:
        return self.text[:60]


class Whisper(TenantModel):
    """A teammate's hint that the agent's next answer takes into account, and that no visitor reads."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="whispers")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(validators=[MaxLengthValidator(LONGEST_WHISPER)])
    # The turn whose answer took it into account; until then every answer that is begun reads it.
    turn = models.ForeignKey(Turn, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            # Read with every answer, so it holds the few that still wait for one.
            models.Index(fields=["conversation", "id"], condition=Q(used_at=None), name="whisper_waiting"),
        ]

    def __str__(self) -> str:
        return self.text[:60]


class CannedReply(TenantModel):
    """A reply that is kept ready; `/name` puts it into the field where a teammate writes."""

    name = models.CharField(
        max_length=40,
        validators=[RegexValidator(r"^[\w-]+\Z", "Letters, digits, hyphens and underscores only.")],
        help_text="What is typed behind a slash, such as “refund” for /refund.",
    )
    text = models.TextField(
        validators=[MaxLengthValidator(LONGEST_REPLY)],
        help_text="Put into the reply as it is, to be changed before it is sent. "
        "Visitors see **bold**, lists and links as in the agent's answers.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "canned reply"
        verbose_name_plural = "canned replies"
        constraints = [models.UniqueConstraint("org", Lower("name"), name="canned_reply_name_unique")]

    def __str__(self) -> str:
        return f"/{self.name}"
