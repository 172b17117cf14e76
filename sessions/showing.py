"""End users and companies as an answer shows them."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterable
from typing import Any

from halo.api.dates import written
from sessions.models import Company, EndUser
from sessions.profile import COMPANY_COLUMNS, USER_COLUMNS
from sessions.traits import Said


def user_shown(user: EndUser, said: Said, *, whole: bool) -> dict[str, Any]:
    """Ids, and of the rest what this request has set; with `whole` everything that is known."""
    ids = {"id": str(user.pk), "external_id": user.external_id, "org_id": str(user.org_id)}
    if not whole:
        return ids | _set_now(user, said)
    return {
        **ids,
        "company_id": str(user.company_id) if user.company_id else None,
        **_columns(user, USER_COLUMNS),
        "email_verified": user.email_verified,
        "custom_fields": user.custom_fields,
        "context": user.context,
        "first_seen": written(user.first_seen),
        "last_seen": written(user.last_seen),
        "updated_at": written(user.updated_at),
    }


def company_shown(company: Company, said: Said, *, whole: bool) -> dict[str, Any]:
    """The same of a company."""
    ids = {"id": str(company.pk), "external_id": company.external_id, "org_id": str(company.org_id)}
    if not whole:
        return ids | _set_now(company, said)
    return {
        **ids,
        **_columns(company, ("name", *COMPANY_COLUMNS)),
        "custom_fields": company.custom_fields,
        "context": company.context,
        "created_at": written(company.created_at),
        "updated_at": written(company.updated_at),
    }


def _set_now(row: EndUser | Company, said: Said) -> dict[str, Any]:
    # SECURITY: the key is public and reads nothing, so what somebody else stored is not told to who merely names it.
    return {
        **_columns(row, said.columns),
        "custom_fields": {key: value for key, value in row.custom_fields.items() if key in said.custom_fields},
        "context": {key: value for key, value in row.context.items() if key in said.context},
    }


def _columns(row: EndUser | Company, names: Iterable[str]) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return written(value)
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
