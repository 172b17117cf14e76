"""E-mails that the outbox sends: to teams about tickets, and to visitors who left before they were answered."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db.models import Max, Q

from conversations.models import Conversation, Message, OutboxItem, Ticket
from halo.db import release_connection

# So long a browser of the visitor's has to show a teammate's words before they go out by e-mail.
UNSEEN_AFTER = dt.timedelta(minutes=2)
# More of them are read on the website.
MOST_REPLIES = 20


def queue_reply(message: Message, *, now: dt.datetime) -> None:
    """Has the teammate's `message` mailed if nobody has seen it in time; in the transaction that stores it."""
    OutboxItem.objects.create(
        org_id=message.org_id,
        kind=OutboxItem.Kind.REPLY_EMAIL,
        key=f"message:{message.pk}",
        conversation_id=message.conversation_id,
        payload={"message": str(message.pk)},
        lane=f"reply:{message.conversation_id}",
        next_attempt_at=now + UNSEEN_AFTER,
    )


def send_ticket(item: OutboxItem) -> bool:
    """Tells the ticket's team of it; False where that has no address."""
    ticket = item.ticket
    if ticket is None or ticket.team is None or not ticket.team.email:
        return False
    release_connection()
    EmailMessage(
        subject=_one_line(f"[#{ticket.number}] {ticket.subject}"),
        body=f"{ticket.message}\n\n{_base()}/inbox/t/{ticket.pk}/\n",
        to=[ticket.team.email],
        headers={"Message-ID": _message_id(item)},
    ).send()
    return True


def send_replies(item: OutboxItem) -> bool:
    """Mails the visitor what teammates wrote and no browser of theirs has shown, once, in one e-mail.

    False where there is nothing of that, or no address.
    """
    conversation, payload = item.conversation, item.payload
    if conversation is None or not isinstance(payload, dict):
        return False
    # SECURITY: an address that is stored with the person whose session it is; never one out of a message.
    person = conversation.session.end_user
    replies = _unseen(conversation)
    # Where more was written since, that has an item of its own, which takes these words along.
    if person is None or not _is_address(person.email) or not replies or str(replies[-1].pk) != payload["message"]:
        return False
    who = str(replies[-1].person) if replies[-1].person is not None else conversation.org.name
    words = "\n\n".join(reply.text for reply in replies)
    answers_to = _answers_to(conversation)
    release_connection()
    EmailMessage(
        subject=_one_line(f"{who} from {conversation.org.name} answered you"),
        body=f"{words}\n\n-- \n{who}, {conversation.org.name}\n"
        + ("Reply to this e-mail, or go on" if answers_to else "Go on")
        + " where you left the chat on our website.\n",
        to=[person.email],
        reply_to=answers_to,
        headers={"Message-ID": _message_id(item), "Auto-Submitted": "auto-generated"},
    ).send()
    Conversation.objects.for_org(conversation.org_id).filter(pk=conversation.pk).update(visitor_mailed=replies[-1].pk)
    return True


def _unseen(conversation: Conversation) -> list[Message]:
    """What teammates wrote since the visitor's last word that neither a browser nor an e-mail has brought there."""
    said = Message.objects.for_org(conversation.org_id).filter(conversation=conversation)
    last = said.filter(author=Message.Author.VISITOR).aggregate(seq=Max("seq"))["seq"] or 0
    known = max((known for known in (conversation.visitor_saw, conversation.visitor_mailed) if known), default=None)
    theirs = said.filter(Q(pk__gt=known) if known else Q(), author=Message.Author.TEAMMATE, seq__gt=last)
    return list(theirs.select_related("person").order_by("-seq")[:MOST_REPLIES])[::-1]


def _answers_to(conversation: Conversation) -> list[str]:
    """Where the visitor's own e-mail would be read: at the team that has the conversation's ticket."""
    emails = (
        Ticket.objects.for_org(conversation.org_id)
        .filter(conversation=conversation, status__in=Ticket.UNSETTLED, team__isnull=False)
        .exclude(team__email="")
        .order_by("-number")
        .values_list("team__email", flat=True)
    )
    return list(emails[:1])


def _is_address(email: str) -> bool:
    try:
        validate_email(email)
    except ValidationError:
        return False
    return True


def _one_line(text: str) -> str:
    # A subject is a header: it must stay on one line.
    return " ".join(text.split())[:200]


def _message_id(item: OutboxItem) -> str:
    # A mail server that has seen this id drops the repeat of an attempt whose outcome we did not learn.
    return f"<{item.key.replace(':', '.')}@halo>"


def _base() -> str:
    return settings.HALO_PUBLIC_URL or f"http://127.0.0.1:{settings.HALO_PORT}"
