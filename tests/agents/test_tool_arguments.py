"""What a call may look like: arguments that are JSON, and schemas that hold them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agents.tools import builtin, schemas
from agents.tools.reading import BadCall, read_arguments
from halo.errors import InvalidRequest


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT = {"type": "string"}
ORDER = schema(order_id=TEXT)


@pytest.mark.parametrize(
    "arguments",
    [
        *("{broken", "[]", "5", "null", '{"query": 5}', '{"query": "  "}', "{}", '{"query": "x", "more": 1}'),
        *('{"query": "x", "query": "y"}', '{"query": NaN}', '{"query": ' + "[" * 500 + "]" * 500 + "}"),
        '{"query": "' + "x" * 9000 + '"}',
    ],
)
def test_broken_arguments_are_refused_with_a_sentence(arguments: str) -> None:
    with pytest.raises(BadCall) as refused:
        read_arguments(builtin.SEARCH, arguments)
    assert refused.value.message.startswith("The argument")


def test_good_arguments_are_read_and_made_storable() -> None:
    assert read_arguments(builtin.SEARCH, '{"query": "a\\u0000b"}') == {"query": "a\ufffdb"}


@pytest.mark.parametrize(
    "value",
    [
        *([], {}, {"type": "string"}, {"type": "object", "properties": []}, schema(**{"a-b": TEXT})),
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        {"type": "object", "required": ["a"], "properties": {}},
        schema(a={"$ref": "https://evil.example/schema.json"}),
        {**schema(a=TEXT), "$id": "https://evil.example/"},
        {"type": "object", "patternProperties": {"(a+)+$": TEXT}},
        schema(a={"type": "string", "description": "x" * 9000}),
        *(
            schema(a={"type": "string", "pattern": bad})
            for bad in ("(a+)+$", "^(a|a)*$", "a+", "^a*a*a*$", "^[z-a]$", 5)
        ),
    ],
)
def test_a_schema_that_is_none_or_leads_elsewhere_or_takes_for_ever_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest):
        schemas.check_schema(value)


def test_a_good_schema_is_closed_to_what_it_does_not_name_and_holds_a_call_to_its_pattern() -> None:
    good = schemas.check_schema(schema(pattern={"type": "string", "pattern": r"^[A-Z]{2}-\d{1,6}$"}))

    assert good["additionalProperties"] is False
    assert schemas.problem_with({"pattern": "AB-12"}, good) == ""
    assert schemas.problem_with({"pattern": "AB-"}, good) and schemas.problem_with({"pattern": "A" * 500}, good)
    assert schemas.problem_with({"pattern": "AB-12", "more": 1}, good)


def test_the_worst_pattern_that_is_allowed_costs_no_time() -> None:
    worst = schemas.check_schema(schema(a={"type": "string", "pattern": r"^\d*\d*x$"}))
    began = time.monotonic()
    assert schemas.problem_with({"a": "1" * 128}, worst)
    assert time.monotonic() - began < 1
