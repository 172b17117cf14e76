"""The inbox as it changes, for one teammate's page: which of its parts are to be read again, and who else is there.

The rows tell what is new; the wire of the organisation's staff only says when to look.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from conversations import live
from conversations.inbox import listing, presence, thread
from conversations.inbox.listing import View
from conversations.live import Nudge
from conversations.models import Conversation, Ticket
from conversations.places import Places
from conversations.watching import (
    LIFETIME_SECONDS,
    POLL_SECONDS,
    SIGN_OF_LIFE_SECONDS,
    WAITING,
    LiveEvent,
    patiently,
)
from halo import stopping, wire
from halo.hanging_up import never
from orgs.models import Organization, User

# Whatever the wire says, as a visitor's new words are in the rows before anybody is nudged.
LOOK_SECONDS = 3.0
# Where a great deal happens, the list is looked at no more often than that.
LIST_SECONDS, THREAD_SECONDS = 2.0, 0.2
MOST, PER_PERSON = 64, 6

_places = Places(per_reader=PER_PERSON)


@dataclass(frozen=True, slots=True)
class Page:
    """What somebody has open: a view of the list, and one conversation or ticket or none."""

    org: Organization
    person: User
    view: View
    most: int
    about: Conversation | Ticket | None


class InboxWatch:
    """The events of one page, which holds a place until `close`.

    `list` and `thread`: that part is to be read again; `here`: who else is at what is open.
    """

    def __init__(self, page: Page, *, is_gone: Callable[[], bool] = never) -> None:
        self._place = _places.take(most=MOST, org_id=page.org.pk, reader=page.person.pk, is_gone=is_gone)
        self._events = _events(page)

    def __iter__(self) -> Iterator[LiveEvent]:
        return self

    def __next__(self) -> LiveEvent:
        return next(self._events)

    def close(self) -> None:
        """Gives the place back, once."""
        self._events.close()
        self._place.leave()


def _events(page: Page) -> Generator[LiveEvent, None, None]:
    ends_at = time.monotonic() + LIFETIME_SECONDS
    yield WAITING
    told: dict[str, Any] = {}
    list_at = sign_at = 0.0
    offset = ""
    nudged = True
    while time.monotonic() < ends_at and not stopping.asked.is_set():
        now = time.monotonic()
        # Asked each time, as the wire is kept for a minute behind whoever asks.
        newest = _wire(page.org.pk)
        offset = offset if offset and newest else newest
        found: dict[str, Any] = {}
        if now >= list_at:
            list_at = now + LIST_SECONDS
            found["list"] = patiently(_print_of_list, page)
        if page.about is not None:
            found["thread"] = patiently(_print_of_thread, page.about)
            if nudged or now >= sign_at:
                found["here"] = _others(page)
        for kind, value in found.items():
            # The page was made a moment ago: what it shows is not told again, but who is there is.
            if (kind in told or kind == "here") and told.get(kind, []) != value:
                yield LiveEvent(kind, {"people": value} if kind == "here" else {})
                sign_at = time.monotonic() + SIGN_OF_LIFE_SECONDS
            told[kind] = value
        if time.monotonic() >= sign_at:
            yield WAITING
            sign_at = time.monotonic() + SIGN_OF_LIFE_SECONDS
        offset, nudged = _wait(page, offset)


def _wait(page: Page, offset: str) -> tuple[str, bool]:
    """Until there is something to look at: the new offset, and whether it was about what is open."""
    if not offset:
        stopping.asked.wait(POLL_SECONDS)
        return "", True
    ends_at = time.monotonic() + LOOK_SECONDS
    while (left := ends_at - time.monotonic()) > 0 and not stopping.asked.is_set():
        try:
            nudges = live.read_staff(page.org.pk, after=offset, wait_seconds=left)
        except wire.WireAway:
            return "", True
        if not nudges:
            break
        offset = nudges[-1].offset
        if _concerns(page, nudges):
            # What was written together is looked at together.
            stopping.asked.wait(THREAD_SECONDS)
            return offset, True
        # About something else: the list is looked at in its own time.
        ends_at = min(ends_at, time.monotonic() + LIST_SECONDS)
    return offset, False


def _concerns(page: Page, nudges: list[Nudge]) -> bool:
    about = str(page.about.pk) if page.about is not None else ""
    return any(nudge.about == about for nudge in nudges)


def _print_of_list(page: Page) -> str:
    found = listing.listing(page.org, page.person, page.view, now=timezone.now(), most=page.most)
    return found.print


def _print_of_thread(about: Conversation | Ticket) -> str:
    if isinstance(about, Ticket):
        ticket = Ticket.objects.for_org(about.org_id).filter(pk=about.pk).first()
        return thread.print_of_ticket(ticket) if ticket is not None else ""
    conversation = Conversation.objects.for_org(about.org_id).filter(pk=about.pk).first()
    return thread.print_of(conversation) if conversation is not None else ""


def _others(page: Page) -> list[dict[str, Any]]:
    assert page.about is not None
    found = presence.who_is_at(page.org.pk, [page.about.pk]).get(page.about.pk, [])
    return [{"name": one.name, "writes": one.writes} for one in found if one.id != str(page.person.pk)]


def _wire(org_id: uuid.UUID) -> str:
    """Where the wire is to be read from; empty while Redis is away."""
    try:
        return live.watch_staff(org_id)
    except wire.WireAway:
        return ""
