"""The body of `POST /tickets/create`, and the ticket as the answer shows it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from rest_framework import serializers

from conversations import requests
from conversations.models import Ticket
from conversations.sent_in import TicketRequest
from halo.api.fields import StrictChoice, StrictObject, StrictString, validated
from halo.errors import InvalidRequest
from sessions.identity import ANONYMOUS
from sessions.traits import size_of

ID_LENGTH, METADATA_BYTES = 255, 50_000


class CreateTicketSerializer(serializers.Serializer[Any]):
    """What somebody asks for, and who it is: `user_id` or `email` is required."""

    user_id = StrictString(max_length=ID_LENGTH, identifier=True)
    user_token = StrictString()
    email = StrictString(max_length=320, identifier=True)
    name = StrictString(max_length=500)
    subject = StrictString(max_length=1_000, blank=False)
    message = StrictString(max_length=50_000)
    # Checked in bytes, below.
    metadata = StrictObject(max_length=METADATA_BYTES)
    source = StrictString(max_length=50, identifier=True)  # type: ignore[assignment]  # DRF keeps its own `source`
    priority = StrictChoice(list(Ticket.Priority.values), default=Ticket.Priority.NORMAL.value)


class CreatedTicketSerializer(serializers.Serializer[Any]):
    """The ticket as the request has set it."""

    id = serializers.UUIDField()
    number = serializers.IntegerField(help_text="What people call it by.")
    status = serializers.ChoiceField(choices=[Ticket.Status.OPEN.value])
    subject = serializers.CharField()
    message = serializers.CharField()
    priority = serializers.ChoiceField(choices=Ticket.Priority.values)
    source = serializers.CharField()  # type: ignore[assignment]  # as above
    metadata = serializers.DictField()
    requester_id = serializers.UUIDField()
    user_id = serializers.CharField(allow_null=True)
    email = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


def read_ticket(body: dict[str, Any]) -> TicketRequest:
    """The typed request in a parsed body; raises InvalidRequest that names the first field to blame."""
    found = validated(CreateTicketSerializer(), body)
    if found["user_id"] in ("", ANONYMOUS) and not found["email"]:
        raise InvalidRequest("email is required where no user_id is given", field="email")
    if found["email"]:
        try:
            validate_email(found["email"])
        except ValidationError:
            raise InvalidRequest("email is not an e-mail address", field="email") from None
    if size_of(found["metadata"]) > METADATA_BYTES:
        raise InvalidRequest(f"metadata is longer than {METADATA_BYTES:,} bytes as JSON", field="metadata")
    message = found["message"] if found["message"].strip() else ""
    return TicketRequest(
        **{**found, "message": message, "source": found["source"] or "api"}, body_hash=requests.hash_of(body)
    )
