"""What agents are always shown: the organisation's own guidance, and below it what staff have added."""

from __future__ import annotations

from agents.knowledge.models import Guidance
from orgs.caching import per_version
from orgs.models import Organization

# Of all that is in use together: it is in every prompt.
MAX_TOGETHER = 20_000


def text_of(org: Organization) -> str:
    """The second layer of every prompt of `org`, the same bytes until somebody changes it."""
    added = per_version(org.pk, org.config_version, "guidance", lambda: _added(org))
    return "\n\n".join(part for part in (org.guidance.strip(), added) if part)


def room_for(org: Organization, *, besides: int | None = None) -> int:
    """How many characters may still be put to use, not counting the row `besides`."""
    rows = Guidance.objects.for_org(org).filter(is_active=True)
    if besides is not None:
        rows = rows.exclude(pk=besides)
    return MAX_TOGETHER - sum(len(text) for text in rows.values_list("text", flat=True))


def _added(org: Organization) -> str:
    rows = Guidance.objects.for_org(org).filter(is_active=True).order_by("position", "pk")
    return "\n\n".join(f"## {' '.join(row.title.split())}\n{row.text.strip()}" for row in rows)
