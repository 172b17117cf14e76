"""Conversations, turns, messages and what an answer leaves behind."""

from __future__ import annotations

from conversations.models.inbox import CannedReply, Note, Whisper
from conversations.models.outgoing import OutboxItem, Webhook
from conversations.models.talk import Conversation, Message, MessageImage
from conversations.models.turns import ANSWER_WITHIN, AnswerLabel, ToolCall, Turn, TurnTrace
from conversations.models.work import IdempotencyKey, Ticket

__all__ = [
    "ANSWER_WITHIN",
    "AnswerLabel",
    "CannedReply",
    "Conversation",
    "IdempotencyKey",
    "Message",
    "MessageImage",
    "Note",
    "OutboxItem",
    "Ticket",
    "ToolCall",
    "Turn",
    "TurnTrace",
    "Webhook",
    "Whisper",
]
