"""Answering a turn: claim, read, search and think, record. The only caller of a model."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from agents import costs, escalation, languages, wishes
from agents.answer_types import AnswerType
from agents.deciding import Decision, with_away
from agents.escalation import Handover
from agents.llm.base import ModelError
from agents.tools.calls import with_questions
from conversations import (
    admission,
    bell,
    effects,
    ending,
    in_hand,
    measuring,
    processes,
    tape,
    tickets,
    tracing,
    turns,
)
from conversations.loading import Reading, read
from conversations.models import Turn
from conversations.outlet import TapeOutlet
from conversations.performing import LiveHands
from conversations.recording import Overtaken, Reply, Settled, settle
from conversations.thinking import Case, Progress, milliseconds_since, think
from conversations.turns import Claim, Spent
from halo import metrics, wire
from halo.db import release_connection

log = structlog.get_logger(__name__)
T = TypeVar("T")
# A restart of the database takes a few seconds; an answer that was paid for is worth waiting for it.
RECORD_PAUSES = (0.2, 0.4, 0.8, 1.6, 3.0)
# A bell's task ends well before Redis would think that it was lost, and deliver it again (180 s).
SERVE_SECONDS = 60.0


def serve(turn_id: uuid.UUID) -> None:
    """What a bell asks a worker for: answers the turn, and then what its organisation's share has held back here."""
    ends_at = time.monotonic() + SERVE_SECONDS
    in_hand.beginning.enter()
    try:
        freed = answer(turn_id, is_followed=admission.heard(turn_id))
    finally:
        in_hand.beginning.leave()
    while freed is not None and freed not in in_hand.full_orgs() and processes.current_id(wait_seconds=0) is not None:
        following = turns.next_of_org(freed)
        if following is None:
            in_hand.nothing_waits(freed)
            break
        if time.monotonic() >= ends_at:
            with structlog.contextvars.bound_contextvars(request_id=following.request_id):
                bell.ring(following.turn_id)
            break
        # Another process may have been faster, and then there is room for the next one.
        answer(following.turn_id)
    release_connection()


def answer(turn_id: uuid.UUID, *, is_followed: bool = True) -> uuid.UUID | None:
    """Answers the turn if it can be claimed; every other case is a normal return.

    Returns its organisation where others of that were held back meanwhile. `is_followed`: False where nobody listens
    yet to how the answer comes to be.
    """
    process_id = processes.current_id()
    full = in_hand.full_orgs()
    held = turns.claim(turn_id, process_id=process_id, without=full) if process_id is not None else None
    if held is None:
        if full:
            in_hand.hold_back(full)
            metrics.count("halo_held_back_total")
        release_connection()
        return None
    # All three fall back to what they were: a web process that answers goes on with its own request.
    with structlog.contextvars.bound_contextvars(
        turn_id=str(turn_id), attempt=held.attempt, request_id=held.request_id
    ):
        return held.org_id if _answer(held, is_followed=is_followed) else None


def _answer(held: Claim, *, is_followed: bool) -> bool:
    turn_id, started = held.turn_id, time.monotonic()
    if held.attempt == 1:
        metrics.observe("halo_pickup_seconds", held.waited)
    in_hand.took(held)
    for merged in held.merged:
        tape.append(merged, attempt=held.attempt, kind="merged")
    try:
        _attempt(held, started, is_followed=is_followed)
    except Overtaken:
        log.info("turn_overtaken")
        # Also where a commit's answer was lost and its repeat found the turn done: nobody else tells the waiters.
        ending.announce_held(held, merged=held.merged)
    except Exception as error:
        # A defect of ours must not leave the turn hanging until its time is over.
        defect = type(error).__name__
        log.exception("turn_failed", error=defect)
        _persist(lambda: ending.close(turn_id, code="unavailable", detail=defect, held=held))
    finally:
        others_wait = in_hand.put_down(held)
        release_connection()
    return others_wait


def _attempt(held: Claim, started: float, *, is_followed: bool) -> None:
    reading = _persist(lambda: read(held, now=timezone.now()))
    in_hand.beginning.leave()
    config = reading.case.config
    deadline = started + min(float(config.deadline_seconds), held.seconds_left)
    progress = Progress(began=started)
    keeps_text = reading.turn.keeps_text
    outlet = TapeOutlet(held.turn_id, attempt=held.attempt, keeps_text=keeps_text, is_heard=is_followed)
    try:
        if _ends_with_what_left(reading, held, progress):
            return
        decision = think(reading.case, LiveHands(reading, held), progress, deadline=deadline, outlet=outlet)
        outlet.close()
        progress.timings["total_ms"] = milliseconds_since(started)
        text, generation = outlet.whole(decision.text)
        reply = dataclasses.replace(_reply(decision), text=text, generation=generation)
        _record(reading, held, progress, reply, decision.handover)
    except Overtaken:
        raise
    except ModelError as error:
        outlet.close()
        log.warning("model_failed", kind=error.kind, ms=milliseconds_since(started))
        progress.timings["total_ms"] = milliseconds_since(started)
        if reading.turn.keeps_text and outlet.left:
            broken = _broken_off(outlet.left, outlet.generation, code=_code_of(error), detail=_detail_of(error))
            _record(reading, held, progress, broken, None)
        else:
            _after_failure(reading, held, progress, error)
    except Exception as error:
        # A defect of ours: whoever looks for it wants to see how far the attempt came.
        outlet.close()
        defect = type(error).__name__
        log.exception("turn_failed", error=defect)
        progress.timings.setdefault("total_ms", milliseconds_since(started))
        _fail(reading, held, progress, code="unavailable", detail=defect)
    finally:
        measuring.count_model_calls(progress)


def _ends_with_what_left(reading: Reading, held: Claim, progress: Progress) -> bool:
    """Records what an earlier attempt has sent where it cannot be taken back; False where there is none of that."""
    if not reading.turn.keeps_text or held.attempt == 1:
        return False
    try:
        generation, left = tape.text_on(held.turn_id)
    except wire.WireAway:
        return False
    if left:
        broken = _broken_off(left, generation, code="unavailable", detail="Its process was lost in mid-answer.")
        _record(reading, held, progress, broken, None)
    return bool(left)


def _broken_off(text: str, generation: str, *, code: str, detail: str) -> Reply:
    return Reply(
        outcome=Turn.Outcome.ANSWERED,
        text=text,
        # What is missing may be what matters.
        confidence=0.0,
        error_code=code,
        error_detail=detail,
        generation=generation,
        covers=False,
    )


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
    config, away = reading.case.config, reading.case.away
    if error.kind == "blank" and progress.escalation is not None and _may_hand_over(reading.case):
        reply = Reply(
            outcome=Turn.Outcome.ANSWERED,
            # Who was to be asked for a yes must read what for.
            text=with_questions(with_away(config.handover_text, away), progress.asked),
            confidence=0.0,
            answer_type=AnswerType.NEEDS_PERSON,
            escalated=True,
        )
        reason = progress.escalation
    elif config.on_failure == "polite":
        reply = Reply(
            outcome=Turn.Outcome.APOLOGY,
            text=with_away(config.failure_text, away),
            escalated=True,
            error_code=_code_of(error),
            error_detail=_detail_of(error),
        )
        reason = "The model failed; the visitor was told that the team takes over."
    else:
        _fail(reading, held, progress, code=_code_of(error), detail=_detail_of(error))
        return
    handover = Handover(sign="failure", reason=reason, has_priority=False, team=config.escalation_team)
    why = {"result": escalation.HANDED_OVER, "by": "failure", "signs": [{"sign": "failure", "reason": reason}]}
    explained = dataclasses.replace(reply, explanation={**why, **({"away": away.sentence} if away else {})})
    _record(reading, held, progress, explained, handover)


def _fail(reading: Reading, held: Claim, progress: Progress, *, code: str, detail: str) -> None:
    spent = _spent(reading, progress)
    # No lock on the turn: whether this attempt may still end it is decided by the statement that ends it. A later
    # attempt, or a retry with the same key, writes its own trace over this one.
    _persist(lambda: tracing.write(tracing.trace_of(reading, progress)))
    _persist(lambda: ending.close(held.turn_id, code=code, detail=detail, held=held, spent=spent))


def _may_hand_over(case: Case) -> bool:
    """Whether the model's call for a person counts."""
    asks = wishes.asks_for_person(*case.briefing.messages)
    attempts = case.earlier_answers + 1
    return escalation.blocked_by(case.config, case.facts, attempts=attempts, visitor_asks=asks) is None


def _record(reading: Reading, held: Claim, progress: Progress, reply: Reply, handover: Handover | None) -> None:
    language = languages.language_of(reading.case.briefing.question)
    counted = dataclasses.replace(reply, spent=_spent(reading, progress), language=language)
    trace = _persist(lambda: tracing.trace_of(reading, progress))

    def write() -> Settled:
        heeded = reading.whispers if reply.outcome == Turn.Outcome.ANSWERED and not reply.error_code else []
        if not progress.effects and handover is None and not heeded:
            return settle(reading.turn, counted, held=held, trace=trace)
        with transaction.atomic():
            done = effects.perform(reading, held, progress, handover)
            final = dataclasses.replace(
                counted,
                text=tickets.with_number(reply.text, done.why.get("ticket"), reading.case.away),
                actions=done.actions,
                explanation={**reply.explanation, **done.why},
            )
            settled = settle(reading.turn, final, held=held, trace=trace)
            effects.heed(reading.turn, heeded)
            return settled

    settled = _persist(write)
    log.info("turn_answered", outcome=reply.outcome, answer_type=reply.answer_type, confidence=reply.confidence)
    measuring.count_answer(reply.outcome, seconds=held.waited + milliseconds_since(progress.began) / 1000)
    merged = held.merged if reply.covers else ()
    measuring.count_merged(len(merged))
    ending.announce_held(held, merged=merged, was_last=not settled.more_was_said, response=settled.response)
    if effects.needs_outbox(progress, handover):
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
