"""Reading all that an answer needs, before any model is asked; afterwards no connection is held."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Subquery
from django.db.models.functions import Coalesce

from agents import catalog, guidance
from agents.config import AgentConfig
from agents.knowledge import statements
from agents.prompts.layers import MAX_IMAGES, TRANSCRIPT_MESSAGES, Briefing, Image, Line
from agents.teams import find_team
from agents.tools.custom import Subject
from agents.tools.reading import arguments_of, key_of
from conversations import bursts
from conversations.facts import facts_of
from conversations.models import Message, MessageImage, Ticket, ToolCall, Turn, TurnTrace
from conversations.thinking import Case
from conversations.turns import Claim
from halo import db
from orgs.caching import organization_of
from sessions import behaviour, events, profile
from sessions.models import Company, EndUser

TICKETS_SHOWN = 5
_BY: dict[str, str] = {Message.Author.TEAMMATE: "Teammate", Message.Author.SYSTEM: "Automatic message"}

# All of a turn that its answer is made from, in one statement. Its predecessors have ended when it was claimed, so that
# their replies are there.
_WANTED = {
    "id",
    "org_id",
    "conversation_id",
    "seq",
    "covers_to",
    "agent_version_id",
    "mode",
    "verified",
    "snapshot",
    "keeps_text",
    "attempt",
}
_SESSION = "(SELECT session_id FROM conversations_conversation WHERE id = t.conversation_id)"
# Whatever is merged into the turn is of the same user.
_HAPPENED = events.ANY_RECENT.format(
    session=_SESSION, end_user="(t.snapshot->>'end_user')::uuid", org="t.org_id", since="%(since)s"
)
_COLUMNS = [field.attname for field in Turn._meta.concrete_fields if field.attname in _WANTED]
_READ = f"""
SELECT o.config_version, {_SESSION}, {_HAPPENED}, {statements.ANY.format(org="t.org_id")},
       (SELECT json_agg(json_build_array(m.id, m.seq, m.author, m.text, m.image_count) ORDER BY m.seq, m.part)
          FROM (SELECT id, author, text, image_count, seq, part FROM conversations_message
                 WHERE (org_id = t.org_id) IS TRUE AND conversation_id = t.conversation_id
                   AND seq <= coalesce(t.covers_to, t.seq)
                 ORDER BY seq DESC, part DESC
                 LIMIT %(lines)s::bigint + coalesce(t.covers_to - t.seq, 0)) AS m),
       (SELECT json_agg(json_build_array(w.id, w.text) ORDER BY w.id) FROM conversations_whisper AS w
         WHERE (w.org_id = t.org_id) IS TRUE AND w.conversation_id = t.conversation_id AND w.used_at IS NULL),
       {", ".join(f"t.{column}" for column in _COLUMNS)}
  FROM conversations_turn AS t JOIN orgs_organization AS o ON o.id = t.org_id
 WHERE t.id = %(turn)s AND (t.org_id = %(org)s) IS TRUE
"""  # noqa: S608


class _Said(NamedTuple):
    """A message as the transcript needs it."""

    id: uuid.UUID
    seq: int
    author: str
    text: str
    image_count: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What the statement finds of a turn; `said` goes up to the last message that it answers."""

    turn: Turn
    session_id: uuid.UUID
    # False where nothing happened on the site, and nothing is to be looked for.
    has_events: bool
    has_knowledge: bool
    said: list[_Said]
    # Teammates' hints that wait for an answer.
    whispers: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A claimed turn with everything its answer is made from."""

    turn: Turn
    case: Case
    recorded_calls: list[ToolCall]
    # Ids of the hints that the briefing holds.
    whispers: list[int] = field(default_factory=list)
    # What earlier attempts at this turn asked a model, as their trace tells.
    earlier_model_calls: list[dict[str, Any]] = field(default_factory=list)


def read(held: Claim, *, now: dt.datetime) -> Reading:
    """What the turn's agent is told: transcript up to its own message, people, context, and who is there at `now`."""
    found = _turn(held, since=now - events.RECENT)
    turn, said = found.turn, found.said
    snapshot = turn.snapshot = bursts.snapshot_of(turn)
    end_user = _end_user(turn)
    company = _company(turn)
    known = profile.merge(
        end_user=end_user,
        company=company,
        custom_fields=snapshot.get("custom_fields", {}),
        claims=snapshot.get("claims", {}),
        context=snapshot.get("context", {}),
    )
    earlier, (*together, message) = _transcript(turn, said)
    config = catalog.config_of(turn.agent_version_id)
    waiting = _waiting(turn, config, earlier)
    briefing = Briefing(
        message=message,
        together=together,
        mode=turn.mode,
        organization=turn.org.name,
        guidance=guidance.text_of(turn.org),
        transcript=earlier,
        told_history=[Line(line["role"], line["text"]) for line in snapshot.get("conversation_history", ())],
        verified=turn.verified,
        traits=known.traits,
        company_name=known.company_name,
        company_traits=known.company_traits,
        tickets=_tickets(turn, end_user),
        waiting=[f"{call.name} {call.arguments}" for call in waiting],
        context=known.context,
        behaviour=snapshot.get("behavior_context") or _behaviour(found, end_user, now=now),
        hints=[text for _, text in found.whispers],
    )
    team = find_team(turn.org, config.escalation_team)
    case = Case(
        org=turn.org,
        agent=turn.agent_version.agent,
        config=config,
        briefing=briefing,
        facts=facts_of(
            known,
            message=briefing.question,
            messages=briefing.messages,
            has_company=company is not None,
            page=snapshot.get("page", ""),
            mode=turn.mode,
            verified=turn.verified,
            user_id=snapshot.get("user_id", ""),
            company_id=snapshot.get("company_id", ""),
        ),
        earlier_answers=sum(line.role == "assistant" and not line.by for line in earlier),
        away=team.away(now=now) if team else None,
        page=snapshot.get("page", ""),
        subject=_subject(turn, end_user, company),
        waiting=frozenset(key_of(call.name, arguments_of(call.arguments)) for call in waiting),
        has_knowledge=found.has_knowledge,
    )
    return Reading(
        turn=turn,
        case=case,
        recorded_calls=_recorded_calls(turn),
        whispers=[pk for pk, _ in found.whispers],
        earlier_model_calls=_earlier_model_calls(turn),
    )


def _recorded_calls(turn: Turn) -> list[ToolCall]:
    """What earlier attempts did, in its order; the first has none, and building the query costs it dearly."""
    if turn.attempt <= 1:
        return []
    return list(ToolCall.objects.for_org(turn.org_id).filter(turn=turn).order_by("step"))


def _earlier_model_calls(turn: Turn) -> list[dict[str, Any]]:
    if turn.attempt <= 1:
        return []
    calls = TurnTrace.objects.for_org(turn.org_id).filter(turn=turn).values_list("model_calls", flat=True).first()
    return [call for call in calls or () if isinstance(call, dict)]


def _end_user(turn: Turn) -> EndUser | None:
    pk = turn.snapshot.get("end_user")
    return EndUser.objects.for_org(turn.org_id).filter(pk=pk).first() if pk else None


def _company(turn: Turn) -> Company | None:
    pk = turn.snapshot.get("company")
    return Company.objects.for_org(turn.org_id).filter(pk=pk).first() if pk else None


def _behaviour(found: _Found, end_user: EndUser | None, *, now: dt.datetime) -> str:
    """What frustrated the visitor on the site, as far as its events tell; the request itself said nothing of it."""
    if not found.has_events:
        return ""
    # SECURITY: of the turn's own session, and of a user whom this request may be answered from.
    happened = events.latest(
        org_id=found.turn.org_id,
        session_id=found.session_id,
        end_user_id=end_user.pk if end_user else None,
        now=now,
    )
    return behaviour.summarise(happened)


def _subject(turn: Turn, end_user: EndUser | None, company: Company | None) -> Subject:
    """Who calls to other systems are about."""
    # SECURITY: only what a token claims or we have stored; traits and context of the request are the visitor's word.
    claimed = turn.snapshot.get("claims", {}).get("email")
    email = claimed if isinstance(claimed, str) and claimed else end_user.email if end_user else ""
    return Subject(
        user_id=end_user.external_id if end_user else "",
        company_id=company.external_id if company else "",
        email=email,
        conversation_id=str(turn.conversation_id),
    )


def _waiting(turn: Turn, config: AgentConfig, earlier: list[Line]) -> list[ToolCall]:
    """Calls that the visitor was asked about in the answer right before their message."""
    # SECURITY: a yes is to what was said last, so not to our question after a teammate's words or a failed turn.
    if not config.tools or not earlier or earlier[-1].role != "assistant" or earlier[-1].by:
        return []
    before = Turn.objects.for_org(turn.org_id).filter(conversation_id=turn.conversation_id, seq__lt=turn.seq)
    return list(
        ToolCall.objects.for_org(turn.org_id)
        .filter(
            turn=Subquery(before.order_by("-seq").values(answered=Coalesce("merged_into", "pk"))[:1]),
            turn__outcome=Turn.Outcome.ANSWERED,
            status=ToolCall.Status.ASKED,
        )
        .order_by("step")
    )


def _turn(held: Claim, *, since: dt.datetime) -> _Found:
    """The turn with organisation and agent, and what else its statement finds; what happened on the site is looked
    for from `since` on."""
    names = {"turn": held.turn_id, "org": held.org_id, "lines": TRANSCRIPT_MESSAGES + 1, "since": since}
    [(config_version, session_id, has_events, has_knowledge, said, whispers, *values)] = db.run(_READ, names)
    turn = Turn.from_db(None, _COLUMNS, values)
    turn.org = organization_of(held.org_id, version=config_version)
    turn.agent_version = catalog.version_of(turn.agent_version_id, org=turn.org)
    return _Found(
        turn=turn,
        session_id=session_id,
        has_events=has_events,
        has_knowledge=has_knowledge,
        said=[_Said(uuid.UUID(row[0]), *row[1:]) for row in said],
        whispers=[(pk, text) for pk, text in whispers or ()],
    )


def _transcript(turn: Turn, said: list[_Said]) -> tuple[list[Line], list[Line]]:
    """What was said before the turn's own message, and what is to be answered: that, and what was merged into it."""
    images = _images(turn, said)
    lines = [_line(row, images.get(row.id, ())) for row in said]
    before = sum(row.seq < turn.seq for row in said)
    return lines[:before], lines[before:]


def _line(row: _Said, images: tuple[Image, ...] | list[Image]) -> Line:
    role = "user" if row.author == Message.Author.VISITOR else "assistant"
    by = _BY.get(row.author, "")
    return Line(role=role, text=row.text, images=tuple(images), by=by)


def _images(turn: Turn, said: list[_Said]) -> dict[uuid.UUID, list[Image]]:
    """The images of the latest messages that have any, as many messages as it takes to have enough of them."""
    messages: list[uuid.UUID] = []
    wanted = MAX_IMAGES
    for row in reversed(said):
        if row.image_count and wanted > 0:
            messages.append(row.id)
            wanted -= row.image_count
    found: dict[uuid.UUID, list[Image]] = {}
    if messages:
        rows = MessageImage.objects.for_org(turn.org_id).filter(message__in=messages).order_by("message", "position")
        for image in rows:
            found.setdefault(image.message_id, []).append(
                Image(url=image.url, media_type=image.media_type, data=bytes(image.data or b""))
            )
    return found


def _tickets(turn: Turn, end_user: EndUser | None) -> list[str]:
    # SECURITY: tickets and earlier conversations are for verified users only.
    if end_user is None or not turn.verified:
        return []
    tickets = Ticket.objects.for_org(turn.org_id)
    # Those of conversations hang on the session, those that were sent in on their requester.
    of_talks = tickets.filter(session__end_user=end_user).order_by("-created_at")[:TICKETS_SHOWN]
    sent_in = tickets.filter(requester=end_user, session=None).order_by("-created_at")[:TICKETS_SHOWN]
    rows = of_talks.union(sent_in, all=True).order_by("-created_at")[:TICKETS_SHOWN]
    return [f"#{row.number} ({row.get_status_display()}, {row.created_at:%Y-%m-%d}): {row.subject}" for row in rows]
