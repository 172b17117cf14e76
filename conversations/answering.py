"""Answering a turn: claim, read, search and think, record. The only caller of a model."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, transaction

from agents import brain, citations, confidence
from agents.backends import backend_for
from agents.knowledge.search import query_text
from agents.llm.base import ModelError
from conversations import bell, ending, in_hand, performing, processes, tickets, turns
from conversations.loading import Reading, read
from conversations.models import Conversation, Turn, TurnTrace
from conversations.performing import Progress
from conversations.recording import Overtaken, Reply, settle
from conversations.turns import Claim
from halo.db import release_connection

log = structlog.get_logger(__name__)
T = TypeVar("T")
# A restart of the database takes a few seconds; an answer that was paid for is worth waiting for it.
RECORD_PAUSES = (0.2, 0.4, 0.8, 1.6, 3.0)
HANDED_OVER = "I have passed this on to our team. A person will get back to you."


def answer(turn_id: uuid.UUID) -> None:
    """Answers the turn if it can be claimed; every other case is a normal return."""
    process_id = processes.current_id()
    held = turns.claim(turn_id, process_id=process_id) if process_id is not None else None
    if held is None:
        release_connection()
        return
    # All three fall back to what they were: a web process that answers goes on with its own request.
    with structlog.contextvars.bound_contextvars(turn_id=str(turn_id), attempt=held.attempt, request_id=""):
        _answer(held)


def _answer(held: Claim) -> None:
    turn_id, started = held.turn_id, time.monotonic()
    in_hand.took(held)
    try:
        _attempt(held, started)
    except Overtaken:
        log.info("turn_overtaken")
        # Also where a commit's answer was lost and its repeat found the turn done: nobody else tells the waiters.
        ending.announce(turn_id, held.conversation_id, attempt=held.attempt)
    except Exception as error:
        # A defect of ours must not leave the turn hanging until its time is over.
        defect = type(error).__name__
        log.exception("turn_failed", error=defect)
        _persist(lambda: ending.close(turn_id, code="unavailable", detail=defect, held=held))
    finally:
        in_hand.put_down(held)
        release_connection()


def _attempt(held: Claim, started: float) -> None:
    reading = _persist(lambda: read(held))
    structlog.contextvars.bind_contextvars(request_id=reading.turn.request_id)
    deadline = started + min(float(reading.config.deadline_seconds), held.seconds_left)
    progress = Progress(excerpts=[])
    try:
        thought, timings = _think(reading, held, progress, deadline=deadline)
    except ModelError as error:
        log.warning("model_failed", kind=error.kind, ms=_ms(started))
        if error.kind == "blank" and progress.escalation is not None:
            reply = Reply(outcome=Turn.Outcome.ANSWERED, text=HANDED_OVER, confidence=0.0, escalated=True)
            _record(reading, held, progress, reply, trace={})
        elif reading.config.on_failure == "polite":
            _apologise(reading, held, progress, error)
        else:
            code, detail = _code_of(error), _detail_of(error)
            _persist(lambda: ending.close(held.turn_id, code=code, detail=detail, held=held))
        return
    timings["total_ms"] = _ms(started)
    _record(reading, held, progress, _reply(reading, progress, thought), trace=_trace(progress, thought, timings))


def _think(
    reading: Reading, held: Claim, progress: Progress, *, deadline: float
) -> tuple[brain.Thought, dict[str, float]]:
    """Search, then rounds with the model until it answers. No connection is held while the model thinks."""
    turn, briefing = reading.turn, reading.briefing
    backend = backend_for(config=reading.config, agent=turn.agent_version.agent, org=turn.org)
    began = time.monotonic()
    progress.excerpts = performing.excerpts_for(turn.org_id, query_text(briefing.message.text, _said_before(reading)))
    performing.replay(reading, held, progress)
    timings = {"search_ms": _ms(began)}
    while True:
        release_connection()
        began = time.monotonic()
        thought = brain.think(
            backend=backend,
            config=reading.config,
            briefing=briefing,
            excerpts=progress.excerpts,
            rounds=progress.rounds,
            deadline=deadline,
        )
        timings["model_ms"] = timings.get("model_ms", 0.0) + _ms(began)
        progress.prompt_tokens += thought.usage.prompt_tokens
        progress.completion_tokens += thought.usage.completion_tokens
        if not thought.tool_requests:
            return thought, timings
        performing.perform(thought, turn, held, progress)


def _reply(reading: Reading, progress: Progress, thought: brain.Thought) -> Reply:
    checked = citations.check(thought.text, progress.excerpts)
    question = reading.briefing.message.text
    folded = " ".join(question.casefold().split())
    inputs = confidence.inputs(
        question=question,
        answer=checked.text,
        excerpts=progress.excerpts,
        history=_said_before(reading),
        cited=len(checked.citations),
        unsupported=checked.unsupported,
        tool_calls=progress.calls,
        tool_errors=progress.errors,
        escalated=progress.escalation is not None,
        repeated=any(
            line.role == "user" and " ".join(line.text.casefold().split()) == folded
            for line in reading.briefing.transcript
        ),
    )
    return Reply(
        outcome=Turn.Outcome.ANSWERED,
        text=checked.text,
        citations=checked.citations,
        confidence=confidence.estimate(inputs),
        confidence_inputs={"head": confidence.head_version(), **inputs},
        escalated=progress.escalation is not None,
        model_name=thought.model,
        prompt_tokens=progress.prompt_tokens,
        completion_tokens=progress.completion_tokens,
    )


def _said_before(reading: Reading) -> list[str]:
    """Our own transcript, or what the site told us of the conversation where we have none."""
    return [line.text for line in reading.briefing.transcript or reading.briefing.told_history]


def _apologise(reading: Reading, held: Claim, progress: Progress, error: ModelError) -> None:
    """The agent's own words and a ticket, where it is set up so, instead of an error."""
    progress.escalation = "The model failed; the visitor was told that the team takes over."
    reply = Reply(
        outcome=Turn.Outcome.APOLOGY,
        text=reading.config.failure_text,
        escalated=True,
        error_code=_code_of(error),
        error_detail=_detail_of(error),
    )
    _record(reading, held, progress, reply, trace={})


def _record(reading: Reading, held: Claim, progress: Progress, reply: Reply, *, trace: dict[str, Any]) -> None:
    turn = reading.turn
    escalated = progress.escalation is not None

    def write() -> None:
        with transaction.atomic():
            final = _with_ticket(reading, held, progress, reply) if escalated else reply
            settle(turn, final, held=held)
            TurnTrace(org_id=turn.org_id, turn=turn, **trace).save(force_insert=True)

    _persist(write)
    log.info("turn_answered", outcome=reply.outcome, confidence=reply.confidence)
    ending.announce(held.turn_id, held.conversation_id, attempt=held.attempt)
    if escalated:
        bell.ring_outbox()


def _with_ticket(reading: Reading, held: Claim, progress: Progress, reply: Reply) -> Reply:
    """The reply with its escalation performed: the conversation's open ticket, or a new one."""
    turn = reading.turn
    conversation = (
        Conversation.objects.for_org(turn.org_id)
        .filter(pk=turn.conversation_id, epoch=held.epoch)
        .select_for_update()
        .first()
    )
    if conversation is None:
        raise Overtaken
    ticket = tickets.open_ticket_of(conversation) or tickets.open_ticket(
        org=turn.org,
        session=turn.conversation.session,
        conversation=conversation,
        turn=turn,
        subject=reading.briefing.message.text,
        message=reading.briefing.message.text,
        source="escalation",
        effect_key=f"turn:{turn.pk}:escalate",
        metadata={"reason": progress.escalation},
    )
    action = {"type": "escalate", "reason": progress.escalation, "ticket_id": str(ticket.pk)}
    return dataclasses.replace(reply, actions=[*reply.actions, action])


def _trace(progress: Progress, thought: brain.Thought, timings: dict[str, float]) -> dict[str, Any]:
    return {
        "prompt": _without_bytes(thought.prompt),
        "passages": [
            {"n": e.n, "title": e.title, "article_id": e.article_id, "score": round(e.score, 4), "text": e.text}
            for e in progress.excerpts
        ],
        "timings": timings,
    }


def _without_bytes(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The prompt as sent, but for the bytes of images, which the transcript holds already."""

    def part(value: dict[str, Any]) -> dict[str, Any]:
        url = value.get("image_url", {}).get("url", "")
        return {"type": "image_url", "image_url": {"url": url[:40] + "…"}} if url.startswith("data:") else value

    return [
        {**message, "content": [part(value) for value in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in messages
    ]


def _persist(write: Callable[[], T]) -> T:
    """`write()`, tried again while the database restarts; safe because every write is conditional on the claim."""
    for pause in RECORD_PAUSES:
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            log.warning("database_away", error=type(error).__name__)
            release_connection()
            time.sleep(pause)
    return write()


def _code_of(error: ModelError) -> str:
    return "model_timeout" if error.kind == "timeout" else "unavailable"


def _detail_of(error: ModelError) -> str:
    return f"{error.kind}: {error.message}"


def _ms(since: float) -> float:
    return round((time.monotonic() - since) * 1000, 1)
