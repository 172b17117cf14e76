"""Finds conversations by words and filters, newest first, a page at a time and without counting them all."""

from __future__ import annotations

import datetime as dt
import functools
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db.models import BooleanField, Func, OuterRef, Q, Subquery, Value
from django.db.models.functions import Left

from conversations.models import WORDS, Conversation, Message, Turn
from conversations.transcripts.filters import Filters, key_in
from conversations.transcripts.words import Wanted, parse
from halo.ids import parse_uuid

PAGE = 40
# Words that many messages have are met soon on the way back in time: a page looks through conversations, a few at first
# and then as many as the words' share of those makes likely. Where that is more than is worth it, and up to so many
# messages have the words, the index names them all, and their conversations are put in order; otherwise a page looks on
# until it has looked through so many, and then whoever searches is asked whether to go on.
FEW, WORTH_LOOKING = 20_000, 1500
EPOCH, MICROSECOND = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.timedelta(microseconds=1)
_MARKS = re.compile(r"\*\*|`")
FIRST_STEP, LONGEST_STEP, LOOKED_THROUGH = 150, 1000, 3000
# Conversations by their places.
Keys = list[tuple[uuid.UUID, dt.datetime]]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the order of conversations: newest first, and by id where two moments are the same."""

    at: dt.datetime
    id: uuid.UUID

    @classmethod
    def of(cls, conversation: Conversation) -> Place:
        return cls(conversation.last_message_at, conversation.pk)

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // MICROSECOND}-{self.id.hex}"


def read_place(text: str) -> Place | None:
    """The place in an address; None where there is none."""
    moment, _, key = text.partition("-")
    found = parse_uuid(key)
    if found is None or not moment.isdecimal() or not moment.isascii() or len(moment) > 16:
        return None
    # Sixteen digits of microseconds end in the year 2286.
    return Place(EPOCH + int(moment) * MICROSECOND, found)


@dataclass(slots=True)
class Found:
    """Conversations in order, newest first; `more`: there are others behind them, in the direction that was read.

    `stopped` is how far it was looked where that was not to the end: what is behind it is not known yet.
    """

    rows: list[Any] = field(default_factory=list)
    more: bool = False
    stopped: Place | None = None
    wanted: Wanted = field(default_factory=Wanted)


def find(
    filters: Filters,
    *,
    after: Place | None = None,
    before: Place | None = None,
    size: int = PAGE,
) -> Found:
    """A page behind `after` (older), or before `before` (newer), or the first one."""
    wanted = parse(filters.text)
    newer = before is not None
    place = before or after
    theirs, is_open = _fitting(filters, wanted)
    if is_open:
        few = functools.partial(_few, filters, wanted)
        walked = _walk(filters, theirs, wanted, place, few, newer=newer, size=size)
        found = _page(filters, walked.keys, wanted, more=walked.more, newer=newer)
        found.stopped = walked.stopped
        return found
    keys = _keys(theirs, place, newer=newer, most=size + 1)
    return _page(filters, keys[:size], wanted, more=len(keys) > size, newer=newer)


def neighbours(filters: Filters, wanted: Wanted, place: Place) -> tuple[uuid.UUID | None, uuid.UUID | None]:
    """The conversations that stand before and behind a place of the result: the newer one and the older one.

    None where there is none, or none that is found soon.
    """
    theirs, is_open = _fitting(filters, wanted)
    # Both directions may want to know.
    few = functools.cache(functools.partial(_few, filters, wanted))

    def first(*, newer: bool) -> uuid.UUID | None:
        if is_open:
            keys = _walk(filters, theirs, wanted, place, few, newer=newer, size=1).keys
        else:
            keys = _keys(theirs, place, newer=newer, most=1)
        return keys[0][0] if keys else None

    return first(newer=True), first(newer=False)


def narrow(filters: Filters, wanted: Wanted) -> tuple[Any, bool]:
    """The conversations that fit, in no order, and whether it is open still which of them have the words (`having`).

    For whoever wants all of them: words that few messages have are looked for at once.
    """
    theirs, is_open = _fitting(filters, wanted)
    few = _few(filters, wanted) if is_open else None
    return (theirs, is_open) if few is None else (theirs.filter(_Among(few)), False)


def _fitting(filters: Filters, wanted: Wanted) -> tuple[Any, bool]:
    """The conversations that fit all but the words, and whether there are words that are still to be looked for."""
    # SECURITY: everything else starts from the organisation's own conversations.
    theirs = Conversation.objects.for_org(filters.org).filter(*filters.conditions)
    if not filters.text:
        return theirs, False
    key = key_in(filters.text)
    if key is not None:
        of_turn = Turn.objects.for_org(filters.org).filter(pk=key).values("conversation")
        of_message = Message.objects.for_org(filters.org).filter(pk=key).values("conversation")
        return theirs.filter(Q(pk=key) | Q(pk__in=of_turn) | Q(pk__in=of_message)), False
    return (theirs, True) if wanted else (theirs.none(), False)


def having(filters: Filters, wanted: Wanted, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of these conversations in which a message has the words."""
    return set(_said(filters, wanted, ids).order_by().values_list("conversation_id", flat=True))


class _Unindexed(Func):
    """The words of a text in an expression that no index has, for the few messages of a few conversations.

    The index would first name every message in the organisation that has them.
    """

    template = f"to_tsvector('{WORDS}', %(expressions)s)"
    output_field = SearchVectorField()


class _Among(Func):
    """Whether the id is among these; one value, where a list of thousands would be parsed one by one.

    A list and no subquery: estimates of how many messages have a word are rough, and on some of them the planner read
    the words of every conversation.
    """

    template = '"conversations_conversation"."id" = ANY(%(expressions)s::uuid[])'
    output_field = BooleanField()
    conditional = True

    def __init__(self, keys: set[uuid.UUID]) -> None:
        super().__init__(Value("{" + ",".join(map(str, keys)) + "}"))


def _said(filters: Filters, wanted: Wanted, of: Sequence[uuid.UUID] | None = None) -> Any:
    """Messages with the words: of these conversations, or all of them by the same expression as the index has."""
    rows = Message.objects.for_org(filters.org)
    if of is None:
        return rows.annotate(words=SearchVector("text", config=WORDS)).filter(words=wanted.query)
    return rows.filter(conversation__in=of).annotate(words=_Unindexed("text")).filter(words=wanted.query)


def _few(filters: Filters, wanted: Wanted) -> set[uuid.UUID] | None:
    """The conversations with the words; None where they are too many messages'."""
    keys = list(_said(filters, wanted).order_by().values_list("conversation_id", flat=True)[: FEW + 1])
    return set(keys) if len(keys) <= FEW else None


def _keys(theirs: Any, place: Place | None, *, newer: bool, most: int) -> Keys:
    """Ids and moments in the direction that is read, by the index on (org, -last_message_at, id)."""
    order = ("last_message_at", "-id") if newer else ("-last_message_at", "id")
    if place is not None:
        if newer:
            there = Q(last_message_at__gt=place.at) | Q(id__lt=place.id)
            theirs = theirs.filter(there, last_message_at__gte=place.at)
        else:
            there = Q(last_message_at__lt=place.at) | Q(id__gt=place.id)
            theirs = theirs.filter(there, last_message_at__lte=place.at)
    return list(theirs.order_by(*order).values_list("pk", "last_message_at")[:most])


class _Walked(NamedTuple):
    """What a walk found on its way, and whether and from where there may be more."""

    keys: Keys
    more: bool
    stopped: Place | None = None


def _walk(
    filters: Filters,
    theirs: Any,
    wanted: Wanted,
    place: Place | None,
    few: Callable[[], set[uuid.UUID] | None],
    *,
    newer: bool,
    size: int,
) -> _Walked:
    """Looks through conversations one after the other for the words, as long as it is likely to find them soon.

    `few` names all conversations that have them, or None where they are too many (`_few`).
    """
    hits: Keys = []
    seen, step, are_many = 0, FIRST_STEP, False
    while seen < LOOKED_THROUGH:
        walked = _keys(theirs, place, newer=newer, most=step)
        if walked:
            place = Place(walked[-1][1], walked[-1][0])
            hitting = having(filters, wanted, [key for key, _ in walked])
            hits += [entry for entry in walked if entry[0] in hitting]
        if len(hits) > size:
            return _Walked(hits[:size], more=True)
        if len(walked) < step:
            return _Walked(hits, more=False)
        seen += step
        likely = int(1.2 * (size + 1 - len(hits)) * seen / max(len(hits), 1))
        if likely > WORTH_LOOKING and not are_many:
            named = few()
            if named is not None:
                hits += _keys(theirs.filter(_Among(named)), place, newer=newer, most=size + 1 - len(hits))
                return _Walked(hits[:size], more=len(hits) > size)
            are_many = True
        step = max(min(max(likely, FIRST_STEP // 2), LONGEST_STEP, LOOKED_THROUGH - seen), 1)
    return _Walked(hits, more=True, stopped=place)


def _page(filters: Filters, keys: Keys, wanted: Wanted, *, more: bool, newer: bool) -> Found:
    """The rows with what a list shows of them, newest first."""
    ids = [key for key, _ in keys]
    first = Message.objects.for_org(filters.org).filter(conversation=OuterRef("pk"), author=Message.Author.VISITOR)
    begins = Subquery(first.order_by("seq", "part").annotate(start=Left("text", 300)).values("start")[:1])
    rows: dict[uuid.UUID, Any] = {
        row.pk: row
        for row in Conversation.objects.for_org(filters.org)
        .filter(pk__in=ids)
        .select_related("session__end_user", "session__company", "agent", "agent_version")
        .annotate(begins=begins)
    }
    hits = _first_hits(filters, wanted, ids)
    ordered = [rows[key] for key in (reversed(ids) if newer else ids) if key in rows]
    for row in ordered:
        author, text = hits.get(row.pk, ("", row.begins or ""))
        # An agent's emphasis is drawn where it is read; in a line of a list it is in the way.
        row.hit_by, row.snippet = author, wanted.snippet(_MARKS.sub("", text))
    return Found(rows=ordered, more=more, wanted=wanted)


def _first_hits(filters: Filters, wanted: Wanted, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    """Of each conversation the first message with the words: who wrote it, and it."""
    if not wanted or key_in(filters.text) is not None:
        return {}
    said = _said(filters, wanted, ids).order_by("conversation_id", "seq", "part", "id")
    rows = said.distinct("conversation_id").values_list("conversation_id", "author", "text")
    return {key: (Message.Author(author).label, text) for key, author, text in rows}
