"""A conversation as it is worked on: what was said, and in between what staff wrote that no visitor reads."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from typing import Any

from django.utils.safestring import SafeString

from conversations.models import Conversation, Message, MessageImage, Note, Ticket, Turn, Whisper
from conversations.visible import images_of
from halo.markdown import link, render

# What is older is read in the transcript.
PAGE = 150
RENDERED = (Message.Author.AGENT, Message.Author.TEAMMATE)


@dataclass(slots=True)
class Said:
    """One entry: a message, a note or a hint; `kind` is the message's author, `note` or `whisper`."""

    kind: str
    at: dt.datetime
    text: str
    html: SafeString | None = None
    row: Any = None
    images: list[MessageImage] = field(default_factory=list)
    citations: list[dict[str, Any]] = field(default_factory=list)
    # Of a teammate's message: whether the visitor's browser has it, or an e-mail took it there.
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Thread:
    """The newest of a conversation, oldest first; `seq` is the last one that was read."""

    entries: list[Said]
    seq: int
    has_earlier: bool
    # The visitor's last words are being answered by the agent right now.
    agent_writes: bool


def read(conversation: Conversation) -> Thread:
    """The last messages of `conversation`, with the notes and hints that belong among them."""
    org = conversation.org_id
    newest = Message.objects.for_org(org).filter(conversation=conversation).select_related("person")
    found = list(newest.order_by("-seq", "-part", "-id")[: PAGE + 1])
    messages = sorted(found[:PAGE], key=lambda row: (row.seq, row.part, row.id))
    images = images_of(messages)
    entries = [_said(conversation, row, images[row.pk]) for row in messages]
    since = messages[0].created_at if len(found) > PAGE else None
    asides = [
        *(Said("note", row.created_at, row.text, row=row) for row in notes_of(conversation)),
        *(Said("whisper", row.created_at, row.text, row=row) for row in _whispers(conversation)),
    ]
    turns = Turn.objects.for_org(org).filter(conversation=conversation, status__in=Turn.IN_FLIGHT)
    return Thread(
        # Stable: messages keep the order of the transcript, whatever their clocks say.
        entries=_among(entries, [aside for aside in asides if since is None or aside.at >= since]),
        seq=messages[-1].seq if messages else 0,
        has_earlier=len(found) > PAGE,
        agent_writes=conversation.taken_over_by_id is None and turns.exists(),
    )


def print_of(conversation: Conversation) -> str:
    """A short value that changes when the thread, or what stands beside it, does."""
    org = conversation.org_id
    told = (
        conversation.seq,
        conversation.message_count,
        conversation.epoch,
        conversation.status,
        conversation.visitor_saw,
        conversation.visitor_mailed,
        list(Note.objects.for_org(org).filter(conversation=conversation).values_list("pk")),
        list(Whisper.objects.for_org(org).filter(conversation=conversation).values_list("pk", "used_at")),
        list(Ticket.objects.for_org(org).filter(conversation=conversation).values_list("pk", "updated_at")),
        list(
            Turn.objects.for_org(org)
            .filter(conversation=conversation, status__in=Turn.IN_FLIGHT)
            .values_list("pk", "status")
        ),
    )
    return hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()


def print_of_ticket(ticket: Ticket) -> str:
    """The same of a ticket that has no conversation."""
    told = (ticket.updated_at, list(notes_of(ticket).values_list("pk")))
    return hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()


def notes_of(about: Conversation | Ticket) -> Any:
    """The notes about it, oldest first."""
    rows = Note.objects.for_org(about.org_id).select_related("author").order_by("created_at", "pk")
    return rows.filter(conversation=about) if isinstance(about, Conversation) else rows.filter(ticket=about)


def _whispers(conversation: Conversation) -> Any:
    rows = Whisper.objects.for_org(conversation.org_id).filter(conversation=conversation)
    return rows.select_related("author").order_by("created_at", "pk")


def _said(conversation: Conversation, row: Message, images: list[MessageImage]) -> Said:
    return Said(
        kind=row.author,
        at=row.created_at,
        text=row.text,
        # SECURITY: a visitor's words are shown as text; those of others as Markdown that an allow-list has cleaned.
        html=render(row.text) if row.author in RENDERED else None,
        row=row,
        images=images,
        citations=[
            {"n": one.get("n"), "source": link(str(one.get("url") or ""), str(one.get("title") or ""))}
            for one in row.citations
            if isinstance(one, dict)
        ],
        seen=_seen(conversation, row) if row.author == Message.Author.TEAMMATE else "",
    )


def _seen(conversation: Conversation, row: Message) -> str:
    if conversation.visitor_saw is not None and row.pk <= conversation.visitor_saw:
        return "Seen"
    if conversation.visitor_mailed is not None and row.pk <= conversation.visitor_mailed:
        return "Sent by e-mail"
    return "Not seen yet"


def _among(entries: list[Said], asides: list[Said]) -> list[Said]:
    """Each aside in front of the first message that is younger."""
    result: list[Said] = []
    waiting = sorted(asides, key=lambda aside: aside.at)
    for entry in entries:
        while waiting and waiting[0].at < entry.at:
            result.append(waiting.pop(0))
        result.append(entry)
    return result + waiting
