"""What a visitor saw of their conversation: the words of all sides, and nothing of how they came about."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from conversations import seen
from conversations.labels import OF_RATING
from conversations.models import AnswerLabel, Conversation, Message, MessageImage, Turn
from conversations.session_access import conversation_of
from halo.api.dates import written
from halo.db import release_connection
from halo.errors import InvalidRequest, NotFound
from halo.ids import parse_uuid
from sessions.models import ChatSession

PAGE = 100
# Longer than anybody waits for the conversation's row with a message in hand (lock_timeout is 5 s).
OVERLAP_MS = 10_000
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
Author = Message.Author
# SECURITY: who is not named here is not shown, so that what staff write to each other never is by oversight.
ROLES = {Author.VISITOR: "visitor", Author.AGENT: "agent", Author.TEAMMATE: "teammate", Author.SYSTEM: "system"}
_RATINGS = {verdict: rating for rating, verdict in OF_RATING.items()}


@dataclass(frozen=True, slots=True)
class State:
    """How a conversation stands, for its visitor; `name` is the teammate's, empty while the agent has it."""

    status: str = Conversation.Status.OPEN
    is_with_teammate: bool = False
    name: str = ""

    def handled_by(self) -> dict[str, str]:
        """Who answers."""
        return {"role": "teammate" if self.is_with_teammate else "agent", "name": self.name}


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in the order in which they came, and whether there are more behind them."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    more: bool = False

    def of_teammates(self) -> uuid.UUID | None:
        """The id of the newest message that a teammate wrote."""
        theirs = [uuid.UUID(message["id"]) for message in self.messages if message["role"] == ROLES[Author.TEAMMATE]]
        return max(theirs, default=None)


def state_of(conversation: Conversation | None, session: ChatSession) -> State:
    """How it stands; the person who took over must have been read with it."""
    closed = session.closed_at is not None or (
        conversation is not None and conversation.status == Conversation.Status.CLOSED
    )
    person = conversation.taken_over_by if conversation is not None else None
    return State(
        status=Conversation.Status.CLOSED.value if closed else Conversation.Status.OPEN.value,
        is_with_teammate=person is not None,
        name=person.name if person is not None else "",
    )


def position_of(after: str) -> uuid.UUID | None:
    """The message's id in a client's words, None where there are none; raises InvalidRequest."""
    known = parse_uuid(after) if after else None
    if after and known is None:
        raise InvalidRequest("after must be a message's id", field="after")
    return known


def transcript(session: ChatSession, *, after: uuid.UUID | None) -> dict[str, Any]:
    """A page of what was said in `session`, and how it stands."""
    conversation = conversation_of(session)
    state = state_of(conversation, session)
    page = read(conversation, after=after) if conversation is not None else Page()
    if conversation is not None and (newest_of_teammates := page.of_teammates()) is not None:
        seen.mark(conversation, newest_of_teammates)
    return {
        "session_id": session.session_id,
        "status": state.status,
        "handled_by": state.handled_by(),
        "messages": page.messages,
        "more": page.more,
    }


def image_of(session: ChatSession, image_id: str) -> MessageImage:
    """The image with its bytes; NotFound where it is none of this session's, or only an address."""
    known = int(image_id) if image_id.isascii() and image_id.isdecimal() and len(image_id) < 19 else 0
    # SECURITY: the session is a condition of the look-up, so nobody else's image is ever read.
    image: MessageImage | None = (
        MessageImage.objects.for_org(session.org_id)
        .filter(pk=known, data__isnull=False, message__conversation__session=session)
        .first()
    )
    release_connection()
    if image is None or image.media_type not in IMAGE_TYPES:
        raise NotFound
    return image


def overlapping(after: uuid.UUID | None) -> uuid.UUID | None:
    """`after`, some seconds earlier: what is not seen by then, though it is older, never will be."""
    return None if after is None else uuid.UUID(int=max(0, after.int - (OVERLAP_MS << 80)))


def ids_before(conversation: Conversation, after: uuid.UUID | None) -> set[str]:
    """Ids of what was said up to `after`, as far back as messages may turn up late."""
    if after is None:
        return set()
    rows = _shown(conversation).filter(pk__gt=overlapping(after), pk__lte=after)
    return {str(pk) for pk in rows.values_list("pk", flat=True)}


def newest(conversation: Conversation) -> uuid.UUID | None:
    """The id of what was said last."""
    found: uuid.UUID | None = _shown(conversation).order_by("-id").values_list("pk", flat=True).first()
    return found


def read(conversation: Conversation, *, after: uuid.UUID | None, most: int = PAGE) -> Page:
    """What was said after the message `after` (None: from the beginning on), the `most` first of it.

    That is the order of their ids, which are made a moment before the conversation's row is had.
    """
    rows = _shown(conversation).select_related("turn", "person")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    found = list(
        rows.only(
            *("id", "org", "author", "part", "text", "citations", "image_count", "unanswered", "created_at"),
            *("turn__status", "turn__response", "person__name"),
        ).order_by("id")[: most + 1]
    )
    shown = found[:most]
    images = images_of(shown)
    ratings = _ratings(shown)
    return Page(
        [_message(row, images.get(row.pk, []), ratings.get(row.turn_id, "") if row.turn_id else "") for row in shown],
        more=len(found) > most,
    )


def _shown(conversation: Conversation) -> Any:
    return Message.objects.for_org(conversation.org_id).filter(conversation=conversation, author__in=list(ROLES))


def _message(row: Message, images: Sequence[MessageImage], rating: str) -> dict[str, Any]:
    by_agent = row.author == Author.AGENT
    response = (row.turn.response if row.turn is not None else None) or {}
    return {
        "id": str(row.pk),
        "role": ROLES[Author(row.author)],
        # SECURITY: of a teammate the name and nothing else.
        "name": row.person.name if row.author == Author.TEAMMATE and row.person is not None else "",
        "text": row.text,
        "created_at": written(row.created_at),
        "turn_id": str(row.turn_id) if row.turn_id else None,
        "state": _state(row),
        "citations": row.citations,
        "actions": response.get("actions", []) if row.part == Message.Part.REPLY else [],
        "images": [{"id": image.pk, "url": image.url, "media_type": image.media_type} for image in images],
        "rating": (rating or None) if by_agent else None,
    }


def _state(row: Message) -> str | None:
    """Of the visitor's own: whether it was answered."""
    if row.author != Author.VISITOR or row.turn is None:
        return None
    if row.unanswered or row.turn.status == Turn.Status.FAILED:
        return "unanswered"
    return "waiting" if row.turn.status in Turn.IN_FLIGHT else "answered"


def images_of(rows: Sequence[Message]) -> dict[uuid.UUID, list[MessageImage]]:
    """The images of an organisation's messages, in their order and without their bytes, by message."""
    with_images = [row for row in rows if row.image_count]
    found: dict[uuid.UUID, list[MessageImage]] = defaultdict(list)
    if with_images:
        images = MessageImage.objects.for_org(with_images[0].org_id).filter(message__in=with_images).defer("data")
        for image in images.order_by("message_id", "position"):
            found[image.message_id].append(image)
    return found


def _ratings(rows: list[Message]) -> dict[uuid.UUID, str]:
    turns = [row.turn_id for row in rows if row.author == Author.AGENT and row.turn_id]
    if not turns:
        return {}
    labels = AnswerLabel.objects.for_org(rows[0].org_id).filter(turn__in=turns, by=AnswerLabel.By.VISITOR)
    return {
        turn: _RATINGS[AnswerLabel.Verdict(verdict)].value for turn, verdict in labels.values_list("turn", "verdict")
    }
