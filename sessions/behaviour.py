"""Signs of frustration in what a visitor did, as a few sentences for the model; plain data in, text out.

Everything in an event is the visitor's word: it is cut, quoted, and fenced again where the prompt is put together.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from sessions.events import Happening

LONGEST = 5_000
MOST_OF_A_KIND = 3
# So many clicks on one thing, each so soon after the one before.
CLICKS, CLICK_PAUSE = 3, dt.timedelta(seconds=2)
RETURNS = 2
SHORT = 120
_CLICKS = re.compile(r"(^|[._:-])(rage_?)?click(ed|s)?($|[._:-])", re.IGNORECASE)
_RAGE = re.compile(r"rage", re.IGNORECASE)
_ERRORS = re.compile(r"error|exception", re.IGNORECASE)
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_WORDS = ("message", "error", "reason", "text")
_TIMES = ("timestamp", "time", "at")


def summarise(happened: Sequence[Happening]) -> str:
    """What frustrated the visitor, from events in their order; empty where nothing seems to have."""
    sentences = [*_rage(happened), *_errors(happened), *_back_and_forth(happened)]
    return " ".join(sentences)[:LONGEST]


def _rage(happened: Iterable[Happening]) -> Iterator[str]:
    """Several clicks on one thing within seconds, the worst first."""
    worst: Counter[tuple[str, str]] = Counter()
    clicks = [one for one in happened if _CLICKS.search(one.event_type)]
    for (selector, page), those in itertools.groupby(clicks, key=lambda one: (one.element_selector, _page(one))):
        if not selector:
            continue
        run = 0
        before: dt.datetime | None = None
        for one in those:
            moment = _moment(one)
            soon = before is None or moment is None or abs(moment - before) <= CLICK_PAUSE
            run, before = run + 1 if soon else 1, moment
            if run >= CLICKS or _RAGE.search(one.event_type):
                worst[selector, page] = max(worst[selector, page], run)
    for (selector, page), times in worst.most_common(MOST_OF_A_KIND):
        many = f"{times} times within seconds" if times >= CLICKS else "again and again"
        yield f"The visitor clicked {_quoted(selector)} {many}{_on(page)}."


def _errors(happened: Iterable[Happening]) -> Iterator[str]:
    """What went wrong on the site, the latest last."""
    seen: Counter[tuple[str, str]] = Counter()
    order: dict[tuple[str, str], int] = {}
    for number, one in enumerate(happened):
        if _ERRORS.search(one.event_type):
            key = (_said(one), _page(one))
            seen[key] += 1
            order[key] = number
    for key in sorted(order, key=order.__getitem__)[-MOST_OF_A_KIND:]:
        said, page = key
        what = f": {_quoted(said)}" if said else ""
        times = f" ({seen[key]} times)" if seen[key] > 1 else ""
        yield f"An error occurred{_on(page)}{what}{times}."


def _back_and_forth(happened: Iterable[Happening]) -> Iterator[str]:
    """Two pages between which the visitor went again and again."""
    pages = [page for page, _ in itertools.groupby(filter(None, map(_page, happened)))]
    steps = zip(pages, pages[1:], pages[2:], strict=False)
    returns = Counter(frozenset({back, there}) for back, there, again in steps if back == again)
    for pair, times in returns.most_common(MOST_OF_A_KIND):
        if times >= RETURNS:
            first, second = sorted(pair)
            yield f"The visitor went back and forth between {_quoted(first)} and {_quoted(second)} {times} times."


def _page(one: Happening) -> str:
    """The path alone: queries may hold what is nobody's business."""
    try:
        return urlsplit(one.page_url).path if one.page_url else ""
    except ValueError:
        return ""


def _said(one: Happening) -> str:
    return next((text for key in _WORDS if isinstance(text := one.metadata.get(key), str) and text.strip()), "")


def _moment(one: Happening) -> dt.datetime | None:
    """When it was done, where the site says so; else when it was told, which is the same for a whole batch."""
    given: Any = next((one.metadata[key] for key in _TIMES if key in one.metadata), None)
    try:
        if isinstance(given, str):
            found = dt.datetime.fromisoformat(given)
            return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            # Milliseconds, as browsers count.
            return dt.datetime.fromtimestamp(given / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return one.at


def _on(page: str) -> str:
    return f" on {_quoted(page)}" if page else ""


def _quoted(text: str) -> str:
    line = _BLANK.sub(" ", text).strip()
    return json.dumps(line if len(line) <= SHORT else line[: SHORT - 1] + "…", ensure_ascii=False)
