"""From read documents to searchable articles: staged, embedded, and put into place all at once."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from itertools import islice

import numpy as np
from django.db.models import Count, QuerySet
from django.utils import timezone

from agents.knowledge import revisiting, splitting
from agents.knowledge.addresses import Scope, article_id
from agents.knowledge.documents.drafts import Draft, Unreadable
from agents.knowledge.embedding import Vectors
from agents.knowledge.holding import Hold
from agents.knowledge.importing import content_hash, storable_draft, store, vectors_of
from agents.knowledge.models import (
    DIMENSIONS,
    Article,
    Passage,
    Source,
    SourceDocument,
    SourceRun,
    StagedArticle,
)

# Pieces that are embedded between two signs of life: about two seconds.
PIECES = 64
# Characters of articles that are embedded before somebody looks at the clock.
CHARACTERS = 100_000
STORED_TOGETHER = 50
SHOWN_REASONS = 5
# So many articles gone, and more than this share of all, are not believed the first time.
MANY, MOST = 5, 0.5

State = StagedArticle.State


class NothingRead(Exception):
    """A reading that must not replace what is there; the message is a sentence for staff."""


# --- Staging ---------------------------------------------------------------------------------------------------------
def stage(
    hold: Hold, document: SourceDocument, found: Sequence[Draft | Unreadable], *, by_content: bool = False
) -> list[str]:
    """Notes what a document holds, in the caller's transaction; returns the ids of its articles.

    `by_content`: what says the same as an article that is staged already is left out.
    """
    run = hold.run
    reasons = [item.reason for item in found if isinstance(item, Unreadable)]
    drafts: dict[str, Draft] = {}
    for item in found:
        draft = storable_draft(item) if isinstance(item, Draft) else item
        if isinstance(draft, Unreadable):
            if isinstance(item, Draft):
                reasons.append(f"{draft.where}: {draft.reason}")
        elif draft.external_id in drafts:
            reasons.append(f"{draft.external_id}: appears twice; the first one was taken")
        else:
            drafts[draft.external_id] = draft
    taken = StagedArticle.objects.for_org(run.org_id).filter(run=run)
    for external_id, key in taken.filter(external_id__in=drafts).values_list("external_id", "document__key"):
        del drafts[external_id]
        reasons.append(f"{external_id}: appears in {key} too, which was read first")
    hashes = {external_id: content_hash(draft) for external_id, draft in drafts.items()}
    if by_content:
        same = taken.filter(content_hash__in=hashes.values()).values_list("content_hash", "document__key")
        for digest, key in same:
            for external_id in [name for name, known in hashes.items() if known == digest and name in drafts]:
                del drafts[external_id]
                reasons.append(f"It says the same as {key}")
    known = _hashes_of(run.source, list(drafts))
    StagedArticle.objects.bulk_create(
        StagedArticle(
            org_id=run.org_id,
            run=run,
            document=document,
            content_hash=hashes[external_id],
            state=State.SAME if known.get(external_id) == hashes[external_id] else State.WAITING,
            **dataclasses.asdict(draft),
        )
        for external_id, draft in drafts.items()
    )
    document.articles = len(drafts)
    document.reason = "; ".join(reasons[:SHOWN_REASONS]) + (
        f"; and {len(reasons) - SHOWN_REASONS} more" if len(reasons) > SHOWN_REASONS else ""
    )
    if not drafts:
        document.state = SourceDocument.State.SKIPPED if by_content else SourceDocument.State.FAILED
    else:
        document.state = SourceDocument.State.PARTLY if reasons else SourceDocument.State.READ
    document.save(update_fields=["articles", "reason", "state"])
    return list(drafts)


def _hashes_of(source: Source, external_ids: list[str]) -> dict[str, str]:
    rows = Article.objects.for_org(source.org_id).filter(source=source, external_id__in=external_ids)
    return dict(rows.values_list("external_id", "content_hash"))


# --- Embedding -------------------------------------------------------------------------------------------------------
def embed_some(hold: Hold) -> bool:
    """Embeds the next of what is new or has changed; False where nothing is left. No transaction is open meanwhile."""
    run = hold.run
    waiting = StagedArticle.objects.for_org(run.org_id).filter(run=run, state=State.WAITING).order_by("pk")
    rows: list[StagedArticle] = []
    for row in waiting[:16]:
        rows.append(row)
        if sum(len(one.content) for one in rows) > CHARACTERS:
            break
    if not rows:
        return False
    hold.pulse()
    cut = [splitting.split(row.title, row.content) for row in rows]
    vectors = _embedded(hold, [piece for pieces in cut for piece in pieces])
    with hold.writing():
        start = 0
        for row, pieces in zip(rows, cut, strict=True):
            row.pieces = [[piece.heading, piece.text] for piece in pieces]
            row.vectors = vectors[start : start + len(pieces)].tobytes()
            row.state = State.READY
            start += len(pieces)
        StagedArticle.objects.bulk_update(rows, ["pieces", "vectors", "state"])
    return True


def _embedded(hold: Hold, pieces: list[splitting.Piece]) -> Vectors:
    parts = []
    for start in range(0, len(pieces), PIECES):
        parts.append(vectors_of(pieces[start : start + PIECES]))
        hold.pulse()
    return np.concatenate(parts)


# --- Putting into place ----------------------------------------------------------------------------------------------
def check(hold: Hold) -> None:
    """Raises NothingRead where what was read must not take the place of what is there."""
    run = hold.run
    if StagedArticle.objects.for_org(run.org_id).filter(run=run).exists():
        return
    documents = SourceDocument.objects.for_org(run.org_id).filter(run=run)
    failed = documents.filter(state=SourceDocument.State.FAILED).order_by("pk").first()
    other = failed or documents.exclude(reason="").order_by("pk").first()
    why = f" {other.key}: {other.reason}" if other else ""
    raise NothingRead(f"Nothing was found that could be read.{why}")


def put_into_place(hold: Hold) -> None:
    """Replaces the source's articles by those staged, in one transaction: before it the old ones are found."""
    run, source, now = hold.run, hold.run.source, timezone.now()
    with hold.writing():
        source = Source.objects.for_org(run.org_id).select_for_update().get(pk=source.pk)
        created = updated = 0
        ready = StagedArticle.objects.for_org(run.org_id).filter(run=run, state=State.READY)
        rows = ready.select_related("document__file").order_by("external_id").iterator(chunk_size=STORED_TOGETHER)
        while some := list(islice(rows, STORED_TOGETHER)):
            for row in some:
                pieces = [splitting.Piece(number, *piece) for number, piece in enumerate(row.pieces)]
                vectors = np.frombuffer(row.vectors, dtype=np.float32).reshape(-1, DIMENSIONS)
                if store(source, _draft(row), pieces, vectors, row.document.file):
                    created += 1
                else:
                    updated += 1
        unchanged = _keep_unchanged(run)
        removed, withheld = _remove_what_is_gone(run, source)
        _count_passages(run)
        revisiting.forget_earlier(run)
        note = _note(run, withheld)
        passages = Passage.objects.for_org(run.org_id).filter(article__source=source).count()
        source.last_read_at, source.next_read_at = now, source.next_after(now)
        source.save(update_fields=["last_read_at", "next_read_at"])
        hold.finish(
            SourceRun.Status.DONE,
            note=note,
            created=created,
            updated=updated,
            unchanged=unchanged,
            removed=removed,
            withheld=withheld,
            passages=passages,
        )


def _draft(row: StagedArticle) -> Draft:
    return Draft(row.external_id, row.title, row.content, row.url)


def _keep_unchanged(run: SourceRun) -> int:
    """Takes over what costs no embedding: the address, and which file the article is from."""
    rows = StagedArticle.objects.for_org(run.org_id).filter(run=run, state=State.SAME)
    same = {row[0]: row[1:] for row in rows.values_list("external_id", "url", "document__file_id")}
    changed = []
    for article in _articles(run).filter(external_id__in=same).only("external_id", "url", "file_id"):
        if (article.url, article.file_id) != same[article.external_id]:
            article.url, article.file_id = same[article.external_id]
            changed.append(article)
    Article.objects.bulk_update(changed, ["url", "file_id"], batch_size=500)
    return len(same)


def _articles(run: SourceRun) -> QuerySet[Article]:
    found: QuerySet[Article] = Article.objects.for_org(run.org_id).filter(source=run.source_id)
    return found


def _remove_what_is_gone(run: SourceRun, source: Source) -> tuple[int, int]:
    """Removes the articles that the reading shows to be gone; returns how many, and how many it did not dare to."""
    staged = StagedArticle.objects.for_org(run.org_id).filter(run=run)
    missing = _articles(run).exclude(external_id__in=staged.values("external_id"))
    if source.kind == Source.Kind.SITE:
        gone = _gone_pages(run, source, missing)
    else:
        read = SourceDocument.objects.for_org(run.org_id).filter(
            run=run, state__in=[SourceDocument.State.READ, SourceDocument.State.PARTLY]
        )
        # Of a file that could not be read this time, everything stays.
        gone = list(missing.filter(file__in=read.values("file")).values_list("pk", flat=True))
        return delete_articles(run, gone), 0
    everything = _articles(run).count()
    if len(gone) > MANY and len(gone) > MOST * everything and not _was_withheld(run):
        return 0, len(gone)
    return delete_articles(run, gone), 0


def _gone_pages(run: SourceRun, source: Source, missing: QuerySet[Article]) -> list[uuid.UUID]:
    documents = SourceDocument.objects.for_org(run.org_id).filter(run=run)
    states = {article_id(key): state for key, state in documents.values_list("key", "state")}
    whole = not run.memory.get("cut") and SourceDocument.State.FAILED not in states.values()
    scope = Scope.of(source.address, include=source.include, exclude=source.exclude)
    gone = []
    for pk, external_id, url in missing.values_list("pk", "external_id", "url"):
        state = states.get(external_id.partition("#part-")[0])
        if state == SourceDocument.State.FAILED:
            continue  # not reached is not gone
        # A page that nothing leads to any more is gone only if everything else was seen.
        if state is not None or whole or scope.why_not(url, is_start=False):
            gone.append(pk)
    return gone


def _was_withheld(run: SourceRun) -> bool:
    """Whether the reading before this one found as much missing: then it is believed."""
    before = (
        SourceRun.objects.for_org(run.org_id)
        .filter(source=run.source_id, status=SourceRun.Status.DONE)
        .exclude(pk=run.pk)
        .order_by("-created_at")
        .first()
    )
    return before is not None and before.withheld > 0


def delete_articles(run: SourceRun, keys: Sequence[uuid.UUID]) -> int:
    """Removes articles and their passages."""
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        Article.objects.for_org(run.org_id).filter(pk__in=some).delete()
    return len(keys)


def _count_passages(run: SourceRun) -> None:
    """Notes with each document how many passages it has made."""
    counts: dict[int, int] = {}
    staged = StagedArticle.objects.for_org(run.org_id).filter(run=run)
    document_of = dict(staged.values_list("external_id", "document_id"))
    for external_id, number in _articles(run).values_list("external_id").annotate(Count("passages")):
        if external_id in document_of:
            counts[document_of[external_id]] = counts.get(document_of[external_id], 0) + number
    rows = [SourceDocument(pk=pk, passages=number) for pk, number in counts.items()]
    SourceDocument.objects.bulk_update(rows, ["passages"], batch_size=500)


def _note(run: SourceRun, withheld: int) -> str:
    documents = SourceDocument.objects.for_org(run.org_id).filter(run=run)
    failed = documents.filter(state=SourceDocument.State.FAILED).count()
    sentences = list(run.memory.get("cut", []))
    if failed:
        what = "page" if run.source.kind == Source.Kind.SITE else "file"
        what += "" if failed == 1 else "s"
        sentences.append(f"{failed} {what} could not be read; what was known of them stays.")
    if withheld:
        sentences.append(
            f"{withheld} articles seem to be gone, which is more than half. They stay for now; if the next reading "
            "does not find them either, they are removed."
        )
    return " ".join(sentences)
