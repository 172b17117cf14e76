"""Readings of sources: asked for, worked on in slices of some seconds, stopped, and brought to an end whatever dies."""

from __future__ import annotations

import datetime as dt
import time
import uuid

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.knowledge.crawling import Crawler, Later
from agents.knowledge.documents.drafts import Undecipherable
from agents.knowledge.documents.reader import DocumentReader, shared_reader
from agents.knowledge.holding import Hold, Lost, claim, forget_staged, nudge, nudge_due
from agents.knowledge.models import Source, SourceDocument, SourceFile, SourceRun
from agents.knowledge.staging import NothingRead, check, embed_some, put_into_place, stage
from orgs.models import User
from orgs.services import Conflict

log = structlog.get_logger(__name__)
# A worker has more to do than this: after so long the next waiting task has its turn.
SLICE_SECONDS = 10.0
KEPT_RUNS = 5
# After an error of ours: a database that restarts, a disk that is full.
RETRY = dt.timedelta(seconds=30)


def request_run(*, source: Source, by: User | None) -> SourceRun:
    """A new reading of `source`; a worker is called after the commit. Raises Conflict where one is going on."""
    try:
        with transaction.atomic():
            run: SourceRun = SourceRun.objects.create(
                org_id=source.org_id, source=source, requested_by=by, due_at=timezone.now() + RETRY
            )
            if source.kind != Source.Kind.SITE:
                files = SourceFile.objects.for_org(source.org_id).filter(source=source).order_by("name")
                SourceDocument.objects.bulk_create(
                    SourceDocument(org_id=source.org_id, run=run, key=file.name, file=file)
                    for file in files.only("name")
                )
    except IntegrityError:
        raise Conflict("It is being read already.") from None
    transaction.on_commit(lambda: nudge(run.pk, 0))
    return run


def stop_run(*, run: SourceRun) -> bool:
    """Ends a reading that is going on; what was known before stays. False where it had ended."""
    with transaction.atomic():
        open_run = SourceRun.objects.for_org(run.org_id).filter(pk=run.pk, status__in=["queued", "running"])
        stopped = open_run.update(
            status=SourceRun.Status.STOPPED, in_hand=False, finished_at=timezone.now(), note="Somebody stopped it."
        )
        if stopped:
            forget_staged(run)
    return bool(stopped)


def work(run_id: uuid.UUID, number: int) -> None:
    """Works on a reading for a while, and hands over what is left; claim `number` says which nudge this is."""
    hold = claim(run_id, number)
    if hold is None:
        return
    try:
        finished = _slice(hold, shared_reader(), until=time.monotonic() + SLICE_SECONDS)
        if finished:
            forget_old_runs(hold.run.source)
        else:
            hold.hand_over()
    except Later as pause:
        hold.hand_over(after=pause.at)
    except NothingRead as error:
        _fail(hold, str(error))
    except Lost:
        log.info("reading_lost", run=str(run_id))
    except Exception:
        # Still in hand and soon due: the sweep counts it as lost, and gives up after some times.
        log.exception("reading_failed", run=str(run_id))
        SourceRun.objects.filter(pk=run_id, claim=hold.run.claim).update(due_at=timezone.now() + RETRY)


def _slice(hold: Hold, reader: DocumentReader, *, until: float) -> bool:
    """Reads, then embeds, then puts into place; whether all of it is done."""
    is_site = hold.run.source.kind == Source.Kind.SITE
    crawler = Crawler(hold, reader) if is_site else None
    if crawler and not hold.run.memory.get("begun"):
        crawler.begin()
    while True:
        document = crawler.next() if crawler else _next_file(hold)
        if document is None:
            break
        if crawler:
            crawler.read(document)
        else:
            _read_file(hold, document, reader)
        if time.monotonic() > until:
            return False
    check(hold)
    while embed_some(hold):
        if time.monotonic() > until:
            return False
    put_into_place(hold)
    return True


def _next_file(hold: Hold) -> SourceDocument | None:
    waiting = SourceDocument.objects.for_org(hold.run.org_id).filter(run=hold.run, state=SourceDocument.State.WAITING)
    found: SourceDocument | None = waiting.select_related("file").order_by("pk").first()
    return found


def _read_file(hold: Hold, document: SourceDocument, reader: DocumentReader) -> None:
    try:
        if document.file is None:
            raise Undecipherable("It was removed.")
        hold.pulse()
        found = reader.read_file(document.file.name, bytes(document.file.data), tick=hold.pulse)
    except Undecipherable as error:
        with hold.writing():
            document.state, document.reason = SourceDocument.State.FAILED, str(error)
            document.save(update_fields=["state", "reason"])
    else:
        with hold.writing():
            stage(hold, document, found)


def _fail(hold: Hold, why: str) -> None:
    source = hold.run.source
    try:
        hold.finish(SourceRun.Status.FAILED, note=why)
    except Lost:
        return
    Source.objects.for_org(source.org_id).filter(pk=source.pk).update(next_read_at=source.next_after(timezone.now()))
    forget_old_runs(source)


def tend(*, now: dt.datetime | None = None) -> None:
    """Nudges for readings that nobody works on, and begins those of sites whose time has come."""
    now = now or timezone.now()
    nudge_due(now)
    for source in Source.objects.filter(next_read_at__lte=now, kind=Source.Kind.SITE).order_by("next_read_at")[:100]:
        due = Source.objects.filter(pk=source.pk, next_read_at=source.next_read_at)
        if due.update(next_read_at=source.next_after(now)):
            try:
                request_run(source=source, by=None)
            except Conflict:
                continue  # somebody has just asked for it


def forget_old_runs(source: Source) -> int:
    """Removes all but the newest readings of a source that have ended, and the last one that was done."""
    runs = SourceRun.objects.for_org(source.org_id).filter(source=source)
    ended = runs.exclude(status__in=["queued", "running"]).order_by("-created_at").values_list("pk", flat=True)
    # What it knows of the pages serves the next one, however many failed since.
    done = ended.filter(status=SourceRun.Status.DONE).first()
    old = [pk for pk in ended[KEPT_RUNS:] if pk != done]
    runs.filter(pk__in=old).delete()
    return len(old)
