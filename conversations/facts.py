"""What rules and conditions are held against, put together in one place for accepting and for answering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from agents.conditions import Facts
from sessions.profile import Profile

# Context entries that say where the visitor is.
_PAGE_KEYS = ("page", "current_page")
MAX_URL = 2000


def facts_of(
    known: Profile,
    *,
    message: str,
    messages: Sequence[str] = (),
    has_company: bool,
    page: str,
    mode: str,
    verified: bool,
    user_id: str,
    company_id: str,
) -> Facts:
    """`page` is the address that the browser named; a context entry `page` says it better.

    `messages`: each of several that are answered together, where `message` is all of them in one.
    """
    return Facts(
        message=message,
        messages=tuple(messages) if len(messages) > 1 else (),
        user=known.traits,
        company={"name": known.company_name, **known.company_traits} if has_company else {},
        context=known.context,
        page=page_facts(known.context, page),
        request={"mode": mode, "verified": verified, "user_id": user_id, "company_id": company_id},
    )


def page_facts(context: dict[str, Any], fallback: str) -> dict[str, Any]:
    """`url`, `host`, `path` and, where the site says it, `title` of the page that the visitor is on."""
    entry: dict[str, Any] = next((context[key] for key in _PAGE_KEYS if isinstance(context.get(key), dict)), {})
    value = entry.get("value")
    url = value.get("url") if isinstance(value, dict) else value
    title = value.get("title") if isinstance(value, dict) else None
    url = url if isinstance(url, str) and url else fallback
    try:
        parts = urlsplit(url[:MAX_URL])
        found = {"url": url[:MAX_URL], "host": parts.hostname or "", "path": parts.path or "/"} if url else {}
    except ValueError:
        found = {}
    return {**found, "title": title} if isinstance(title, str) and title else found
