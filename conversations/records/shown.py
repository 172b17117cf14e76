"""Conversations, messages and tickets as data: the same fields in files and in the API, named one by one.

SECURITY: a session's id is its visitor's and opens it; it is in none of these.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet

from conversations.models import AnswerLabel, Conversation, Message, Ticket
from halo.api.dates import written
from orgs.models import Organization

# What is read, and nothing else: turns have columns that are larger than all of this.
_CONVERSATION = (
    "id", "created_at", "last_message_at", "updated_at", "status", "outcome", "answer_type", "lowest_confidence",
    "rating", "has_error", "language", "verified", "has_images", "message_count", "agent_id", "agent__name",
    "agent_version__number", "taken_over_by__name", "taken_over_by__email", "session__end_user__external_id",
    "session__end_user__name", "session__end_user__email", "session__company__external_id", "session__company__name",
)  # fmt: skip
_MESSAGE = (
    "id", "conversation_id", "seq", "part", "author", "text", "citations", "image_count", "unanswered", "created_at",
    "person__name", "person__email", "turn_id",
)  # fmt: skip
# Of the turn, beside what its agent said.
_ANSWER = (
    "turn__confidence", "turn__answer_type", "turn__outcome", "turn__escalated", "turn__withheld", "turn__error_code",
    "turn__model_name", "turn__prompt_tokens", "turn__completion_tokens", "turn__cost", "turn__agent_version__number",
)  # fmt: skip
_TICKET = (
    "id", "number", "created_at", "updated_at", "status", "priority", "subject", "message", "summary", "source",
    "metadata", "conversation_id", "team__name", "assignee__name", "assignee__email", "requester__external_id",
    "requester__name", "requester__email", "session__end_user__external_id", "session__end_user__name",
    "session__end_user__email",
)  # fmt: skip


def conversations_shown(rows: QuerySet[Conversation]) -> list[dict[str, Any]]:
    """The rows as data, in their order."""
    return [_conversation(row) for row in rows.values(*_CONVERSATION)]


def messages_shown(org: Organization, rows: QuerySet[Message]) -> list[dict[str, Any]]:
    """The rows as data, in their order, with the visitor's thumb for each answer."""
    found = list(rows.values(*_MESSAGE, *_ANSWER))
    turns = [row["turn_id"] for row in found if row["author"] == Message.Author.AGENT and row["turn_id"]]
    thumbs = _thumbs(org, turns)
    return [_message(row, thumbs) for row in found]


def tickets_shown(rows: QuerySet[Ticket]) -> list[dict[str, Any]]:
    """The rows as data, in their order."""
    return [_ticket(row) for row in rows.values(*_TICKET)]


def _conversation(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "created_at": written(row["created_at"]),
        "last_message_at": written(row["last_message_at"]),
        "updated_at": written(row["updated_at"]),
        "status": row["status"],
        "outcome": row["outcome"],
        "answer_type": row["answer_type"],
        "lowest_confidence": row["lowest_confidence"],
        "rating": row["rating"],
        "has_error": row["has_error"],
        "language": row["language"],
        "verified": row["verified"],
        "has_images": row["has_images"],
        "message_count": row["message_count"],
        "agent": {"id": str(row["agent_id"]), "name": row["agent__name"], "version": row["agent_version__number"]},
        "taken_over_by": row["taken_over_by__name"] or row["taken_over_by__email"] or "",
        "user": _person(row, "session__end_user"),
        "company": {
            "company_id": row["session__company__external_id"] or "",
            "name": row["session__company__name"] or "",
        },
    }


def _message(row: Mapping[str, Any], thumbs: Mapping[uuid.UUID, str]) -> dict[str, Any]:
    shown = {
        "id": str(row["id"]),
        "conversation_id": str(row["conversation_id"]),
        "seq": row["seq"],
        "created_at": written(row["created_at"]),
        "author": row["author"],
        "teammate": row["person__name"] or row["person__email"] or "",
        "text": row["text"],
        "images": row["image_count"],
        "unanswered": row["unanswered"],
        "turn_id": str(row["turn_id"]) if row["turn_id"] else None,
        "answer": None,
    }
    if row["author"] == Message.Author.AGENT and row["turn_id"]:
        shown["answer"] = {
            "agent_version": row["turn__agent_version__number"],
            "confidence": row["turn__confidence"],
            "answer_type": row["turn__answer_type"],
            "outcome": row["turn__outcome"],
            "escalated": row["turn__escalated"],
            "withheld": row["turn__withheld"],
            "error_code": row["turn__error_code"],
            "model": row["turn__model_name"],
            "prompt_tokens": row["turn__prompt_tokens"],
            "completion_tokens": row["turn__completion_tokens"],
            "cost": float(row["turn__cost"]) if row["turn__cost"] is not None else None,
            "rating": thumbs.get(row["turn_id"], ""),
            "citations": row["citations"],
        }
    return shown


def _ticket(row: Mapping[str, Any]) -> dict[str, Any]:
    asked = "requester" if row["requester__email"] or row["requester__external_id"] else "session__end_user"
    return {
        "id": str(row["id"]),
        "number": row["number"],
        "created_at": written(row["created_at"]),
        "updated_at": written(row["updated_at"]),
        "status": row["status"],
        "priority": row["priority"],
        "subject": row["subject"],
        "message": row["message"],
        "summary": row["summary"],
        "source": row["source"],
        "metadata": row["metadata"],
        "conversation_id": str(row["conversation_id"]) if row["conversation_id"] else None,
        "team": row["team__name"] or "",
        "assignee": row["assignee__name"] or row["assignee__email"] or "",
        "user": _person(row, asked),
    }


def _person(row: Mapping[str, Any], at: str) -> dict[str, str]:
    return {
        "user_id": row[f"{at}__external_id"] or "",
        "name": row[f"{at}__name"] or "",
        "email": row[f"{at}__email"] or "",
    }


def _thumbs(org: Organization, turns: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    said = AnswerLabel.objects.for_org(org).filter(turn__in=list(turns), by=AnswerLabel.By.VISITOR)
    words = {AnswerLabel.Verdict.RIGHT: "up", AnswerLabel.Verdict.WRONG: "down"}
    return {turn: words[verdict] for turn, verdict in said.values_list("turn_id", "verdict")}
