"""All that is known of a person, as one JSON document, written bit by bit."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q

from conversations.models import AnswerLabel, Conversation, Message, MessageImage, Ticket, Turn
from sessions.models import EndUser, Event
from sessions.profile import RELATIONSHIP_COLUMNS

BATCH = 20
PROFILE = ("external_id", "name", "email", "email_verified", "custom_fields", "context", "first_seen", "last_seen")


def export_person(person: EndUser, *, now: dt.datetime) -> Iterator[str]:
    """The document in pieces: in memory are some conversations at a time.

    What teammates think, prompts and bearer values are no part of it; images are base64.
    """
    company = person.company
    head = {
        "format": "halo-person-1",
        "exported_at": now,
        "organisation": person.org.name,
        "person": {name: getattr(person, name) for name in (*PROFILE, *RELATIONSHIP_COLUMNS)},
        "company": {"external_id": company.external_id, "name": company.name} if company else None,
    }
    yield _json(head)[:-1]
    yield ', "conversations": ['
    yield from _joined(_conversations(person))
    yield '], "tickets": ['
    yield from _joined(_tickets(person))
    yield '], "events": ['
    yield from _joined(_events(person))
    yield "]}\n"


def _conversations(person: EndUser) -> Iterator[Any]:
    org = person.org_id
    theirs = Conversation.objects.for_org(org).filter(session__end_user=person)
    keys = list(theirs.order_by("created_at", "pk").values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH):
        talks = Conversation.objects.for_org(org).select_related("agent").in_bulk(keys[start : start + BATCH])
        told = dict(Turn.objects.for_org(org).filter(conversation__in=talks).values_list("pk", "snapshot"))
        thumbs = AnswerLabel.objects.for_org(org).filter(turn__in=list(told), by=AnswerLabel.By.VISITOR)
        rated = {label.turn_id: {"verdict": label.verdict, "comment": label.comment} for label in thumbs}
        said: dict[uuid.UUID, list[Message]] = {key: [] for key in talks}
        messages = Message.objects.for_org(org).filter(conversation__in=talks)
        for message in messages.order_by("conversation_id", "seq", "part", "pk"):
            said[message.conversation_id].append(message)
        for key in keys[start : start + BATCH]:
            # What was deleted meanwhile is not there any more.
            if key in talks:
                yield {
                    "id": key,
                    "started_at": talks[key].created_at,
                    "agent": talks[key].agent.name,
                    "language": talks[key].language,
                    "messages": [_message(message, told, rated) for message in said[key]],
                }


def _message(message: Message, told: dict[Any, Any], rated: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "at": message.created_at,
        "author": message.author,
        "text": message.text,
    }
    if message.author == Message.Author.VISITOR:
        # What the site said of them with this message.
        found["told"] = told.get(message.turn_id, {})
    elif message.author == Message.Author.AGENT and message.turn_id in rated:
        found["rating"] = rated[message.turn_id]
    if message.image_count:
        images = MessageImage.objects.for_org(message.org_id).filter(message=message).order_by("position")
        found["images"] = [_image(image) for image in images]
    return found


def _image(image: MessageImage) -> dict[str, str]:
    if image.data is None:
        return {"url": image.url}
    return {"media_type": image.media_type, "base64": base64.b64encode(bytes(image.data)).decode()}


def _tickets(person: EndUser) -> Iterator[Any]:
    theirs = Ticket.objects.for_org(person.org_id).filter(Q(session__end_user=person) | Q(requester=person))
    columns = ("number", "created_at", "status", "subject", "message", "metadata")
    yield from theirs.order_by("number").values(*columns).iterator(chunk_size=200)


def _events(person: EndUser) -> Iterator[Any]:
    theirs = Event.objects.for_org(person.org_id).filter(Q(end_user=person) | Q(session__end_user=person))
    columns = ("created_at", "event_type", "page_url", "element_selector", "metadata")
    yield from theirs.order_by("pk").values(*columns).iterator(chunk_size=1000)


def _joined(items: Iterable[Any]) -> Iterator[str]:
    for number, item in enumerate(items):
        yield ("," if number else "") + _json(item)


def _json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
