"""Numbers as people read them."""

from __future__ import annotations

import datetime as dt

from django import template

register = template.Library()


@register.filter
def percent(share: float | str | None) -> str:
    """0.053 as `5.3 %`, 0.42 as `42 %`: a decimal where it tells something."""
    # A template's look-up in what is not there is an empty string.
    if share is None or isinstance(share, str):
        return "—"
    value = share * 100
    rounded = round(value, 1) if value < 10 else round(value)
    return f"{rounded:g} %"


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"


@register.filter
def took(time: dt.timedelta | None) -> str:
    """A time that people needed, as they would say it: `40 min`, `5.5 h`, `3 days`."""
    if time is None:
        return "—"
    hours = time.total_seconds() / 3600
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h".replace(".0 h", " h") if hours < 48 else f"{hours / 24:.0f} days"
