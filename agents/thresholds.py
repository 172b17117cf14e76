"""The confidence threshold that follows from an agent's error budget: asking a worker to find it anew."""

from __future__ import annotations

import redis
import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from agents.models import Agent
from halo import wire

log = structlog.get_logger(__name__)
SET_THRESHOLDS = "conversations.tasks.set_thresholds"
# A threshold that moves by less is left as it is: every move is a version of the agent.
STEP = 0.02


def ask_for(agent: Agent) -> None:
    """Has a worker set the agent's threshold once this transaction has committed; where Redis is away, the next day."""
    transaction.on_commit(lambda: _send(agent))


def _send(agent: Agent) -> None:
    if wire.is_away():
        return
    try:
        current_app.send_task(SET_THRESHOLDS, args=[str(agent.pk)], retry=False, ignore_result=True)
    except (OperationalError, redis.exceptions.RedisError, OSError) as error:
        wire.mark_away()
        log.warning("thresholds_not_asked_for", error=type(error).__name__)
