"""Records as files: CSV with a row a conversation or a message, and JSON Lines with a line a conversation."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator
from typing import Any

from conversations.models import Message, Ticket
from conversations.records.reading import pages_of_conversations, pages_of_messages
from conversations.records.selection import Selection
from halo.db import release_connection
from orgs.exports import csv_lines, in_pieces
from orgs.models import Organization

FIRST_WORDS = 500
CONVERSATIONS = (
    "conversation_id", "created_at", "last_message_at", "status", "outcome", "answer_type", "lowest_confidence",
    "rating", "has_error", "language", "verified", "has_images", "messages", "agent", "agent_version", "taken_over_by",
    "user_id", "user_name", "user_email", "company_id", "company_name", "tickets", "first_message",
)  # fmt: skip
MESSAGES = (
    "conversation_id", "message_id", "seq", "created_at", "author", "teammate", "text", "images", "unanswered",
    "agent_version", "confidence", "answer_type", "outcome", "escalated", "withheld", "error_code", "model",
    "prompt_tokens", "completion_tokens", "cost", "rating", "sources",
)  # fmt: skip

Told = Callable[[int], None]


class Kind(enum.StrEnum):
    """What a file holds."""

    CONVERSATIONS = "conversations"
    MESSAGES = "messages"
    LINES = "jsonl"

    @property
    def counts_messages(self) -> bool:
        return self is not Kind.CONVERSATIONS

    @property
    def ending(self) -> str:
        return "jsonl" if self is Kind.LINES else "csv"

    @property
    def media_type(self) -> str:
        return "application/jsonl; charset=utf-8" if self is Kind.LINES else "text/csv; charset=utf-8"


def written(kind: Kind, chosen: Selection, *, tell: Told) -> Iterator[str]:
    """The file, piece by piece; `tell` is called with how many conversations or messages have been written."""
    if kind is Kind.LINES:
        return in_pieces(_lines(chosen, tell))
    if kind is Kind.MESSAGES:
        return csv_lines(MESSAGES, _message_rows(chosen, tell))
    return csv_lines(CONVERSATIONS, _conversation_rows(chosen, tell))


def _conversation_rows(chosen: Selection, tell: Told) -> Iterator[list[Any]]:
    done = 0
    for page in pages_of_conversations(chosen):
        words, tickets = _first_words(chosen.org, page), _tickets(chosen.org, page)
        release_connection()
        for row in page:
            agent, user, company = row["agent"], row["user"], row["company"]
            yield [
                row["id"], row["created_at"], row["last_message_at"], row["status"], row["outcome"],
                row["answer_type"], row["lowest_confidence"], row["rating"], row["has_error"], row["language"],
                row["verified"], row["has_images"], row["message_count"], agent["name"], agent["version"],
                row["taken_over_by"], user["user_id"], user["name"], user["email"], company["company_id"],
                company["name"], " ".join(tickets.get(row["id"], ())), words.get(row["id"], ""),
            ]  # fmt: skip
        done += len(page)
        tell(done)


def _message_rows(chosen: Selection, tell: Told) -> Iterator[list[Any]]:
    done = 0
    for page in pages_of_conversations(chosen):
        for _, messages in pages_of_messages(chosen.org, page):
            for row in messages:
                answer = row["answer"] or {}
                yield [
                    row["conversation_id"], row["id"], row["seq"], row["created_at"], row["author"], row["teammate"],
                    row["text"], row["images"], row["unanswered"],
                    *(answer.get(name) for name in MESSAGES[9:21]),
                    " ".join(_address(cited) for cited in answer.get("citations") or ()),
                ]  # fmt: skip
            done += len(messages)
            tell(done)


def _lines(chosen: Selection, tell: Told) -> Iterator[str]:
    done = 0
    for page in pages_of_conversations(chosen):
        tickets = _tickets(chosen.org, page)
        release_connection()
        line, comma = "", ""
        for conversation, messages in pages_of_messages(chosen.org, page):
            # A long conversation comes in parts, and is one line all the same.
            if conversation["id"] != line:
                numbers = [int(number) for number in tickets.get(conversation["id"], ())]
                head = json.dumps({**conversation, "tickets": numbers}, ensure_ascii=False)
                yield ("]}\n" if line else "") + head[:-1] + ', "messages": ['
                line, comma = conversation["id"], ""
            for message in messages:
                yield comma + json.dumps(message, ensure_ascii=False)
                comma = ", "
            done += len(messages)
            tell(done)
        if line:
            yield "]}\n"


def _first_words(org: Organization, page: list[dict[str, Any]]) -> dict[str, str]:
    """What each visitor said first."""
    said = Message.objects.for_org(org).filter(
        conversation__in=[row["id"] for row in page], seq=1, author=Message.Author.VISITOR
    )
    return {str(key): text[:FIRST_WORDS] for key, text in said.values_list("conversation_id", "text")}


def _tickets(org: Organization, page: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rows = Ticket.objects.for_org(org).filter(conversation__in=[row["id"] for row in page]).order_by("number")
    for key, number in rows.values_list("conversation_id", "number"):
        found.setdefault(str(key), []).append(str(number))
    return found


def _address(cited: Any) -> str:
    return str(cited.get("url") or cited.get("title") or "") if isinstance(cited, dict) else ""
