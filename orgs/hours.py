"""When a team is there: its opening hours, in its own time zone, and what visitors are told outside them."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from halo.errors import InvalidRequest

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = "January February March April May June July August September October November December".split()
AHEAD_DAYS = 14
MOST_SPANS = 6
AWAY_TEXT = "Our team is away at the moment and is back {opens}."
AWAY_FOR_LONG = "Our team is away at the moment."
_DAY = 24 * 60
# 9, 9:30, 09.30 and a dash of any kind between the two.
_SPAN = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*[-\N{EN DASH}\N{EM DASH}]\s*(\d{1,2})(?:[:.](\d{2}))?")


class HasHours(Protocol):
    """What has hours: a team, or what is remembered of one."""

    @property
    def time_zone(self) -> str: ...
    @property
    def hours(self) -> dict[str, Any]: ...
    @property
    def away_text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Away:
    """The team is not there; `opens`, in its own time zone, is None where it does not open within two weeks."""

    sentence: str
    opens: dt.datetime | None

    def is_said_in(self, text: str) -> bool:
        """Whether `text` says it already: in the same words, or by naming the time of day, in any language."""
        if _plain(self.sentence) in _plain(text):
            return True
        return self.opens is not None and _names_time(text, self.opens)


def away(team: HasHours, *, now: dt.datetime) -> Away | None:
    """What to tell a visitor at `now`; None while the team is there, or where its hours are not known."""
    if is_open(team, now):
        return None
    opens = next_opening(team, now)
    text = team.away_text.strip() or (AWAY_TEXT if opens else AWAY_FOR_LONG)
    # SECURITY: staff's text is never a template: one word is replaced, and all else stays as it is.
    return Away(text.replace("{opens}", _spoken(opens, team.time_zone, now) if opens else "later"), opens)


def is_open(team: HasHours, now: dt.datetime) -> bool:
    """Whether somebody is there at `now`, an aware time; always where no hours are set, or none that can be read."""
    week = _week(team)
    if week is None:
        return True
    zone, spans = week
    return any(start <= now < end for start, end in _around(zone, spans, now, days=1))


def next_opening(team: HasHours, now: dt.datetime) -> dt.datetime | None:
    """When the team opens next after `now`, in its time zone; None where it does not within two weeks."""
    week = _week(team)
    if week is None:
        return None
    zone, spans = week
    latest = now + dt.timedelta(days=AHEAD_DAYS)
    starts = [start for start, _ in _around(zone, spans, now, days=AHEAD_DAYS) if now < start <= latest]
    return min(starts).astimezone(zone) if starts else None


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; raises InvalidRequest."""
    try:
        return ZoneInfo(name)
    # Names of folders, paths and nonsense fail in ways of their own.
    except (KeyError, ValueError, OSError):
        raise InvalidRequest(f"“{name}” is not a time zone. Write one such as Europe/Berlin.") from None


def check_hours(value: Any) -> dict[str, list[str]]:
    """`value` in one spelling, `{"mon": ["09:00-12:30", ...]}`; raises InvalidRequest. Empty: always there."""
    if not isinstance(value, dict) or not set(value) <= set(DAYS):
        raise InvalidRequest(f"Hours are an object with the days {', '.join(DAYS)}.")
    checked: dict[str, list[str]] = {}
    for day in DAYS:
        if day in value:
            spans = value[day]
            if not isinstance(spans, list) or not all(isinstance(span, str) for span in spans):
                raise InvalidRequest(f"{_name(day)}: a list of spans such as 09:00-17:00.")
            checked[day] = read_day(", ".join(spans), day=day)
    return checked


def read_day(text: str, *, day: str) -> list[str]:
    """The spans of a day as people write them, such as “9-12:30, 13:30-17”; raises InvalidRequest."""
    parts = [part.strip() for part in re.split(r"[,;]", text) if part.strip()]
    if len(parts) > MOST_SPANS:
        raise InvalidRequest(f"{_name(day)}: at most {MOST_SPANS} spans.")
    spans = sorted(_span(part, day) for part in parts)
    for (_, ends), (begins, _) in itertools.pairwise(spans):
        if begins < ends:
            raise InvalidRequest(f"{_name(day)}: spans overlap.")
    return [f"{_clock(begins)}-{_clock(ends if ends <= _DAY else ends - _DAY)}" for begins, ends in spans]


def _span(text: str, day: str) -> tuple[int, int]:
    """Minutes since the day's midnight; the end is past 24 hours where the span goes over midnight."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"{_name(day)}: “{text[:40]}” is not a span such as 09:00-17:00.")
    hour, minute, last_hour, last_minute = (int(part or 0) for part in found.groups())
    begins, ends = hour * 60 + minute, last_hour * 60 + last_minute
    if max(minute, last_minute) > 59 or begins >= _DAY or ends > _DAY:
        raise InvalidRequest(f"{_name(day)}: “{text[:40]}” is not between 00:00 and 24:00.")
    if begins == ends:
        raise InvalidRequest(f"{_name(day)}: “{text[:40]}” ends when it begins. All day is 00:00-24:00.")
    return begins, ends if ends > begins else ends + _DAY


def _week(team: HasHours) -> tuple[ZoneInfo, dict[int, list[tuple[int, int]]]] | None:
    """The team's spans by weekday; None where nothing is set, or where what is stored cannot be read."""
    if not team.hours:
        return None
    try:
        hours = check_hours(team.hours)
        spans = {DAYS.index(day): [_span(text, day) for text in texts] for day, texts in hours.items()}
        return zone_of(team.time_zone), spans
    except InvalidRequest:
        return None


def _around(
    zone: ZoneInfo, spans: dict[int, list[tuple[int, int]]], now: dt.datetime, *, days: int
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """(start, end) in UTC of the spans that begin from yesterday until `days` days from now."""
    today = now.astimezone(zone).date()
    for offset in range(-1, days + 1):
        date = today + dt.timedelta(days=offset)
        for begins, ends in spans.get(date.weekday(), ()):
            # Clocks that are turned back show a time twice: a span begins with the first and ends with the second.
            start, end = _instant(date, begins, zone, fold=0), _instant(date, ends, zone, fold=1)
            if start < end:  # not one that is skipped when clocks are turned forward
                yield start, end


def _instant(date: dt.date, minutes: int, zone: ZoneInfo, *, fold: int) -> dt.datetime:
    days, minutes = divmod(minutes, _DAY)
    time = dt.time(*divmod(minutes, 60), fold=fold)
    return dt.datetime.combine(date + dt.timedelta(days=days), time, tzinfo=zone).astimezone(dt.UTC)


def _spoken(opens: dt.datetime, zone: str, now: dt.datetime) -> str:
    """Such as “on Monday at 09:00 (Europe/Berlin)”: a weekday is right wherever and whenever it is read."""
    day = DAY_NAMES[opens.weekday()]
    if (opens.date() - now.astimezone(opens.tzinfo).date()).days >= 7:
        day = f"{day}, {opens.day} {MONTHS[opens.month - 1]},"
    return f"on {day} at {opens:%H:%M} ({zone.replace('_', ' ')})"


def _names_time(text: str, moment: dt.datetime) -> bool:
    hours = {moment.hour, moment.hour % 12 or 12}
    minute = f"[:.h]{moment.minute:02d}" if moment.minute else r"(?:[:.h]00|\s*(?:[ap]\.?m\b|o.clock\b|uhr\b|h\b))"
    return any(re.search(rf"(?<![\d:.]){hour:02d}{minute}|(?<![\d:.]){hour}{minute}", text, re.I) for hour in hours)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _name(day: str) -> str:
    return DAY_NAMES[DAYS.index(day)]
