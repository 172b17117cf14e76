"""Records as the schema describes them; what is sent is made in `shown`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

MOMENT = "ISO 8601, microseconds, `+00:00`."


class PersonSerializer(serializers.Serializer[Any]):
    """A user of the site; all empty where the visitor is anonymous."""

    user_id = serializers.CharField(help_text="The site's own id.")
    name = serializers.CharField()
    email = serializers.CharField()


class RecordedAgentSerializer(serializers.Serializer[Any]):
    """Which agent, and its version of the last answer."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)


class RecordedCompanySerializer(serializers.Serializer[Any]):
    """The visitor's company; empty where there is none."""

    company_id = serializers.CharField()
    name = serializers.CharField()


class ConversationRecordSerializer(serializers.Serializer[Any]):
    """A conversation, without what was said."""

    id = serializers.UUIDField()
    created_at = serializers.CharField(help_text=MOMENT)
    last_message_at = serializers.CharField(help_text=MOMENT)
    updated_at = serializers.CharField(help_text=MOMENT)
    status = serializers.CharField(help_text="`open` or `closed`.")
    outcome = serializers.CharField(help_text="`answered`, `escalated`, `routed`, `human`, `failed` or empty.")
    answer_type = serializers.CharField(help_text="Of the last answer.")
    lowest_confidence = serializers.FloatField(allow_null=True)
    rating = serializers.CharField(help_text="`up`, `down` or empty.")
    has_error = serializers.BooleanField()
    language = serializers.CharField()
    verified = serializers.BooleanField()
    has_images = serializers.BooleanField()
    message_count = serializers.IntegerField()
    agent = RecordedAgentSerializer()
    taken_over_by = serializers.CharField(help_text="The teammate who answers now.")
    user = PersonSerializer()
    company = RecordedCompanySerializer()


class AnswerRecordSerializer(serializers.Serializer[Any]):
    """How an agent's answer came about."""

    agent_version = serializers.IntegerField()
    confidence = serializers.FloatField(allow_null=True)
    answer_type = serializers.CharField()
    outcome = serializers.CharField()
    escalated = serializers.BooleanField()
    withheld = serializers.BooleanField(help_text="The guard kept the model's words from the visitor.")
    error_code = serializers.CharField()
    model = serializers.CharField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cost = serializers.FloatField(allow_null=True, help_text="In the organisation's currency.")
    rating = serializers.CharField(help_text="The visitor's thumb: `up`, `down` or empty.")
    citations = serializers.ListField(child=serializers.DictField())


class MessageRecordSerializer(serializers.Serializer[Any]):
    """One thing that was said."""

    id = serializers.UUIDField()
    conversation_id = serializers.UUIDField()
    seq = serializers.IntegerField(help_text="The order within the conversation; a reply has the number it answers.")
    created_at = serializers.CharField(help_text=MOMENT)
    author = serializers.CharField(help_text="`visitor`, `agent`, `teammate` or `system`.")
    teammate = serializers.CharField()
    text = serializers.CharField(help_text="Markdown where an agent says it.")
    images = serializers.IntegerField(help_text="How many came with it.")
    unanswered = serializers.BooleanField()
    turn_id = serializers.UUIDField(allow_null=True)
    answer = AnswerRecordSerializer(allow_null=True, help_text="Of an agent's messages only.")


class TicketRecordSerializer(serializers.Serializer[Any]):
    """Work that was handed to a team."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    created_at = serializers.CharField(help_text=MOMENT)
    updated_at = serializers.CharField(help_text=MOMENT)
    status = serializers.CharField(help_text="`open`, `in_progress`, `snoozed`, `resolved` or `spam`.")
    priority = serializers.CharField(help_text="`normal` or `priority`.")
    subject = serializers.CharField()
    message = serializers.CharField()
    summary = serializers.CharField()
    source = serializers.CharField()
    metadata = serializers.DictField()
    conversation_id = serializers.UUIDField(allow_null=True)
    team = serializers.CharField()
    assignee = serializers.CharField()
    user = PersonSerializer()


class _PageSerializer(serializers.Serializer[Any]):
    cursor = serializers.CharField(allow_null=True, help_text="Where to read on, now or later; null before any row.")
    more = serializers.BooleanField(help_text="Whether there is a next page already.")


class ConversationPageSerializer(_PageSerializer):
    """A page of conversations."""

    data = ConversationRecordSerializer(many=True)


class MessagePageSerializer(_PageSerializer):
    """A page of messages."""

    data = MessageRecordSerializer(many=True)


class TicketPageSerializer(_PageSerializer):
    """A page of tickets."""

    data = TicketRecordSerializer(many=True)
