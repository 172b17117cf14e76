"""When a team is there, across midnights and changes of the clocks, and what is said when it is not."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from halo.errors import InvalidRequest
from orgs.hours import DAYS, away, check_hours, is_open, next_opening, read_day, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = {day: ["09:00-12:30", "13:30-17:00"] for day in DAYS[:5]}


@dataclass
class Hours:
    hours: dict[str, Any] = field(default_factory=dict)
    time_zone: str = "Europe/Berlin"
    away_text: str = ""


def at(text: str, zone: ZoneInfo = BERLIN) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(dt.UTC)


# 27 November 2026 is a Friday.
@pytest.mark.parametrize(
    ("moment", "opened", "following"),
    [
        ("2026-11-27 08:59", False, "2026-11-27 09:00"),
        ("2026-11-27 09:00", True, "2026-11-27 13:30"),
        ("2026-11-27 12:30", False, "2026-11-27 13:30"),
        ("2026-11-27 16:59", True, "2026-11-30 09:00"),
        ("2026-11-27 17:00", False, "2026-11-30 09:00"),
        ("2026-11-29 12:00", False, "2026-11-30 09:00"),
    ],
)
def test_a_team_is_there_in_its_spans_of_its_own_days(moment: str, opened: bool, following: str) -> None:
    team = Hours(WEEK)
    assert is_open(team, at(moment)) is opened
    assert next_opening(team, at(moment)) == at(following)


def test_without_hours_or_with_ones_that_cannot_be_read_a_team_is_always_there() -> None:
    now = at("2026-11-29 03:00")
    for hours, zone in (({}, "UTC"), ({"mon": ["nine to five"]}, "UTC"), ({"someday": []}, "UTC"), (WEEK, "Mars/Base")):
        assert is_open(Hours(hours, zone), now) and away(Hours(hours, zone), now=now) is None


def test_spans_go_over_midnight_and_whole_days_touch() -> None:
    night = Hours({"sun": ["22:00-02:00"]})
    assert is_open(night, at("2026-11-29 23:00")) and is_open(night, at("2026-11-30 01:59"))
    assert not is_open(night, at("2026-11-30 02:00")) and not is_open(night, at("2026-11-29 01:00"))
    always = Hours({day: ["00:00-24:00"] for day in DAYS})
    assert is_open(always, at("2026-11-29 23:59:59")) and is_open(always, at("2026-11-30 00:00"))


def test_clocks_that_change_neither_lose_nor_invent_hours() -> None:
    # Clocks go forward at 02:00 on 29 March 2026, and back at 03:00 on 25 October.
    early = Hours({"sun": ["02:15-02:45", "09:00-10:00"]})
    assert next_opening(early, at("2026-03-29 00:30")) == at("2026-03-29 09:00")
    assert next_opening(Hours({"sun": ["09:00-10:00"]}), at("2026-03-28 12:00")) == dt.datetime(
        2026, 3, 29, 7, tzinfo=dt.UTC
    )
    for fold in (0, 1):
        assert is_open(early, dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold))
    night = Hours({"sat": ["22:00-06:00"]})
    assert is_open(night, dt.datetime(2026, 10, 25, 4, 59, tzinfo=dt.UTC))
    assert not is_open(night, dt.datetime(2026, 10, 25, 5, 0, tzinfo=dt.UTC))


def test_a_team_that_never_opens_has_no_next_opening_and_one_a_week_has() -> None:
    closed = Hours({"mon": []})
    found = away(closed, now=at("2026-11-30 10:00"))
    assert next_opening(closed, at("2026-11-30 10:00")) is None
    assert found is not None and (found.sentence, found.opens) == ("Our team is away at the moment.", None)
    weekly = away(Hours({"mon": ["09:00-10:00"]}), now=at("2026-11-30 10:00"))
    assert weekly is not None and "back on Monday, 7 December, at 09:00" in weekly.sentence


def test_the_sentence_is_the_teams_own_with_nothing_but_one_word_replaced() -> None:
    now = at("2026-11-27 18:00")
    own = "Wir sind {opens} da. {team} {0} {opens.tzinfo} %s {{opens}}"
    assert away(Hours(WEEK), now=at("2026-11-27 10:00")) is None
    assert away(Hours(WEEK), now=now).sentence == (  # type: ignore[union-attr]
        "Our team is away at the moment and is back on Monday at 09:00 (Europe/Berlin)."
    )
    said = away(Hours(WEEK, away_text=own), now=now).sentence  # type: ignore[union-attr]
    on = "on Monday at 09:00 (Europe/Berlin)"
    assert said == f"Wir sind {on} da. {{team}} {{0}} {{opens.tzinfo}} %s {{{on}}}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("OUR TEAM IS AWAY at the moment and is back on\nMonday at 09:00 (Europe/Berlin).", True),
        ("They are back Monday at 9:00.", True),
        ("Somebody writes to you on Monday, 9 am.", True),
        ("Am Montag um 9 Uhr sind wir wieder da.", True),
        ("A person will get back to you.", False),
        ("A person will look at your 9 invoices of 19:00.", False),
        ("It is at 10:09:00.", False),
    ],
)
def test_what_an_answer_says_already_is_not_said_twice(answer: str, said: bool) -> None:
    found = away(Hours(WEEK), now=at("2026-11-27 18:00"))
    assert found is not None and found.is_said_in(answer) is said


def test_hours_are_read_as_people_write_them_and_nonsense_is_refused() -> None:
    assert read_day("13:30 – 17, 9-12.30", day="mon") == ["09:00-12:30", "13:30-17:00"]
    assert read_day(" ", day="mon") == []
    assert read_day("22-2; 0-1", day="sat") == ["00:00-01:00", "22:00-02:00"]
    assert read_day("0:00-24:00", day="mon") == ["00:00-24:00"]
    for wrong in (
        "9",
        "9-9",
        "9-12, 11-13",
        "25-26",
        "9:61-10",
        "9-24:30",
        "24-3",
        "nine-five",
        ", ".join(["1-2"] * 7),
    ):
        with pytest.raises(InvalidRequest, match=r"^Monday: "):
            read_day(wrong, day="mon")
    assert check_hours({"tue": ["9-17"], "sun": []}) == {"tue": ["09:00-17:00"], "sun": []}
    for bad in ([], {"foo": []}, {"mon": "9-17"}, {"mon": [9]}, None):
        with pytest.raises(InvalidRequest):
            check_hours(bad)
    for name in ("Europe", "../etc/passwd", "", "Mars/Base", "/etc/passwd", "Europe/Berlin\0"):
        with pytest.raises(InvalidRequest):
            zone_of(name)
    assert zone_of("Europe/Berlin") == BERLIN
