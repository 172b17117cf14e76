"""JSON schemas of tools' arguments: which ones staff may write, and what in a value does not fit one."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend

from halo.api.strict_json import check_depth
from halo.errors import HaloError, InvalidRequest

MAX_SCHEMA = 8_000  # characters as JSON
MAX_PROPERTIES = 30
MATCHED_LENGTH = 128
MAX_WAYS = 20_000

# SECURITY: a schema never leads elsewhere, so nothing is fetched and none can turn in circles.
_LEADING = {"$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor", "patternProperties"}
_LITERAL = {"enum", "const", "default", "examples"}  # whose values are no schemas
_NAMES = {"properties", "$defs", "definitions", "dependentSchemas"}  # whose keys are no keywords
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}\Z")
# SECURITY: Python's expressions can take for ever. Those below cannot: no groups, no alternatives, no look-arounds;
# anchored at both ends; and the ways in which their quantifiers can share a short text are counted.
_ATOM = r"(?:\[\^?(?:\\[^\n]|[^\]\\\[\n])+\]|\\[dws.+*?()\[\]{}|^$/\\-]|[^\\\[\](){}*+?|^$\n])"
_PATTERN = re.compile(rf"\^(?:{_ATOM}(?:\{{\d{{1,3}}(?:,\d{{1,3}})?\}}|[*+?])?)*\$\Z")
QUANTIFIED = re.compile(rf"{_ATOM}(\{{\d{{1,3}}(?:,\d{{1,3}})?\}}|[*+?])?")


def check_schema(value: Any) -> dict[str, Any]:
    """`value` as a tool's schema, closed to arguments that it does not name; InvalidRequest says what is wrong."""
    if not isinstance(value, dict) or value.get("type") != "object":
        raise _refusal("The arguments are a JSON schema with “type”: “object”.")
    if len(json.dumps(value, ensure_ascii=False)) > MAX_SCHEMA:
        raise _refusal(f"The schema is longer than {MAX_SCHEMA:,} characters.")
    check_depth(value)
    properties = value.get("properties", {})
    if not isinstance(properties, dict) or len(properties) > MAX_PROPERTIES:
        raise _refusal(f"“properties” is an object of at most {MAX_PROPERTIES} arguments.")
    for name in properties:
        if not _NAME.match(name):
            raise _refusal(f"An argument is named with letters, digits and underscores, not {name[:50]!r}.")
    _check_keywords(value)
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        raise _refusal(f"This is not a JSON schema: {error.message[:200]}") from None
    except Exception:  # what a check of a schema by its own schema may trip over is not ours to list
        raise _refusal("This is not a JSON schema.") from None
    missing = sorted(set(value.get("required", [])) - set(properties))
    if missing:
        raise _refusal(f"“required” names {missing[0][:50]!r}, which is not among the properties.")
    return {**value, "properties": properties, "additionalProperties": False}


def problem_with(arguments: dict[str, Any], schema: dict[str, Any]) -> str:
    """What is wrong with `arguments` by a schema that passed `check_schema`, in a sentence; empty: nothing."""
    try:
        error = next(iter(_Validator(schema).iter_errors(arguments)), None)
    except (ArithmeticError, ValueError, TypeError, RecursionError):
        return "The arguments cannot be checked."
    if error is None:
        return ""
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {error.message[:300]}" if where else error.message[:300]


def _check_keywords(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _check_keywords(item)
    elif isinstance(node, dict):
        for key, item in node.items():
            if key in _LEADING:
                raise _refusal(f"“{key}” is not supported: write the schema out.")
            if key == "pattern":
                _check_pattern(item)
            elif key in _NAMES and isinstance(item, dict):
                for inner in item.values():
                    _check_keywords(inner)
            elif key not in _LITERAL:
                _check_keywords(item)


def _check_pattern(pattern: Any) -> None:
    if not isinstance(pattern, str) or len(pattern) > 200 or not _PATTERN.match(pattern):
        raise _refusal(
            "A pattern is of the form ^[A-Z]{2}-\\d{1,6}$: anchored, of characters and classes with quantifiers, "
            "without groups."
        )
    if math.prod(_ways(found.group(1)) for found in QUANTIFIED.finditer(pattern[1:-1])) > MAX_WAYS:
        raise _refusal("The pattern has too many open quantifiers: say how often, such as {1,6}.")
    try:
        re.compile(pattern)
    except (re.error, OverflowError):
        raise _refusal(f"The pattern {pattern[:50]!r} is not a regular expression.") from None


def _ways(quantifier: str | None) -> int:
    if not quantifier:
        return 1
    if quantifier == "?":
        return 2
    if quantifier in "*+":
        return MATCHED_LENGTH
    least, comma, most = quantifier.strip("{}").partition(",")
    return max(int(most) - int(least) + 1, 1) if comma else 1


def _matches(validator: Any, pattern: str, value: Any, schema: Any) -> Any:
    if isinstance(value, str):
        if len(value) > MATCHED_LENGTH:
            yield ValidationError(f"This is longer than {MATCHED_LENGTH} characters.")
        elif not re.search(pattern, value):
            yield ValidationError(f"This does not match {pattern}")


_Validator = extend(Draft202012Validator, {"pattern": _matches})


def _refusal(message: str) -> HaloError:
    return InvalidRequest(message, field="parameters")
