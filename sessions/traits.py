"""Traits as clients send them: columns that are checked, custom fields, and keys that are nobody's to set."""

from __future__ import annotations

import decimal
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from halo.api import dates
from halo.errors import InvalidRequest
from sessions.models import Company, EndUser
from sessions.profile import COMPANY_COLUMNS, USER_COLUMNS

USER_BYTES, COMPANY_BYTES = 20_000, 50_000
# What merging may add up to: keys that are sent once stay, and a profile is shown to a model.
STORED_TIMES = 4
MANAGED = ("id", "external_id", "org_id", "created_at", "updated_at", "last_contacted_at")
USER_MANAGED = frozenset({*MANAGED, "company_id", "first_seen", "last_seen"})
COMPANY_MANAGED = frozenset({*MANAGED, "health_score", "team_size"})
_LARGEST = decimal.Decimal(10) ** 14


@dataclass(frozen=True, slots=True)
class Said:
    """What a request says of a person or company: columns by name (None: nothing any more), custom fields, context.

    A custom field or context entry that is null is taken away.
    """

    columns: dict[str, Any] = field(default_factory=dict)
    custom_fields: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)


NOTHING = Said()


def of_user(traits: Mapping[str, Any], context: dict[str, Any], *, where: str = "") -> Said:
    """What `traits` and `context` say of a user; raises InvalidRequest, whose sentence begins with `where`."""
    return _read(EndUser, USER_COLUMNS, USER_MANAGED, USER_BYTES, traits, context, where)


def of_company(traits: Mapping[str, Any], context: dict[str, Any]) -> Said:
    """The same of a company."""
    return _read(Company, ("name", *COMPANY_COLUMNS), COMPANY_MANAGED, COMPANY_BYTES, traits, context, "")


def apply(row: EndUser | Company, said: Said) -> list[str]:
    """Merges `said` per key into the unsaved, locked `row`; returns the names of the fields that changed.

    Raises InvalidRequest where that would make it larger than anybody needs.
    """
    changed = []
    for name, value in said.columns.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
            changed.append(name)
            if name == "email" and isinstance(row, EndUser) and row.email_verified:
                # SECURITY: only a token vouches for an address.
                row.email_verified = False
                changed.append("email_verified")
    for name, new in (("custom_fields", said.custom_fields), ("context", said.context)):
        stored = getattr(row, name)
        merged = {key: value for key, value in {**stored, **new}.items() if value is not None or key not in new}
        if merged != stored:
            setattr(row, name, merged)
            changed.append(name)
    most = STORED_TIMES * (USER_BYTES if isinstance(row, EndUser) else COMPANY_BYTES)
    if {"custom_fields", "context"} & {*changed} and size_of(row.custom_fields) + size_of(row.context) > most:
        raise InvalidRequest(f"traits and context would add up to more than {most:,} bytes", field="traits")
    return changed


def size_of(value: Any) -> int:
    """Bytes of `value` as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _read(
    model: type[EndUser] | type[Company],
    names: tuple[str, ...],
    managed: frozenset[str],
    most: int,
    traits: Mapping[str, Any],
    context: dict[str, Any],
    where: str,
) -> Said:
    refused = sorted(managed & traits.keys())
    if refused:
        raise InvalidRequest(f"{where}traits: {', '.join(refused)} cannot be set", field="traits")
    if size_of(traits) + size_of(context) > most:
        raise InvalidRequest(f"{where}traits and context are longer than {most:,} bytes together", field="traits")
    columns = {}
    for name in names:
        if name in traits:
            try:
                columns[name] = _column(model, name, traits[name])
            except ValueError as problem:
                raise InvalidRequest(f"{where}traits: {name} {problem}", field="traits") from None
    custom = {key: value for key, value in traits.items() if key not in columns}
    return Said(columns, custom, context)


def _column(model: type[models.Model], name: str, value: Any) -> Any:
    """The column's value for a JSON value; raises ValueError with the rest of a sentence."""
    column = model._meta.get_field(name)
    if value is None or value == "":
        return "" if isinstance(column, models.CharField) else None
    for kind, convert in _CONVERT.items():
        if isinstance(column, kind):
            return convert(column, value)
    raise AssertionError(name)


def _text(column: Any, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if column.choices and value not in (offered := [choice for choice, _ in column.choices]):
        raise ValueError(f"must be one of {', '.join(offered)}")
    if len(value) > column.max_length:
        raise ValueError(f"is longer than {column.max_length:,} characters")
    return value


def _moment(column: Any, value: Any) -> Any:
    moment = dates.read(value) if isinstance(value, str) else None
    if moment is None:
        raise ValueError("must be a date or time in ISO 8601")
    return moment


def _flag(column: Any, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _amount(column: Any, value: Any) -> decimal.Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number")
    amount = decimal.Decimal(str(value))
    if abs(amount) >= _LARGEST:
        raise ValueError("is too large")
    return amount.quantize(decimal.Decimal("0.01"))


def _count(column: Any, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number that is not negative")
    return value


_CONVERT: dict[type[Any], Callable[[Any, Any], Any]] = {
    models.CharField: _text,
    models.DateTimeField: _moment,
    models.BooleanField: _flag,
    models.DecimalField: _amount,
    models.BigIntegerField: _count,
}
