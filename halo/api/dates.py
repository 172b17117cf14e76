"""How moments are read and written in JSON."""

from __future__ import annotations

import datetime as dt


def written(moment: dt.datetime) -> str:
    """ISO 8601 with microseconds and `+00:00`."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def read(text: str) -> dt.datetime | None:
    """The moment in `text`, a date or time in ISO 8601 (UTC where it names no zone); None where it is none."""
    try:
        moment = dt.datetime.fromisoformat(text) if text.isascii() and len(text) <= 40 else None
        if moment is None:
            return None
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    # A zone can lead out of the years that there are.
    except (ValueError, OverflowError):
        return None
