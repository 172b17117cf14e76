"""A conversation as it goes on, for its visitor: what is said, who types, who answers, and that it is over.

The rows tell what is new; the wire only says when to look. Without Redis they are looked at now and then.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError

from conversations import live, seen, visible
from conversations.models import Conversation, Message
from conversations.places import Places
from conversations.seen import Delivery
from conversations.session_access import conversation_of, find_session
from conversations.visible import State
from halo import stopping, wire
from halo.db import release_connection
from halo.hanging_up import never
from halo.ids import parse_uuid
from orgs.models import Organization
from sessions.models import ChatSession

# A client comes again after that, and is looked at anew: its key, its token, its session.
LIFETIME_SECONDS = 300.0
# Whatever the wire says; and while Redis is away, or nothing has been said yet.
LOOK_SECONDS, POLL_SECONDS = 25.0, 3.0
# So often something is sent, so that a reader who has gone is noticed.
SIGN_OF_LIFE_SECONDS = 15.0
PER_SESSION = 6
T = TypeVar("T")

_places = Places(per_reader=PER_SESSION)


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """`kind`: message, typing, takeover or closed; waiting where there is nothing to tell. `id`: of a message."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    id: str = ""


WAITING = LiveEvent("waiting")
# Ends with whether the stream is over.
Events = Generator[LiveEvent, None, bool]


class Told(Protocol):
    """The events of one reader, who holds a place until `close`."""

    def __iter__(self) -> Iterator[LiveEvent]: ...

    def close(self) -> None:
        """Gives the place back, once."""
        ...


class Watch:
    """The events of one reader, who holds a place until `close`."""

    def __init__(self, session: ChatSession, *, after: uuid.UUID | None, is_gone: Callable[[], bool]) -> None:
        self._session = session
        self._place = _places.take(
            most=settings.HALO_WATCHERS, org_id=session.org_id, reader=session.pk, is_gone=is_gone
        )
        self._delivery = Delivery()
        self._events = _events(session, self._delivery, after=after)

    def __iter__(self) -> Iterator[LiveEvent]:
        return self

    def __next__(self) -> LiveEvent:
        # Whoever asks for one more has written the one before.
        _note_seen(self._delivery)
        return next(self._events)

    def close(self) -> None:
        """Gives the place back, once."""
        self._events.close()
        self._place.leave()


def watch(
    *,
    org: Organization,
    key_id: int,
    session_id: str,
    user_token: str,
    after: str,
    now: dt.datetime,
    is_gone: Callable[[], bool] = never,
) -> Watch:
    """What happens in the session from the message `after` on (empty or none of ours: from now on); close it.

    `is_gone`: whether who reads has hung up, so that the place is somebody else's where places are short.
    Checks in the order 403, 404, 429, 503.
    """
    session = find_session(org=org, key_id=key_id, session_id=session_id, user_token=user_token, now=now)
    return Watch(session, after=parse_uuid(after), is_gone=is_gone)


def _note_seen(delivery: Delivery, *, at_once: bool = False) -> None:
    if (settled := delivery.settled(at_once=at_once)) is not None:
        patiently(seen.mark, *settled)


def _events(session: ChatSession, delivery: Delivery, *, after: uuid.UUID | None) -> Events:
    ends_at = time.monotonic() + LIFETIME_SECONDS
    # Headers and a first byte leave at once.
    yield WAITING
    conversation = patiently(conversation_of, session)
    while conversation is None:
        if (yield from _sleep(ends_at)):
            return True
        conversation = patiently(conversation_of, session)
    if after is None:
        after = patiently(visible.newest, conversation)
    known = patiently(visible.ids_before, conversation, after)
    told: State | None = None
    while True:
        # First the wire, then the rows: what happens in between is on the wire.
        offset = _wire(conversation.pk)
        # A message's id is older than the moment at which it can be seen, so it may turn up behind a younger one.
        page = patiently(visible.read, conversation, after=visible.overlapping(after))
        now_is = patiently(conversation_of, session)
        # SECURITY: looked at behind the messages, as the first message of its user makes a session theirs.
        if now_is is None or not _is_still_theirs(now_is.session, session):
            return True
        state = visible.state_of(now_is, now_is.session)
        if told is None or state.handled_by() != told.handled_by():
            yield LiveEvent("takeover", state.handled_by())
        told = state
        news = [message for message in page.messages if message["id"] not in known]
        for message in news:
            if message["role"] == visible.ROLES[Message.Author.TEAMMATE]:
                delivery.told(now_is, uuid.UUID(message["id"]))
            yield LiveEvent("message", message, id=message["id"])
            known.add(message["id"])
            after = max(after, uuid.UUID(message["id"])) if after is not None else uuid.UUID(message["id"])
        if page.more and news:
            continue
        if state.status == Conversation.Status.CLOSED:
            # Nothing is written after this that would tell more; it was there a moment ago.
            _note_seen(delivery, at_once=True)
            yield LiveEvent("closed")
            return True
        if (yield from _wait(conversation.pk, offset, ends_at)):
            return True


def patiently(ask: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """What `ask` finds in the database; holds no connection afterwards."""
    for patience in (True, True, True, False):
        try:
            return ask(*args, **kwargs)
        except (OperationalError, InterfaceError):
            # A database that restarts is no reason to send everybody away at once.
            if not patience:
                raise
            time.sleep(0.5)
        finally:
            release_connection()
    raise AssertionError("the last attempt returns or raises")


def _wire(conversation_id: uuid.UUID) -> str:
    """Where the wire is to be read from; empty while Redis is away."""
    try:
        return live.watch(conversation_id)
    except wire.WireAway:
        return ""


def _is_still_theirs(now_is: ChatSession, was: ChatSession) -> bool:
    # A session that has become a user's is read by that user only, whoever has been reading until then.
    return (now_is.end_user_id, now_is.verified_only) == (was.end_user_id, was.verified_only)


def _wait(conversation_id: uuid.UUID, offset: str, ends_at: float) -> Events:
    """Until the rows are to be looked at; returns True where the stream is to end."""
    look_at, sign_at = time.monotonic() + LOOK_SECONDS, time.monotonic() + SIGN_OF_LIFE_SECONDS
    if not offset:
        return (yield from _sleep(ends_at))
    while True:
        now = time.monotonic()
        if now >= ends_at or stopping.asked.is_set():
            return True
        if now >= look_at:
            return False
        if now >= sign_at:
            yield WAITING
            sign_at = now + SIGN_OF_LIFE_SECONDS
        try:
            nudges = live.read(conversation_id, after=offset, wait_seconds=min(look_at, ends_at) - now)
        except wire.WireAway:
            return (yield from _sleep(ends_at))
        for nudge in nudges:
            offset = nudge.offset
            if nudge.kind == live.TYPING:
                yield LiveEvent("typing", nudge.data)
        if any(nudge.kind == live.CHANGED for nudge in nudges):
            return False


def _sleep(ends_at: float) -> Events:
    """A while without the wire; returns True where the stream is to end."""
    yield WAITING
    stopping.asked.wait(POLL_SECONDS)
    return time.monotonic() >= ends_at or stopping.asked.is_set()
