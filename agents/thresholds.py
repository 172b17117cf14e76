"""The confidence threshold that follows from an agent's error budget: put into force, and asked for anew."""

from __future__ import annotations

import dataclasses

import redis
import structlog
from celery import current_app
from django.db import transaction
from django.db.models import Max
from kombu.exceptions import OperationalError

from agents.config import AgentConfig
from agents.models import Agent, AgentVersion
from halo import wire
from orgs import audit
from orgs.models import User
from orgs.services import lock_org

log = structlog.get_logger(__name__)
SET_THRESHOLDS = "conversations.tasks.set_thresholds"
# A threshold that moves by less is left as it is: every move is a version of the agent.
STEP = 0.02


@transaction.atomic
def put_in_force(*, agent: Agent, budget: float, threshold: float, note: str, by: User | None) -> AgentVersion | None:
    """Publishes the current version with this threshold and nothing else; what nobody has published stays a draft.

    None where there is nothing to do: the budget in force is another one by now, or the threshold hardly moves.
    """
    lock_org(agent.org_id)
    stored = Agent.objects.for_org(agent.org_id).select_related("current_version").get(pk=agent.pk)
    current = stored.current_version
    if current is None or current.config.get("error_budget") != budget:
        return None
    config = AgentConfig.from_json(current.config)
    was = config.escalation_threshold
    if was is not None and abs(was - threshold) < STEP - 1e-9:
        return None
    newest = AgentVersion.objects.for_org(agent.org_id).filter(agent=agent).aggregate(newest=Max("number"))["newest"]
    version = AgentVersion(
        org_id=agent.org_id,
        agent=stored,
        number=newest + 1,
        config=dataclasses.replace(config, escalation_threshold=threshold).to_json(),
        note=note,
        created_by=by,
    )
    version.save(force_insert=True)
    stored.current_version, stored.escalation_threshold = version, threshold
    stored.save(update_fields=["current_version", "escalation_threshold"])
    audit.record(
        org=agent.org_id,
        actor=by,
        action="agent.threshold_set",
        target=stored,
        before={"version": current.number, "escalation_threshold": was},
        after={"version": version.number, "escalation_threshold": threshold, "note": note},
    )
    return version


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
