"""Serializer fields that take JSON as it is: a string is a string, and nothing is converted into one."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers

from halo.api import strict_json
from halo.errors import InvalidRequest


class StrictString(serializers.Field[str, Any, str, Any]):
    """A JSON string of limited length, in code points; in optional fields `null` and `""` mean absent.

    `identifier`: ids, keys and enums, in which what cannot be stored is refused; elsewhere it becomes U+FFFD.
    """

    default_error_messages = {
        "type": "must be a string",
        "long": "is longer than {limit} characters",
        "blank": "must not be blank",
        "character": "contains a character that is not allowed",
    }

    def __init__(
        self, *, max_length: int | None = None, identifier: bool = False, blank: bool = True, **kwargs: Any
    ) -> None:
        self.max_length = max_length
        self.identifier = identifier
        self.blank = blank
        if blank:
            kwargs.setdefault("required", False)
            kwargs.setdefault("default", "")
            kwargs.setdefault("allow_null", True)
        super().__init__(**kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # `null` in an optional string is the same as leaving it out.
        return super().run_validation("" if data is None and self.blank else data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("type")
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("long", limit=f"{self.max_length:,}")
        if not self.blank and not data.strip():
            self.fail("blank")
        if self.identifier:
            if not strict_json.is_storable(data):
                self.fail("character")
            return data
        return strict_json.storable(data)

    def to_representation(self, value: str) -> str:
        return value


class StrictChoice(StrictString):
    """One of a fixed set of strings; absent means `default`."""

    default_error_messages = {"choice": "must be one of {choices}"}

    def __init__(self, choices: list[str], *, default: str, **kwargs: Any) -> None:
        self.choices = choices
        self.fallback = default
        super().__init__(identifier=True, default=default, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data) or self.fallback
        if value not in self.choices:
            self.fail("choice", choices=", ".join(self.choices))
        return value


class StrictOneOf(StrictString):
    """One of a fixed set of strings, required."""

    default_error_messages = {"choice": "must be one of {choices}"}

    def __init__(self, choices: list[str], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(identifier=True, blank=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if value not in self.choices:
            self.fail("choice", choices=", ".join(self.choices))
        return value


class StrictBoolean(serializers.Field[bool, Any, bool, Any]):
    """`true` or `false`; absent, `null` and `""` mean false."""

    default_error_messages = {"type": "must be true or false"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, default=False, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(False if data is None or data == "" else data)

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("type")
        return data

    def to_representation(self, value: bool) -> bool:
        return value


class StrictObject(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """A JSON object of limited length as JSON text; absent, `null` and `""` mean `{}`."""

    default_error_messages = {"type": "must be an object", "long": "is longer than {limit} characters as JSON"}

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        self.max_length = max_length
        super().__init__(required=False, allow_null=True, default=dict, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation({} if data is None or data == "" else data)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("type")
        if len(json.dumps(data, ensure_ascii=False, separators=(",", ":"))) > self.max_length:
            self.fail("long", limit=f"{self.max_length:,}")
        return strict_json.storable_tree(data)

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class StrictArray(serializers.Field[list[Any], Any, list[Any], Any]):
    """A JSON array of limited length, its items left to the serializer; absent, `null` and `""` mean `[]`."""

    default_error_messages = {"type": "must be an array", "long": "has more than {limit} items"}

    def __init__(self, *, max_items: int, **kwargs: Any) -> None:
        self.max_items = max_items
        super().__init__(required=False, allow_null=True, default=list, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation([] if data is None or data == "" else data)

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("type")
        if len(data) > self.max_items:
            self.fail("long", limit=self.max_items)
        return data

    def to_representation(self, value: list[Any]) -> list[Any]:
        return value


def validated(serializer: serializers.Serializer[Any], body: dict[str, Any]) -> dict[str, Any]:
    """The values of a body; raises InvalidRequest that names the first field to blame. Serializers may be shared."""
    try:
        # Unlike `is_valid` it keeps nothing in the serializer.
        found: dict[str, Any] = serializer.run_validation(body)
    except serializers.ValidationError as error:
        field, problems = next(iter(error.detail.items()))  # type: ignore[union-attr]  # of a serializer: by field
        raise InvalidRequest(f"{field} {_sentence(problems)}", field=field) from None
    return found


def _sentence(problems: Any) -> str:
    text = str(problems[0] if isinstance(problems, list) else problems)
    return "is required" if text == "This field is required." else text
