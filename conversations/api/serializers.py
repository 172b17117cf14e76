"""The body of `POST /chat`, field by field, with the limits of the contract."""

from __future__ import annotations

import functools
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations import requests
from conversations.models import Conversation, Turn
from conversations.requests import ChatRequest
from halo.api import strict_json
from halo.api.entries import ContextField
from halo.api.fields import StrictArray, StrictChoice, StrictObject, StrictOneOf, StrictString, validated
from halo.errors import InvalidRequest

ID_LENGTH = 255
HISTORY_ITEMS = 50
HISTORY_TEXT = 20_000
ROLES = dict.fromkeys(("user", "visitor", "customer", "human"), "user") | dict.fromkeys(
    ("assistant", "ai", "agent", "bot"), "assistant"
)

_IMAGES = {"type": "array", "nullable": True, "maxItems": 10, "items": {"type": "string"}}
_HISTORY_LINE = {
    "type": "object",
    "description": "`speaker` or `role`, and `text` or `content`.",
    "properties": {
        "speaker": {"type": "string", "enum": list(ROLES)},
        "role": {"type": "string", "enum": list(ROLES)},
        "text": {"type": "string", "maxLength": HISTORY_TEXT},
        "content": {"type": "string", "maxLength": HISTORY_TEXT},
    },
}
_HISTORY = {"type": "array", "nullable": True, "maxItems": HISTORY_ITEMS, "items": _HISTORY_LINE}


@extend_schema_field(_IMAGES)
class ImagesField(StrictArray):
    """`https:` URLs, or `data:` URLs that hold an image by their bytes."""

    def to_internal_value(self, data: Any) -> Any:
        values = super().to_internal_value(data)
        if not all(isinstance(value, str) and strict_json.is_storable(value) for value in values):
            raise InvalidRequest("images must be strings without control characters", field="images")
        return tuple(requests.read_image(value) for value in values)


@extend_schema_field(_HISTORY)
class HistoryField(StrictArray):
    """Earlier messages as the client tells them; roles in every spelling of the contract."""

    def to_internal_value(self, data: Any) -> Any:
        return tuple(_history_line(line) for line in super().to_internal_value(data))


class ChatSerializer(serializers.Serializer[ChatRequest]):
    """What a visitor says. Unknown fields are ignored; in optional fields `null` and `""` mean absent."""

    message = StrictString(max_length=10_000, blank=False)
    user_id = StrictString(max_length=ID_LENGTH, identifier=True)
    # Its own limit and every other flaw are one and the same 403, so nothing but its type is checked here.
    user_token = StrictString()
    session_id = StrictString(max_length=ID_LENGTH, identifier=True)
    company_id = StrictString(max_length=ID_LENGTH, identifier=True)
    mode = StrictChoice(list(Turn.Mode.values), default=Turn.Mode.CHAT.value)
    agent_id = StrictString(max_length=ID_LENGTH, identifier=True)
    images = ImagesField(max_items=10)
    custom_fields = StrictObject(max_length=10_000)
    context = ContextField(max_length=50_000)  # type: ignore[assignment]  # DRF keeps its own `context`
    conversation_history = HistoryField(max_items=HISTORY_ITEMS)
    behavior_context = StrictString(max_length=5_000)


class CitationSerializer(serializers.Serializer[Any]):
    """A passage that the answer rests on, with words that occur in it."""

    n = serializers.IntegerField()
    article_id = serializers.CharField()
    title = serializers.CharField()
    url = serializers.CharField()
    quote = serializers.CharField()


class RoutingSerializer(serializers.Serializer[Any]):
    """Where the message went instead of to the model."""

    action = serializers.ChoiceField(["route_to_team", "human"])
    ticket_id = serializers.UUIDField(required=False)


class ChatResponseSerializer(serializers.Serializer[Any]):
    """The answer. `confidence` is null where nothing was generated; `routing` is absent where nothing was routed."""

    text = serializers.CharField()
    session_id = serializers.CharField()
    agent_id = serializers.UUIDField()
    actions = serializers.ListField(child=serializers.DictField())
    confidence = serializers.FloatField(allow_null=True, min_value=0, max_value=1)
    citations = CitationSerializer(many=True)
    message_id = serializers.UUIDField()
    turn_id = serializers.UUIDField()
    routing = RoutingSerializer(required=False)


class TurnSerializer(serializers.Serializer[Any]):
    """A turn as it stands; `response` is null unless it is done."""

    status = serializers.ChoiceField(choices=Turn.Status.values)
    response = ChatResponseSerializer(allow_null=True)


class FeedbackSerializer(serializers.Serializer[Any]):
    """A thumb for a message of the agent."""

    session_id = StrictString(max_length=ID_LENGTH, identifier=True, blank=False)
    user_token = StrictString()
    rating = StrictOneOf([value for value in Conversation.Rating.values if value])
    comment = StrictString(max_length=2_000)


def read_chat_request(body: dict[str, Any]) -> ChatRequest:
    """The typed request in a parsed body; raises InvalidRequest that names the first field to blame."""
    return ChatRequest(**validated(_chat(), body), body_hash=requests.hash_of(body))


def read_feedback(body: dict[str, Any]) -> dict[str, str]:
    """The fields of a thumb; raises InvalidRequest that names the first field to blame."""
    return validated(FeedbackSerializer(), body)


@functools.cache
def _chat() -> ChatSerializer:
    """One for all requests: a serializer copies each of its fields, which takes longer than to check them."""
    return ChatSerializer()


def _history_line(line: Any) -> dict[str, str]:
    def refuse(problem: str) -> InvalidRequest:
        return InvalidRequest(f"conversation_history: {problem}", field="conversation_history")

    if not isinstance(line, dict):
        raise refuse("each message must be an object")
    role = line.get("speaker") if line.get("speaker") not in (None, "") else line.get("role")
    text = line.get("text") if line.get("text") is not None else line.get("content")
    if not isinstance(role, str) or role not in ROLES:
        raise refuse(f"speaker or role must be one of {', '.join(ROLES)}")
    if not isinstance(text, str):
        raise refuse("text or content must be a string")
    if len(text) > HISTORY_TEXT:
        raise refuse(f"a message is longer than {HISTORY_TEXT:,} characters")
    return {"role": ROLES[role], "text": strict_json.storable(text)}
