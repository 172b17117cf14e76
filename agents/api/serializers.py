"""What `GET /config` answers, for the schema."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.appearance import Appearance
from agents.models import Agent


class AvatarSerializer(serializers.Serializer[Any]):
    """What stands in the circle beside the agent's name."""

    text = serializers.CharField()


class VoiceSerializer(serializers.Serializer[Any]):
    """For clients that speak answers aloud; empty: the client chooses."""

    voice = serializers.CharField()
    language = serializers.CharField()


class StyleSerializer(serializers.Serializer[Any]):
    """Colours as `#rrggbb`; what is written on a colour has a contrast of 4.5:1 at least."""

    theme = serializers.ChoiceField(choices=Appearance.Theme.values)
    position = serializers.ChoiceField(choices=Appearance.Position.values)
    primary_color = serializers.CharField()
    on_primary_color = serializers.CharField()
    dark_primary_color = serializers.CharField()
    dark_on_primary_color = serializers.CharField()


class AgentIntroductionSerializer(serializers.Serializer[Any]):
    """The agent that answers when a request names none."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=[Agent.Status.ACTIVE.value])
    name = serializers.CharField()
    skills = serializers.ListField(child=serializers.CharField(), help_text="Types of actions that answers may bring.")
    avatar_config = AvatarSerializer()
    voice_config = VoiceSerializer()
    style = StyleSerializer()  # type: ignore[assignment]  # DRF keeps its own `style`
    greeting = serializers.CharField()
    suggested_messages = serializers.ListField(child=serializers.CharField())
    live_help_label = serializers.CharField(help_text="Of the button that asks for a person; empty: no button.")


class PublicSettingsSerializer(serializers.Serializer[Any]):
    """What a client must know of the organisation's settings."""

    verify_identity = serializers.BooleanField(help_text="Whoever names a user must prove it with a token.")


class OrganizationIntroductionSerializer(serializers.Serializer[Any]):
    """Whose website it is."""

    name = serializers.CharField()
    settings = PublicSettingsSerializer()


class IntroductionSerializer(serializers.Serializer[Any]):
    """Everything that a widget needs before anybody speaks."""

    agent = AgentIntroductionSerializer()
    organization = OrganizationIntroductionSerializer()
