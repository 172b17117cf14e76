"""What a source's page shows of its readings, while they go on and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Case, Count, F, IntegerField, QuerySet, Value, When

from agents import sources
from agents.knowledge.models import Source, SourceDocument, SourceFile, SourceRun, StagedArticle
from orgs.staff_lists import BoundedPaginator

SHOWN_FILES = 200
SHOWN_DOCUMENTS = 12
DOCUMENTS_A_PAGE = 100
State = SourceDocument.State
# What wants to be looked at comes first.
_WORST_FIRST = [State.FAILED, State.PARTLY, State.GONE, State.SKIPPED, State.WAITING, State.READ]


@dataclass(frozen=True, slots=True)
class Progress:
    """A source's state; `part` and `whole` are those of the step that is going on."""

    articles: int
    passages: int
    run: SourceRun | None
    step: str
    part: int
    whole: int
    counts: dict[str, int]
    documents: Sequence[SourceDocument]
    files: Sequence[SourceFile]
    earlier: Sequence[SourceRun]


def of(source: Source) -> Progress:
    """How things stand."""
    articles, passages = sources.contents(source)
    runs = list(
        SourceRun.objects.for_org(source.org_id)
        .filter(source=source)
        .defer("memory")
        .select_related("requested_by")
        .order_by("-created_at")[:6]
    )
    run = runs[0] if runs else None
    counts = counts_of(run) if run else {}
    step, part, whole = _step(source, run, counts) if run and run.is_open else ("", 0, 0)
    return Progress(
        articles=articles,
        passages=passages,
        run=run,
        step=step,
        part=part,
        whole=whole,
        counts=counts,
        documents=list(documents_of(run)[:SHOWN_DOCUMENTS]) if run else [],
        files=list(
            SourceFile.objects.for_org(source.org_id).filter(source=source).defer("data").order_by("name")[:SHOWN_FILES]
        ),
        earlier=runs[1:],
    )


def counts_of(run: SourceRun) -> dict[str, int]:
    """How many documents are in which state; all under `all`."""
    rows = SourceDocument.objects.for_org(run.org_id).filter(run=run).values_list("state").annotate(Count("pk"))
    counts = dict(rows)
    return {**counts, "all": sum(counts.values())}


def documents_of(run: SourceRun, state: str = "") -> QuerySet[SourceDocument]:
    """The documents of a reading, the worst first, or those in one state."""
    found: QuerySet[SourceDocument] = SourceDocument.objects.for_org(run.org_id).filter(run=run)
    if state:
        return found.filter(state=state).order_by("pk")
    if run.is_open:
        # What has just been read, and below it what comes next.
        found = found.annotate(waits=Case(When(state=State.WAITING, then=F("pk")), default=-F("pk")))
        return found.order_by(Case(When(state=State.WAITING, then=1), default=0), "waits")
    whens = [When(state=one, then=Value(rank)) for rank, one in enumerate(_WORST_FIRST)]
    return found.annotate(rank=Case(*whens, output_field=IntegerField())).order_by("rank", "pk")


def page_of(run: SourceRun, state: str, number: str) -> Any:
    """A page of the list of documents."""
    chosen = state if state in State.values else ""
    paginator: Paginator[SourceDocument] = BoundedPaginator(documents_of(run, chosen), DOCUMENTS_A_PAGE)
    return paginator.get_page(number)


def _step(source: Source, run: SourceRun, counts: dict[str, int]) -> tuple[str, int, int]:
    whole = counts.get("all", 0)
    waiting = counts.get(State.WAITING, 0)
    things = "pages found so far" if source.kind == Source.Kind.SITE else "files"
    if run.status == SourceRun.Status.QUEUED:
        return "Waiting for a worker", 0, 0
    if waiting or not whole:
        return f"Reading: {whole - waiting} of {whole} {things}", whole - waiting, whole
    staged = dict(StagedArticle.objects.for_org(run.org_id).filter(run=run).values_list("state").annotate(Count("pk")))
    left = staged.get(StagedArticle.State.WAITING, 0)
    new = left + staged.get(StagedArticle.State.READY, 0)
    if left:
        return f"Making searchable: {new - left} of {new} new or changed articles", new - left, new
    return "Putting everything into place", new, new
