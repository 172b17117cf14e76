"""What teammates write beside a conversation: notes to each other, and hints for the agent."""

from __future__ import annotations

from django.db import transaction

from conversations import live
from conversations.models import Conversation, Note, Ticket, Whisper
from conversations.models.inbox import LONGEST_NOTE, LONGEST_WHISPER
from conversations.takeover import NotOpen
from halo.api.strict_json import storable
from halo.errors import InvalidRequest, NotFound
from orgs import audit
from orgs.models import User

# More hints than that for one answer contradict each other.
MOST_WHISPERS = 5


def write_note(*, about: Conversation | Ticket, text: str, by: User) -> Note:
    """A note of `by` that staff alone read."""
    where = {"conversation": about} if isinstance(about, Conversation) else {"ticket": about}
    with transaction.atomic():
        note: Note = Note.objects.create(
            org_id=about.org_id, author=by, text=_words(text, LONGEST_NOTE, "A note"), **where
        )
        # SECURITY: the audit outlives what is said of people, so it keeps that something was and not the words.
        audit.record(org=about.org_id, actor=by, action="note.written", target=about, after={"note": note.pk})
    live.tell_staff(about.org_id, about.pk)
    return note


def remove_note(*, about: Conversation | Ticket, note_id: int, by: User) -> None:
    """Takes an own note away; NotFound where there is none of `by` with that id."""
    where = {"conversation": about} if isinstance(about, Conversation) else {"ticket": about}
    with transaction.atomic():
        if not Note.objects.for_org(about.org_id).filter(pk=note_id, author=by, **where).delete()[0]:
            raise NotFound
        audit.record(org=about.org_id, actor=by, action="note.removed", target=about, before={"note": note_id})
    live.tell_staff(about.org_id, about.pk)


def whisper(*, conversation: Conversation, text: str, by: User) -> Whisper:
    """A hint of `by` for the agent's next answer; raises NotOpen where the agent gives none."""
    words = _words(text, LONGEST_WHISPER, "A hint")
    with transaction.atomic():
        row = Conversation.objects.for_org(conversation.org_id).select_for_update(of=("self",)).get(pk=conversation.pk)
        if row.status == Conversation.Status.CLOSED or row.taken_over_by_id is not None:
            raise NotOpen("The agent gives no answer here that a hint could help.")
        waiting = Whisper.objects.for_org(row.org_id).filter(conversation=row, used_at=None)
        if waiting.count() >= MOST_WHISPERS:
            raise NotOpen(f"{MOST_WHISPERS} hints wait for the next answer already: take one back first.")
        made: Whisper = Whisper.objects.create(org_id=row.org_id, conversation=row, author=by, text=words)
        audit.record(org=row.org_id, actor=by, action="conversation.whisper", target=row, after={"whisper": made.pk})
    live.tell_staff(conversation.org_id, conversation.pk)
    return made


def take_back(*, conversation: Conversation, whisper_id: int, by: User) -> None:
    """Removes a hint that no answer has used yet, anybody's; NotFound where there is none."""
    with transaction.atomic():
        waiting = Whisper.objects.for_org(conversation.org_id).filter(conversation=conversation, used_at=None)
        if not waiting.filter(pk=whisper_id).delete()[0]:
            raise NotFound
        audit.record(
            org=conversation.org_id,
            actor=by,
            action="conversation.whisper_taken_back",
            target=conversation,
            before={"whisper": whisper_id},
        )
    live.tell_staff(conversation.org_id, conversation.pk)


def _words(text: str, longest: int, what: str) -> str:
    text = storable(text.strip())
    if not text:
        raise InvalidRequest(f"{what} needs words.", field="text")
    if len(text) > longest:
        raise InvalidRequest(f"{what} has at most {longest:,} characters.", field="text")
    return text
