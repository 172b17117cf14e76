"""A conversation as staff read it: messages in order, each turn with what is known about its answer."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils.safestring import SafeString

from conversations.admin.explaining import Explanation, explain
from conversations.labels import may_be_judged
from conversations.models import AnswerLabel, Conversation, Message, MessageImage, Ticket, ToolCall, Turn
from conversations.money import money
from conversations.visible import images_of
from halo.markdown import link, render

PAGE = 100


@dataclass(slots=True)
class Entry:
    """One message as it is shown."""

    message: Message
    html: SafeString | None
    images: list[MessageImage]
    citations: list[dict[str, Any]]
    # Set on the message that ends a turn's part of the page: the facts are shown under it.
    turn: Turn | None = None
    calls: list[ToolCall] = field(default_factory=list)
    # What people think of the turn's answer, by whose opinion it is.
    labels: dict[str, AnswerLabel] = field(default_factory=dict)
    may_be_judged: bool = False
    # How many messages the turn's reply answers.
    answers: int = 1

    @property
    def together(self) -> str:
        """With which messages the turn's was answered, as it is said beside it; mostly nothing."""
        return together(self.turn, self.answers) if self.turn is not None else ""

    @property
    def explanation(self) -> Explanation | None:
        """Why the turn went to people, or did not."""
        return explain(self.turn) if self.turn is not None else None


@dataclass(slots=True)
class Transcript:
    """A page of entries, oldest first; `earlier` is the seq to read on from, if there is more above."""

    entries: list[Entry]
    tickets: list[Ticket]
    earlier: int | None
    # Of the whole conversation: tokens read and written, their cost, and turns whose cost is not known.
    spent: dict[str, Any]


def read(conversation: Conversation, *, before: int | None = None) -> Transcript:
    """The last messages of `conversation` (those before the seq `before`) with all that belongs to them."""
    org = conversation.org_id
    newest = Message.objects.for_org(org).filter(conversation=conversation).select_related("person")
    if before is not None:
        newest = newest.filter(seq__lt=before)
    found = list(newest.order_by("-seq", "-part", "-id")[: PAGE + 1])
    # A message and its reply have one seq, and stay together.
    earlier = found[PAGE - 1].seq if len(found) > PAGE else None
    messages = sorted(
        (message for message in found if earlier is None or message.seq >= earlier),
        key=lambda message: (message.seq, message.part, message.id),
    )
    images = images_of(messages)
    turns = {
        turn.pk: turn
        for turn in Turn.objects.for_org(org)
        .filter(pk__in={message.turn_id for message in messages if message.turn_id})
        .select_related("agent_version", "routing_rule", "merged_into")
    }
    calls: dict[uuid.UUID, list[ToolCall]] = defaultdict(list)
    for call in ToolCall.objects.for_org(org).filter(turn__in=turns).order_by("turn_id", "step"):
        calls[call.turn_id].append(call)
    labels: dict[uuid.UUID, dict[str, AnswerLabel]] = defaultdict(dict)
    for label in AnswerLabel.objects.for_org(org).filter(turn__in=turns).select_related("person"):
        labels[label.turn_id][label.by] = label
    answers = Counter(turn.merged_into_id for turn in turns.values())
    last_of_turn = {message.turn_id: message.pk for message in messages if message.turn_id}
    entries = []
    for message in messages:
        ends = message.turn_id is not None and last_of_turn[message.turn_id] == message.pk
        turn = turns.get(message.turn_id) if ends and message.turn_id else None
        entries.append(
            Entry(
                message=message,
                html=render(message.text) if message.author == Message.Author.AGENT else None,
                images=images[message.pk],
                citations=_citations(message),
                turn=turn,
                calls=calls[turn.pk] if turn else [],
                labels=dict(labels[turn.pk]) if turn else {},
                may_be_judged=turn is not None and may_be_judged(turn),
                answers=1 + answers[turn.pk] if turn else 1,
            )
        )
    tickets = Ticket.objects.for_org(org).filter(conversation=conversation).select_related("team").order_by("number")
    return Transcript(entries=entries, tickets=list(tickets), earlier=earlier, spent=_spent(conversation))


def together(turn: Turn, answers: int) -> str:
    """With which messages that of `turn`, whose reply answers so many, was answered; empty where alone."""
    if answers > 1:
        return f"one reply to {answers} messages"
    if turn.merged_into is None:
        return ""
    before = turn.seq - turn.merged_into.seq
    whom = "the message before" if before == 1 else f"the {before} messages before"
    return f"answered together with {whom}" if turn.status == Turn.Status.DONE else f"being answered with {whom}"


def _spent(conversation: Conversation) -> dict[str, Any]:
    found = Turn.objects.for_org(conversation.org_id).filter(conversation=conversation)
    spent = found.aggregate(
        read=Sum("prompt_tokens", default=0),
        written=Sum("completion_tokens", default=0),
        paid=Sum("cost"),
        unpriced=Count("pk", filter=Q(cost=None) & (Q(prompt_tokens__gt=0) | Q(completion_tokens__gt=0))),
    )
    return {**spent, "cost": money(spent["paid"], conversation.org.currency)}


def _citations(message: Message) -> list[dict[str, Any]]:
    return [
        {
            "n": citation.get("n"),
            "quote": citation.get("quote", ""),
            "source": link(str(citation.get("url") or ""), str(citation.get("title") or citation.get("article_id"))),
        }
        for citation in message.citations
        if isinstance(citation, dict)
    ]
