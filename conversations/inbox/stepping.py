"""Stepping in and out as the inbox does it: what the services do, and what follows for the conversation's tickets."""

from __future__ import annotations

from conversations import takeover, tickets
from conversations.inbox.ticketing import change_ticket, is_given_tickets
from conversations.models import Conversation, Message, Ticket
from conversations.replying import reply
from orgs.models import User


def take_over(*, conversation: Conversation, by: User) -> None:
    """`by` has the conversation from now on, and its open ticket where that was nobody's."""
    takeover.take_over(conversation=conversation, by=by)
    ticket = tickets.open_ticket_of(conversation)
    if ticket is not None and ticket.assignee_id is None:
        taken = {"assignee": by} if is_given_tickets(conversation.org_id, by) else {}
        change_ticket(ticket=ticket, changes={**taken, "status": Ticket.Status.IN_PROGRESS}, by=by)


def answer(*, conversation: Conversation, text: str, by: User, seen: int | None, take: bool) -> Message:
    """`text` as the words of `by`; with `take`, the conversation is taken over first where the agent has it."""
    if take and conversation.taken_over_by_id is None and text.strip():
        take_over(conversation=conversation, by=by)
    return reply(conversation=conversation, text=text, by=by, seen=seen)


def close(*, conversation: Conversation, by: User) -> None:
    """Ends the conversation, and settles what was open in it."""
    takeover.close(conversation=conversation, by=by)
    unsettled = Ticket.objects.for_org(conversation.org_id).filter(
        conversation=conversation, status__in=Ticket.UNSETTLED
    )
    for ticket in unsettled.order_by("number"):
        change_ticket(ticket=ticket, changes={"status": Ticket.Status.RESOLVED}, by=by)
