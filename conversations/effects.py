"""What an answer brings about: tickets in the transaction that records it, and the actions that the client is told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db.models.functions import Now

from agents.escalation import Handover
from agents.tools import builtin
from conversations import tickets
from conversations.loading import Reading
from conversations.models import Conversation, Ticket, Turn, Whisper
from conversations.recording import Overtaken
from conversations.thinking import Effect, Progress
from conversations.turns import Claim


@dataclass(frozen=True, slots=True)
class Done:
    """The actions that the client is told, and what the turn's explanation gains by them."""

    actions: list[dict[str, Any]] = field(default_factory=list)
    why: dict[str, Any] = field(default_factory=dict)


def needs_outbox(progress: Progress, handover: Handover | None) -> bool:
    """Whether there will be a ticket to tell a team of."""
    return handover is not None or any(effect.kind == builtin.TICKET.name for effect in progress.effects)


def perform(reading: Reading, held: Claim, progress: Progress, handover: Handover | None) -> Done:
    """What the answer brings about, in the order in which it takes effect; inside the record's transaction.

    Raises Overtaken where the conversation has moved on.
    """
    if not progress.effects and handover is None:
        return Done()
    turn = reading.turn
    conversation = None
    if needs_outbox(progress, handover):
        # Locked before tickets are numbered, as everywhere: conversation, then the organisation's counter.
        conversation = (
            Conversation.objects.for_org(turn.org_id)
            .filter(pk=turn.conversation_id, epoch=held.epoch)
            .select_for_update()
            .first()
        )
        if conversation is None:
            raise Overtaken
    actions = [_action(effect, reading, conversation) for effect in sorted(progress.effects, key=lambda one: one.step)]
    if handover is None or conversation is None:
        return Done(actions)
    ticket = _hand_over(turn, conversation, reading.case.briefing.question, handover)
    actions.append({"type": "escalate", "reason": handover.reason, "ticket_id": str(ticket.pk)})
    return Done(actions, {"ticket": ticket.number, "team": ticket.team.name if ticket.team else ""})


def heed(turn: Turn, whispers: Collection[int]) -> None:
    """The answer of `turn` has taken these hints into account, so that no later one does."""
    if whispers:
        waiting = Whisper.objects.for_org(turn.org_id).filter(pk__in=whispers, used_at=None)
        waiting.update(turn=turn, used_at=Now())


def _action(effect: Effect, reading: Reading, conversation: Conversation | None) -> dict[str, Any]:
    if effect.kind != builtin.TICKET.name or conversation is None:
        return {"type": effect.kind, **effect.arguments}
    turn, config = reading.turn, reading.case.config
    # SECURITY: organisation, session and conversation are the turn's; the model chose words and urgency only.
    ticket = tickets.open_ticket(
        org=turn.org,
        session=turn.conversation.session,
        conversation=conversation,
        turn=turn,
        team_id=tickets.team_of(turn.org, config.escalation_team),
        subject=tickets.subject_of(effect.arguments["subject"]),
        message=effect.arguments["message"],
        source="agent",
        effect_key=f"turn:{turn.pk}:{effect.step}",
        priority=Ticket.Priority(effect.arguments.get("priority", Ticket.Priority.NORMAL)),
    )
    return {"type": effect.kind, "ticket_id": str(ticket.pk)}


def _hand_over(turn: Turn, conversation: Conversation, message: str, handover: Handover) -> Ticket:
    """The conversation's open ticket, or a new one."""
    priority = Ticket.Priority.PRIORITY if handover.has_priority else Ticket.Priority.NORMAL
    ticket = tickets.open_ticket_of(conversation)
    if ticket is not None:
        tickets.raise_priority(ticket, priority)
        return ticket
    return tickets.open_ticket(
        org=turn.org,
        session=turn.conversation.session,
        conversation=conversation,
        turn=turn,
        team_id=tickets.team_of(turn.org, handover.team),
        subject=tickets.subject_of(message),
        message=message,
        source="escalation",
        effect_key=f"turn:{turn.pk}:escalate",
        priority=priority,
        metadata={"reason": handover.reason, "sign": handover.sign},
    )
