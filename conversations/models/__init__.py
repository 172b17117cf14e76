"""Conversations, turns, messages and what an answer leaves behind."""

from __future__ import annotations

from conversations.models.numbers import DayArticle, DayConversations, HourNumbers, UnansweredQuestion
from conversations.models.privacy import Erasure
from conversations.models.talk import Conversation, Message, MessageImage
from conversations.models.turns import ANSWER_WITHIN, AnswerLabel, ToolCall, Turn, TurnTrace
from conversations.models.work import IdempotencyKey, OutboxItem, Ticket

__all__ = [
    "ANSWER_WITHIN",
    "AnswerLabel",
    "Conversation",
    "DayArticle",
    "DayConversations",
    "Erasure",
    "HourNumbers",
    "IdempotencyKey",
    "Message",
    "MessageImage",
    "OutboxItem",
    "Ticket",
    "ToolCall",
    "Turn",
    "TurnTrace",
    "UnansweredQuestion",
]
