"""The bodies of the endpoints about people and events, field by field, with the limits of the contract."""

from __future__ import annotations

import functools
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from halo.api import strict_json
from halo.api.entries import ContextField, check_entries
from halo.api.fields import StrictArray, StrictBoolean, StrictObject, StrictString, validated
from halo.errors import InvalidRequest
from sessions import traits
from sessions.events import Happening
from sessions.people import Row

ID_LENGTH = 255
MOST_USERS, MOST_EVENTS = 1_000, 100
EVENT_TYPE, PAGE_URL, SELECTOR, METADATA_BYTES = 100, 2_000, 2_000, 10_000
# The sums are checked in bytes, with a sentence of their own.
_ANY = 8 * 1024 * 1024

_USERS = {
    "type": "array",
    "nullable": True,
    "maxItems": MOST_USERS,
    "items": {
        "type": "object",
        "properties": {
            "user_id": {"type": "string", "minLength": 1, "maxLength": ID_LENGTH},
            "traits": {"type": "object", "additionalProperties": {}},
            "context": {"type": "object", "additionalProperties": {}},
        },
        "required": ["user_id"],
    },
}
_EVENTS = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_EVENTS,
    "items": {
        "type": "object",
        "properties": {
            "event_type": {"type": "string", "minLength": 1},
            "element_selector": {"type": "string"},
            "page_url": {"type": "string"},
            "metadata": {"type": "object", "additionalProperties": {}},
        },
        "required": ["event_type"],
    },
}


@extend_schema_field(_USERS)
class UsersField(StrictArray):
    """Users of a batch, left to `read_users`."""


@extend_schema_field(_EVENTS)
class EventsField(StrictArray):
    """What happened, in its order."""

    def to_internal_value(self, data: Any) -> Any:
        values = super().to_internal_value(data)
        if not values:
            raise InvalidRequest("events must hold an event at least", field="events")
        return [_happening(number, value) for number, value in enumerate(values)]


class IdentifyUserSerializer(serializers.Serializer[Any]):
    """Who is there, and what the site knows of them."""

    user_id = StrictString(max_length=ID_LENGTH, identifier=True, blank=False)
    user_token = StrictString()
    session_id = StrictString(max_length=ID_LENGTH, identifier=True)
    traits = StrictObject(max_length=_ANY)
    context = ContextField(max_length=_ANY, removable=True)  # type: ignore[assignment]  # DRF keeps its own `context`


class UpdateUsersSerializer(serializers.Serializer[Any]):
    """One user, or `users`."""

    user_token = StrictString()
    user_id = StrictString(max_length=ID_LENGTH, identifier=True)
    traits = StrictObject(max_length=_ANY)
    context = ContextField(max_length=_ANY, removable=True)  # type: ignore[assignment]  # as above
    users = UsersField(max_items=MOST_USERS)
    update_only = StrictBoolean()


class IdentifyCompanySerializer(serializers.Serializer[Any]):
    """A firm among the customers, what the site knows of it, and one of its people."""

    company_id = StrictString(max_length=ID_LENGTH, identifier=True, blank=False)
    user_id = StrictString(max_length=ID_LENGTH, identifier=True)
    user_token = StrictString()
    traits = StrictObject(max_length=_ANY)
    context = ContextField(max_length=_ANY, removable=True)  # type: ignore[assignment]  # as above


class RecordEventsSerializer(serializers.Serializer[Any]):
    """What a visitor did on the site."""

    events = EventsField(max_items=MOST_EVENTS)
    user_id = StrictString(max_length=ID_LENGTH, identifier=True)
    user_token = StrictString()
    session_id = StrictString(max_length=ID_LENGTH, identifier=True)


class _ProfileSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    external_id = serializers.CharField()
    org_id = serializers.UUIDField()
    name = serializers.CharField(required=False)
    signed_up_at = serializers.DateTimeField(required=False, allow_null=True)
    renewal_date = serializers.DateTimeField(required=False, allow_null=True)
    renewal_status = serializers.CharField(required=False, allow_blank=True)
    contract_term = serializers.CharField(required=False, allow_blank=True)
    payment_terms = serializers.CharField(required=False, allow_blank=True)
    on_contract = serializers.BooleanField(required=False, allow_null=True)
    mrr = serializers.FloatField(required=False, allow_null=True)
    arr = serializers.FloatField(required=False, allow_null=True)
    custom_fields = serializers.DictField()
    context = serializers.DictField()  # type: ignore[assignment]  # as above
    updated_at = serializers.DateTimeField(required=False)


class UserSerializer(_ProfileSerializer):
    """A user: ids and what the request has set; the rest only where the request is verified."""

    email = serializers.CharField(required=False)
    email_verified = serializers.BooleanField(required=False)
    company_id = serializers.UUIDField(required=False, allow_null=True)
    first_seen = serializers.DateTimeField(required=False)
    last_seen = serializers.DateTimeField(required=False)


class CompanySerializer(_ProfileSerializer):
    """A company, in the same way."""

    domain = serializers.CharField(required=False)
    industry = serializers.CharField(required=False)
    plan = serializers.CharField(required=False)
    employee_count = serializers.IntegerField(required=False, allow_null=True)
    created_at = serializers.DateTimeField(required=False)


class BackfillSerializer(serializers.Serializer[Any]):
    """How many users were made, had been there, and were left out."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    skipped = serializers.IntegerField()


def read_user(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of `users/identify`; raises InvalidRequest that names the field to blame."""
    found = validated(IdentifyUserSerializer(), body)
    said = traits.of_user(found.pop("traits"), found.pop("context"))
    if found["user_id"] == "anonymous":
        raise InvalidRequest("user_id must name a user", field="user_id")
    return {**found, "said": said}


def read_users(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of `users/update`; the same."""
    found = validated(UpdateUsersSerializer(), body)
    user_id, users = found.pop("user_id"), found.pop("users")
    one = {"user_id": user_id, "traits": found.pop("traits"), "context": found.pop("context")}
    if bool(user_id) == bool(users):
        raise InvalidRequest("either user_id or users is required", field="users")
    rows = [_row(number, value) for number, value in enumerate(users)] if users else [_row(None, one)]
    return {**found, "rows": rows}


def read_company(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of `companies/identify`; the same."""
    found = validated(IdentifyCompanySerializer(), body)
    said = traits.of_company(found.pop("traits"), found.pop("context"))
    return {**found, "said": said}


def read_events(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of `events`; the same."""
    if "events" not in body:
        raise InvalidRequest("events is required", field="events")
    found = validated(_events(), body)
    happened = found.pop("events")
    return {**found, "happened": happened}


@functools.cache
def _events() -> RecordEventsSerializer:
    """One for all requests, of which there are many: a serializer copies each of its fields."""
    return RecordEventsSerializer()


def _row(number: int | None, value: Any) -> Row:
    where = "" if number is None else f"users[{number}]: "

    def refuse(problem: str) -> InvalidRequest:
        return InvalidRequest(f"{where}{problem}", field="users" if number is not None else "user_id")

    if not isinstance(value, dict):
        raise refuse("must be an object")
    user_id, given, context = value.get("user_id"), value.get("traits"), value.get("context")
    if not isinstance(user_id, str) or not user_id.strip() or len(user_id) > ID_LENGTH or user_id == "anonymous":
        raise refuse(f"user_id must name a user in 1 to {ID_LENGTH} characters")
    if not strict_json.is_storable(user_id):
        raise refuse("user_id contains a character that is not allowed")
    given, context = ({} if item in (None, "") else item for item in (given, context))
    if not isinstance(given, dict) or not isinstance(context, dict):
        raise refuse("traits and context must be objects")
    entries = check_entries(strict_json.storable_tree(context), removable=True, where=f"{where}context")
    return Row(user_id, traits.of_user(strict_json.storable_tree(given), entries, where=where))


def _happening(number: int, value: Any) -> Happening:
    def refuse(problem: str) -> InvalidRequest:
        return InvalidRequest(f"events[{number}]: {problem}", field="events")

    if not isinstance(value, dict):
        raise refuse("must be an object")
    texts = [value.get(name) for name in ("event_type", "element_selector", "page_url")]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise refuse("event_type, element_selector and page_url must be strings")
    kind, selector, url = (strict_json.storable(text or "") for text in texts)
    if not kind.strip():
        raise refuse("event_type is required")
    metadata = value.get("metadata")
    metadata = {} if metadata in (None, "") else metadata
    if not isinstance(metadata, dict):
        raise refuse("metadata must be an object")
    if metadata and traits.size_of(metadata) > METADATA_BYTES:
        raise refuse(f"metadata is longer than {METADATA_BYTES:,} bytes as JSON")
    return Happening(kind[:EVENT_TYPE], selector[:SELECTOR], url[:PAGE_URL], strict_json.storable_tree(metadata))
