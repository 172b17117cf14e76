"""What a visitor reads of their own session, and the little that they send beside messages."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from conversations.api.serializers import CitationSerializer
from conversations.models import Conversation
from conversations.visible import ROLES
from halo.api.fields import StrictString


class HandledBySerializer(serializers.Serializer[Any]):
    """Who answers: the agent, or a teammate with their name."""

    role = serializers.ChoiceField(choices=["agent", "teammate"])
    name = serializers.CharField(allow_blank=True)


class ImageSerializer(serializers.Serializer[Any]):
    """An image that came with a message: its own address, or none where Halo holds its bytes."""

    id = serializers.IntegerField()
    url = serializers.CharField(allow_blank=True)
    media_type = serializers.CharField(allow_blank=True)


class SeenMessageSerializer(serializers.Serializer[Any]):
    """One message as the visitor saw it."""

    id = serializers.UUIDField()
    role = serializers.ChoiceField(choices=list(ROLES.values()))
    name = serializers.CharField(allow_blank=True, help_text="Of a teammate.")
    text = serializers.CharField()
    created_at = serializers.DateTimeField()
    turn_id = serializers.UUIDField(allow_null=True, help_text="Null where a teammate wrote it.")
    state = serializers.ChoiceField(
        choices=["answered", "waiting", "unanswered"], allow_null=True, help_text="Of the visitor's own messages."
    )
    citations = CitationSerializer(many=True)
    actions = serializers.ListField(child=serializers.DictField())
    images = ImageSerializer(many=True)
    rating = serializers.ChoiceField(choices=["up", "down"], allow_null=True, help_text="The visitor's own thumb.")


class SeenMessagesSerializer(serializers.Serializer[Any]):
    """A page of messages, in the order in which they came."""

    session_id = serializers.CharField()
    status = serializers.ChoiceField(choices=Conversation.Status.values)
    handled_by = HandledBySerializer()
    messages = SeenMessageSerializer(many=True)
    more = serializers.BooleanField(help_text="There are more: ask again, after the last of these.")


class HandoverSerializer(serializers.Serializer[Any]):
    """A visitor asks for a person."""

    user_token = StrictString()
