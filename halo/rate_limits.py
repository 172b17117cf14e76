"""How the setting of the rate limits is written; read when the settings load, so that a slip refuses to start."""

from __future__ import annotations

from functools import cache

from django.core.exceptions import ImproperlyConfigured

NAMES = ("session", "visitor", "new", "key")


@cache
def parse(text: str) -> dict[str, int]:
    """`off` or `session=20,visitor=30,...` as numbers a minute; a limit that is not named is off."""
    if text.strip().lower() == "off":
        return {}
    limits: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        if name not in NAMES or not number.isdecimal() or int(number) < 1:
            raise ImproperlyConfigured(f"HALO_RATE_LIMITS: {part!r} is not one of {', '.join(NAMES)} with a number")
        limits[name] = int(number)
    return limits
