"""How our strict fields and the widget key look in the OpenAPI schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer[Any]):
    """The body of every status of 400 and above."""

    error = serializers.CharField(help_text="A sentence.")
    code = serializers.CharField(help_text="A stable word.")
    field = serializers.CharField(required=False, help_text="Only where one field is to blame.")
    request_id = serializers.CharField()


class DoneSerializer(serializers.Serializer[Any]):
    """It was done."""

    success = serializers.BooleanField()


MEANINGS = {
    400: "Shape, type or limit; the JSON is not strict.",
    401: "The widget key is missing, unknown, revoked, or refuses the origin.",
    403: "The user's identity could not be verified; one text for every cause.",
    404: "Unknown, paused, expired, not yours or another organisation's: the same answer.",
    409: "The Idempotency-Key was used with another body, or what is asked for is not to be had as things stand.",
    413: "The body is over 8 MB.",
    415: "Not plain application/json in UTF-8.",
    429: "Too much, too soon; Retry-After in whole seconds.",
    503: "A dependency is away, or the model failed for good; Retry-After in whole seconds.",
    504: "Nothing was answered in time.",
}


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """The error responses of an endpoint."""
    return {status: OpenApiResponse(ErrorSerializer, description=MEANINGS[status]) for status in statuses}


class StrictStringSchema(OpenApiSerializerFieldExtension):
    """Strings with their limits."""

    target_class = "halo.api.fields.StrictString"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        if self.target.max_length is not None:
            schema["maxLength"] = self.target.max_length
        if not self.target.blank:
            schema["minLength"] = 1
            schema["pattern"] = r"\S"
        choices = getattr(self.target, "choices", None)
        if choices:
            # The empty string is another way to leave an optional enum out.
            schema = {"type": "string", "enum": [*choices, "", None] if self.target.blank else list(choices)}
        return schema


class StrictBooleanSchema(OpenApiSerializerFieldExtension):
    """Flags."""

    target_class = "halo.api.fields.StrictBoolean"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "boolean"}


class StrictObjectSchema(OpenApiSerializerFieldExtension):
    """Free objects."""

    target_class = "halo.api.fields.StrictObject"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {}}


class WidgetKeySchema(OpenApiAuthenticationExtension):
    """`Authorization: Bearer ab_live_...`."""

    target_class = "orgs.authentication.WidgetKeyAuthentication"
    name = "widgetKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A publishable widget key (`ab_live_...`)."}


class ApiKeySchema(OpenApiAuthenticationExtension):
    """`Authorization: Bearer halo_read_...`."""

    target_class = "orgs.api_authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key that reads records (`halo_read_...`)."}
