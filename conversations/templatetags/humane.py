"""Numbers as people read them."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def percent(share: float | None) -> str:
    """0.053 as `5.3 %`, 0.42 as `42 %`: a decimal where it tells something."""
    if share is None:
        return "—"
    value = share * 100
    rounded = round(value, 1) if value < 10 else round(value)
    return f"{rounded:g} %"


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"
