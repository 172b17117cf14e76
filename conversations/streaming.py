"""An answer as it comes to be, as events; from any position, of a turn in flight as of one that ended long ago.

Tape and row are read by the same position, so whatever is lost of the tape the row makes up for: the texts of the
`delta` events since the last `reset` are the stored answer.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from conversations import waiting
from conversations.tape import Entry
from conversations.waiting import Seen
from halo.errors import HaloError
from orgs.models import Organization

# Of text that no stream began: nobody listened, or the answer was none of a model's.
NO_GENERATION = "0.0"
# So often something is sent, so that a client who has gone is noticed.
SIGN_SECONDS = 5.0
_POSITION = re.compile(r"(\d{1,9}\.\d{1,4})-(\d{1,6})-(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a client has come: characters of a reply's text, and the actions and citations behind it."""

    generation: str = NO_GENERATION
    characters: int = 0
    items: int = 0

    def __str__(self) -> str:
        return f"{self.generation}-{self.characters}-{self.items}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """What `str` made; the beginning where it is anything else."""
        found = _POSITION.fullmatch(text.strip())
        return cls(found[1], int(found[2]), int(found[3])) if found else cls()


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: status, delta, action, citation, reset, done or error; waiting where there is nothing to tell.

    `at`: where the client is once it has read this event.
    """

    kind: str
    data: dict[str, Any]
    at: Position


def events(
    turn_id: uuid.UUID,
    *,
    org: Organization,
    fresh: bool,
    session_id: str = "",
    after: Position | None = None,
    live: bool = True,
    along: bool = True,
) -> Iterator[Event]:
    """The events behind `after`, each as soon as it is there; ends with `done` or `error`.

    `session_id` as for `waiting.follow`. With `live` False the text comes in the end only, when nothing can take it
    back any more; with `along` False that of an answer which is first of all another turn's.
    """
    at = after or Position()
    yield Event("status", {"state": "queued" if fresh else "thinking"}, at)
    following = waiting.follow(
        turn_id, org=org, fresh=fresh, session_id=session_id, along=along, sign_seconds=SIGN_SECONDS
    )
    while True:
        try:
            entries = next(following)
        except StopIteration as ended:
            row = ended.value
            break
        except HaloError as error:
            yield Event("error", {"error": error}, at)
            return
        if not entries:
            yield Event("waiting", {}, at)
        for entry in entries:
            for event in _of_entry(entry, at, live=live):
                yield event
                at = event.at
    yield from _of_row(row, at)


def _of_entry(entry: Entry, at: Position, *, live: bool) -> Iterator[Event]:
    if entry.kind == "status" and entry.data["state"] != "queued":
        yield Event("status", entry.data, at)
    if entry.kind != "delta" or not live or _number(entry.generation) < _number(at.generation):
        return
    if entry.generation != at.generation:
        if at.characters:
            yield Event("reset", {}, Position(entry.generation))
        at = Position(entry.generation)
    start, text = entry.data["at"], entry.data["text"]
    # Behind a gap there is nothing to say before the gap is filled, by the row.
    if start <= at.characters < start + len(text):
        more = text[at.characters - start :]
        yield Event("delta", {"text": more}, replace(at, characters=start + len(text)))


def _of_row(row: Seen, at: Position) -> Iterator[Event]:
    try:
        response = waiting.response_of(row)
    except HaloError as error:
        yield Event("error", {"error": error}, at)
        return
    generation = (row.response or {}).get("generation", NO_GENERATION)
    text = response["text"]
    if generation != at.generation:
        if at.characters:
            yield Event("reset", {}, Position(generation))
        at = Position(generation)
    if len(text) > at.characters:
        more = text[at.characters :]
        at = replace(at, characters=len(text))
        yield Event("delta", {"text": more}, at)
    items = [("action", action) for action in response["actions"]]
    items += [("citation", citation) for citation in response["citations"]]
    for number, (kind, item) in enumerate(items, 1):
        if number > at.items:
            at = replace(at, items=number)
            yield Event(kind, item, at)
    yield Event("done", response, at)


def _number(generation: str) -> tuple[int, ...]:
    return tuple(int(part) for part in generation.split("."))
