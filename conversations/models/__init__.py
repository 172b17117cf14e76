"""Conversations, turns, messages and what an answer leaves behind."""

from __future__ import annotations

from conversations.models.inbox import CannedReply, Note, Whisper
from conversations.models.numbers import DayArticle, DayConversations, HourNumbers, UnansweredQuestion
from conversations.models.outgoing import OutboxItem, Webhook
from conversations.models.privacy import Erasure
from conversations.models.talk import WORDS, Conversation, Message, MessageImage
from conversations.models.turns import ANSWER_WITHIN, AnswerLabel, ToolCall, Turn, TurnTrace
from conversations.models.views import SavedView
from conversations.models.work import IdempotencyKey, Ticket

__all__ = [
    "ANSWER_WITHIN",
    "WORDS",
    "AnswerLabel",
    "CannedReply",
    "Conversation",
    "DayArticle",
    "DayConversations",
    "Erasure",
    "HourNumbers",
    "IdempotencyKey",
    "Message",
    "MessageImage",
    "Note",
    "OutboxItem",
    "SavedView",
    "Ticket",
    "ToolCall",
    "Turn",
    "TurnTrace",
    "UnansweredQuestion",
    "Webhook",
    "Whisper",
]
