"""Who works on a reading: the row is the truth, the queue a nudge, and only the last claim counts."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import structlog
from celery import current_app
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from kombu.exceptions import OperationalError

from agents.knowledge.models import SourceDocument, SourceRun, StagedArticle
from halo import wire
from halo.db import release_connection

log = structlog.get_logger(__name__)
WORK_RUN = "agents.tasks.work_run"
# Longer than anything takes between two signs of life, so that the work of a killed worker goes on soon.
LEASE = dt.timedelta(seconds=45)
# How long a nudge may wait in the queue before it is given again.
PATIENCE = dt.timedelta(seconds=60)
MAX_LOST = 5
_OPEN = [SourceRun.Status.QUEUED, SourceRun.Status.RUNNING]


class Lost(Exception):
    """The reading was stopped, or somebody else works on it: nothing more may be written."""


class Hold:
    """A claimed reading."""

    def __init__(self, run: SourceRun) -> None:
        self.run = run

    def renew(self) -> None:
        """Says that the work goes on; raises Lost."""
        if not self._mine().update(due_at=timezone.now() + LEASE):
            raise Lost

    def pulse(self) -> None:
        """`renew`, for whoever is about to wait: afterwards no connection is held."""
        self.renew()
        release_connection()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that begins with the claim; raises Lost where it holds no more."""
        with transaction.atomic():
            # The row stays locked until the end, so nobody else can claim or stop it meanwhile.
            self.renew()
            yield

    def hand_over(self, *, after: dt.datetime | None = None) -> None:
        """Leaves the rest to the next worker: at once, or not before `after`."""
        due = after or timezone.now() + PATIENCE
        if self._mine().update(in_hand=False, lost=0, due_at=due) and after is None:
            nudge(self.run.pk, self.run.claim)

    def finish(self, status: SourceRun.Status, *, note: str = "", **numbers: int) -> None:
        """Ends the reading; what it had staged is dropped. Raises Lost."""
        values = {"status": status, "note": note, "in_hand": False, "finished_at": timezone.now(), **numbers}
        with transaction.atomic():
            if not self._mine().update(**values):
                raise Lost
            forget_staged(self.run)

    def _mine(self) -> QuerySet[SourceRun]:
        mine: QuerySet[SourceRun] = SourceRun.objects.for_org(self.run.org_id).filter(
            pk=self.run.pk, claim=self.run.claim, status=SourceRun.Status.RUNNING
        )
        return mine


def claim(run_id: uuid.UUID, number: int) -> Hold | None:
    """The reading, if it is open and nobody has claimed it since `number` was noted; else None."""
    now = timezone.now()
    claimed = SourceRun.objects.filter(pk=run_id, claim=number, status__in=_OPEN).update(
        claim=F("claim") + 1,
        status=SourceRun.Status.RUNNING,
        in_hand=True,
        started_at=Coalesce("started_at", now),
        due_at=now + LEASE,
    )
    if not claimed:
        return None
    run = SourceRun.objects.select_related("source__org").filter(pk=run_id, claim=number + 1).first()
    return Hold(run) if run else None


def nudge(run_id: uuid.UUID, number: int) -> bool:
    """Asks a worker to go on with the reading; False where Redis is away: the sweep asks again."""
    if wire.is_away():
        return False
    try:
        current_app.send_task(WORK_RUN, args=[str(run_id), number], retry=False, ignore_result=True)
    except (OperationalError, redis.exceptions.RedisError, OSError) as error:
        wire.mark_away()
        log.warning("reading_not_queued", error=type(error).__name__)
        return False
    return True


def nudge_due(now: dt.datetime) -> int:
    """Nudges for the readings that nobody has worked on in time, and gives up those that were lost too often."""
    nudged = 0
    for run in SourceRun.objects.filter(status__in=_OPEN, due_at__lte=now).defer("memory").order_by("due_at")[:100]:
        with transaction.atomic():
            due = SourceRun.objects.filter(pk=run.pk, claim=run.claim, status__in=_OPEN, due_at=run.due_at)
            # Who holds the row is about to say that the work goes on.
            if not due.select_for_update(skip_locked=True, of=("self",)).only("pk").exists():
                continue
            given_up = run.in_hand and run.lost + 1 >= MAX_LOST
            if given_up:
                note = f"Its worker was lost {MAX_LOST} times. What was known before still serves."
                due.update(status=SourceRun.Status.FAILED, note=note, in_hand=False, finished_at=now)
                forget_staged(run)
                log.error("reading_given_up", run=str(run.pk))
            else:
                due.update(due_at=now + PATIENCE, in_hand=False, lost=F("lost") + (1 if run.in_hand else 0))
        if not given_up:
            nudged += nudge(run.pk, run.claim)
    return nudged


def forget_staged(run: SourceRun) -> None:
    """Drops what a reading that has ended had staged, and what it would still have read."""
    StagedArticle.objects.for_org(run.org_id).filter(run=run)._raw_delete(using="default")
    SourceDocument.objects.for_org(run.org_id).filter(run=run, state=SourceDocument.State.WAITING)._raw_delete(
        using="default"
    )
