"""Traits and context: what is stored, what a request adds, what a token vouches for, and which of them wins."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sessions.models import Company, EndUser

# Claims that are columns of the end user; `company_id` is a link (sessions.visitors), the rest are custom fields.
CLAIM_COLUMNS = {"name": 500, "email": 320}
RELATIONSHIP_COLUMNS = (
    "signed_up_at",
    "renewal_date",
    "renewal_status",
    "contract_term",
    "payment_terms",
    "on_contract",
    "mrr",
    "arr",
)
USER_COLUMNS = ("name", "email", *RELATIONSHIP_COLUMNS)
COMPANY_COLUMNS = ("domain", "industry", "plan", "employee_count", *RELATIONSHIP_COLUMNS)


@dataclass(frozen=True, slots=True)
class Profile:
    """What the model is shown of a visitor: plain data, later layers already merged over earlier ones."""

    traits: dict[str, Any] = field(default_factory=dict)
    company_name: str = ""
    company_traits: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)


def merge(
    *,
    end_user: EndUser | None,
    company: Company | None,
    custom_fields: dict[str, Any],
    claims: dict[str, Any],
    context: dict[str, Any],
) -> Profile:
    """Stored traits, then the request's, then the token's, per key; context entries are replaced whole per key."""
    stored_traits = _columns(end_user, USER_COLUMNS) | end_user.custom_fields if end_user else {}
    company_traits = _columns(company, COMPANY_COLUMNS) | company.custom_fields if company else {}
    stored_context = (company.context if company else {}) | (end_user.context if end_user else {})
    return Profile(
        traits=stored_traits | custom_fields | {key: claims[key] for key in claims if key != "company_id"},
        company_name=(company.name or company.external_id) if company else "",
        company_traits=company_traits,
        context=stored_context | context,
    )


def apply_claims(user: EndUser, claims: dict[str, Any]) -> list[str]:
    """Writes verified claims onto `user` (unsaved) and returns the names of the fields that changed."""
    changed: list[str] = []
    custom = dict(user.custom_fields)
    for key, value in claims.items():
        if key == "company_id":
            continue
        if key in CLAIM_COLUMNS and isinstance(value, str):
            value = value[: CLAIM_COLUMNS[key]]
            if getattr(user, key) != value:
                setattr(user, key, value)
                changed.append(key)
        elif key not in CLAIM_COLUMNS:
            custom[key] = value
    if isinstance(claims.get("email"), str) and not user.email_verified:
        user.email_verified = True
        changed.append("email_verified")
    if custom != user.custom_fields:
        user.custom_fields = custom
        changed.append("custom_fields")
    return changed


def _columns(row: EndUser | Company, names: Iterable[str]) -> dict[str, Any]:
    """The columns that hold something, as JSON values."""
    values = {name: getattr(row, name) for name in names}
    return {name: _plain(value) for name, value in values.items() if value not in (None, "")}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
