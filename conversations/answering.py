"""Answering a turn: claim, read, search and think, record. The only caller of a model."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, transaction

from agents import costs
from agents.answer_types import AnswerType
from agents.deciding import Decision
from agents.escalation import Handover
from agents.llm.base import ModelError
from conversations import bell, ending, in_hand, processes, tickets, tracing, turns
from conversations.loading import Reading, read
from conversations.models import Conversation, Ticket, Turn
from conversations.performing import LiveHands
from conversations.recording import Overtaken, Reply, settle
from conversations.thinking import Progress, milliseconds_since, think
from conversations.turns import Claim, Spent
from halo.db import release_connection

log = structlog.get_logger(__name__)
T = TypeVar("T")
# A restart of the database takes a few seconds; an answer that was paid for is worth waiting for it.
RECORD_PAUSES = (0.2, 0.4, 0.8, 1.6, 3.0)


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
    config = reading.case.config
    structlog.contextvars.bind_contextvars(request_id=reading.turn.request_id)
    deadline = started + min(float(config.deadline_seconds), held.seconds_left)
    progress = Progress(began=started)
    try:
        decision = think(reading.case, LiveHands(reading, held), progress, deadline=deadline)
        progress.timings["total_ms"] = milliseconds_since(started)
        _record(reading, held, progress, _reply(decision), decision.handover)
    except Overtaken:
        raise
    except ModelError as error:
        log.warning("model_failed", kind=error.kind, ms=milliseconds_since(started))
        progress.timings["total_ms"] = milliseconds_since(started)
        _after_failure(reading, held, progress, error)
    except Exception as error:
        # A defect of ours: whoever looks for it wants to see how far the attempt came.
        defect = type(error).__name__
        log.exception("turn_failed", error=defect)
        progress.timings.setdefault("total_ms", milliseconds_since(started))
        _fail(reading, held, progress, code="unavailable", detail=defect)


def _reply(decision: Decision) -> Reply:
    return Reply(
        outcome=Turn.Outcome.ANSWERED,
        text=decision.text,
        citations=decision.citations,
        confidence=decision.confidence,
        confidence_inputs=decision.inputs,
        answer_type=decision.answer_type,
        withheld=decision.withheld,
        escalated=decision.handover is not None,
        explanation=decision.explanation,
    )


def _after_failure(reading: Reading, held: Claim, progress: Progress, error: ModelError) -> None:
    """A person where the model had called for one, the agent's apology where it is set up so, else an error."""
    config = reading.case.config
    if error.kind == "blank" and progress.escalation is not None:
        reply = Reply(
            outcome=Turn.Outcome.ANSWERED,
            text=config.handover_text,
            confidence=0.0,
            answer_type=AnswerType.NEEDS_PERSON,
            escalated=True,
        )
        reason = progress.escalation
    elif config.on_failure == "polite":
        reply = Reply(
            outcome=Turn.Outcome.APOLOGY,
            text=config.failure_text,
            escalated=True,
            error_code=_code_of(error),
            error_detail=_detail_of(error),
        )
        reason = "The model failed; the visitor was told that the team takes over."
    else:
        _fail(reading, held, progress, code=_code_of(error), detail=_detail_of(error))
        return
    handover = Handover(sign="failure", reason=reason, has_priority=False, team=config.escalation_team)
    explained = dataclasses.replace(reply, explanation={"result": "handed over", "by": "failure", "reason": reason})
    _record(reading, held, progress, explained, handover)


def _fail(reading: Reading, held: Claim, progress: Progress, *, code: str, detail: str) -> None:
    spent = _spent(reading, progress)
    # No lock on the turn: whether this attempt may still end it is decided by the statement that ends it. A later
    # attempt, or a retry with the same key, writes its own trace over this one.
    _persist(lambda: tracing.write(tracing.trace_of(reading, progress)))
    _persist(lambda: ending.close(held.turn_id, code=code, detail=detail, held=held, spent=spent))


def _record(reading: Reading, held: Claim, progress: Progress, reply: Reply, handover: Handover | None) -> None:
    counted = dataclasses.replace(reply, spent=_spent(reading, progress))
    trace = _persist(lambda: tracing.trace_of(reading, progress))

    def write() -> None:
        with transaction.atomic():
            final = counted if handover is None else _with_ticket(reading, held, counted, handover)
            settle(reading.turn, final, held=held)
            tracing.write(trace)

    _persist(write)
    log.info("turn_answered", outcome=reply.outcome, answer_type=reply.answer_type, confidence=reply.confidence)
    ending.announce(held.turn_id, held.conversation_id, attempt=held.attempt)
    if handover is not None:
        bell.ring_outbox()


def _spent(reading: Reading, progress: Progress) -> Spent:
    config, org = reading.case.config, reading.case.org
    return Spent(
        prompt_tokens=progress.prompt_tokens,
        completion_tokens=progress.completion_tokens,
        cost=costs.cost(
            prompt_tokens=progress.prompt_tokens,
            completion_tokens=progress.completion_tokens,
            input_price=costs.own_or(config.input_price, org.input_price),
            output_price=costs.own_or(config.output_price, org.output_price),
        ),
        model_name=progress.model_name,
    )


def _with_ticket(reading: Reading, held: Claim, reply: Reply, handover: Handover) -> Reply:
    """The reply with its handover performed: the conversation's open ticket, or a new one."""
    turn = reading.turn
    conversation = (
        Conversation.objects.for_org(turn.org_id)
        .filter(pk=turn.conversation_id, epoch=held.epoch)
        .select_for_update()
        .first()
    )
    if conversation is None:
        raise Overtaken
    message = reading.case.briefing.message.text
    ticket = tickets.open_ticket_of(conversation) or tickets.open_ticket(
        org=turn.org,
        session=turn.conversation.session,
        conversation=conversation,
        turn=turn,
        team_id=tickets.team_of(turn.org, handover.team),
        subject=message,
        message=message,
        source="escalation",
        effect_key=f"turn:{turn.pk}:escalate",
        priority=Ticket.Priority.PRIORITY if handover.has_priority else Ticket.Priority.NORMAL,
        metadata={"reason": handover.reason, "sign": handover.sign},
    )
    action = {"type": "escalate", "reason": handover.reason, "ticket_id": str(ticket.pk)}
    return dataclasses.replace(reply, actions=[*reply.actions, action])


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
