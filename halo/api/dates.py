"""How moments are written in JSON."""

from __future__ import annotations

import datetime as dt


def written(moment: dt.datetime) -> str:
    """ISO 8601 with microseconds and `+00:00`."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
