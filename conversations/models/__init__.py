"""Conversations, turns, messages and what an answer leaves behind."""

from __future__ import annotations

from conversations.models.talk import WORDS, Conversation, Message, MessageImage
from conversations.models.turns import ANSWER_WITHIN, AnswerLabel, ToolCall, Turn, TurnTrace
from conversations.models.views import SavedView
from conversations.models.work import IdempotencyKey, OutboxItem, Ticket

__all__ = [
    "ANSWER_WITHIN",
    "WORDS",
    "AnswerLabel",
    "Conversation",
    "IdempotencyKey",
    "Message",
    "MessageImage",
    "OutboxItem",
    "SavedView",
    "Ticket",
    "ToolCall",
    "Turn",
    "TurnTrace",
]
