"""How our strict fields and the widget key look in the OpenAPI schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiResponse

ERROR = {
    "type": "object",
    "properties": {
        "error": {"type": "string", "description": "A sentence."},
        "code": {"type": "string", "description": "A stable word."},
        "field": {"type": "string", "description": "Only where one field is to blame."},
        "request_id": {"type": "string"},
    },
    "required": ["error", "code", "request_id"],
}


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """The error responses of an endpoint."""
    return {status: OpenApiResponse(ERROR) for status in statuses}


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
            schema["enum"] = [*choices, "", None]
        return schema


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
