"""Celery's entrances: ids in, one call, policy in the decorator."""

from __future__ import annotations

import uuid

from celery import shared_task

from conversations import answering, budgeting, housekeeping, outbox, rehearsal
from conversations.analytics import counting
from conversations.inbox import ticketing
from conversations.privacy import erasing


@shared_task(name="conversations.tasks.answer_turn", ignore_result=True)
def answer_turn(turn_id: str) -> None:
    """Answers one turn, if it is still to be had."""
    answering.serve(uuid.UUID(turn_id))


@shared_task(name="conversations.tasks.rehearse", ignore_result=True)
def rehearse(person_id: str, key: str) -> None:
    """Answers one try-out of a draft, if somebody still waits for it."""
    rehearsal.rehearse(uuid.UUID(person_id), key)


@shared_task(name="conversations.tasks.send_outbox", ignore_result=True)
def send_outbox() -> None:
    """Sends what is due."""
    outbox.send_due()


@shared_task(name="conversations.tasks.wake_tickets", ignore_result=True)
def wake_tickets() -> None:
    """Opens snoozed tickets whose time has come."""
    ticketing.wake()


@shared_task(name="conversations.tasks.keep_house", ignore_result=True)
def keep_house() -> None:
    """Removes what is past its retention."""
    housekeeping.run()


@shared_task(name="conversations.tasks.erase", ignore_result=True)
def erase(erasure_id: str = "") -> None:
    """Erases one person, or all who are still to be erased."""
    if erasure_id:
        erasing.carry_out(uuid.UUID(erasure_id))
    else:
        erasing.carry_out_rest()


@shared_task(name="conversations.tasks.add_up", ignore_result=True)
def add_up() -> None:
    """Counts what has happened since it was counted last."""
    counting.run()


@shared_task(name="conversations.tasks.set_thresholds", ignore_result=True)
def set_thresholds(agent_id: str = "") -> None:
    """Sets the thresholds that follow from error budgets: of one agent, or of all."""
    budgeting.set_thresholds(agent_id=uuid.UUID(agent_id) if agent_id else None)
