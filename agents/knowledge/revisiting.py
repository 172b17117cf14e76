"""What the last reading of a site knew of its pages, so that the site need not send again what has not changed."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.db.models import QuerySet

from agents.knowledge.documents import drafts
from agents.knowledge.documents.drafts import Draft
from agents.knowledge.models import Article, Source, SourceDocument, SourceRun

MAX_ETAG = 300
MAX_MODIFIED = 100
# SECURITY: characters of a page's links that are kept; a hostile site could fill the disk with them.
MAX_LINKS = 64_000
# SECURITY: what the site said becomes a header of ours; anything else is not kept.
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Marks:
    """How a site marks the state of a page; empty where it does not."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Marks:
        """The marks in an answer."""
        return cls(_kept(headers.get("etag", ""), MAX_ETAG), _kept(headers.get("last-modified", ""), MAX_MODIFIED))

    def conditions(self) -> dict[str, str]:
        """The headers of a request for the page only if it has changed."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in named.items() if value}


NO_MARKS = Marks()


@dataclass(frozen=True, slots=True)
class Known:
    """A page as it was read last: its marks, and what its body said."""

    marks: Marks
    links: Sequence[str]
    article_ids: Sequence[str]


def basis_of(source: Source) -> str:
    """What becomes of a page's bytes depends on this too; under another basis nothing is known of any page."""
    parts = (str(drafts.VERSION), source.address, source.include, source.exclude)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


class LastReading:
    """The last complete reading before `run`: of what came after, nothing was put into place."""

    def __init__(self, run: SourceRun) -> None:
        self._run = run

    @cached_property
    def _done(self) -> uuid.UUID | None:
        done = SourceRun.objects.for_org(self._run.org_id).filter(
            source=self._run.source_id, status=SourceRun.Status.DONE
        )
        last: tuple[uuid.UUID, str | None] | None = (
            done.order_by("-created_at").values_list("pk", "memory__basis").first()
        )
        # A reading that a worker of the release before began, or did, has none.
        return last[0] if last and last[1] and last[1] == self._run.memory.get("basis") else None

    def known_of(self, url: str) -> Known | None:
        """The page, where its body is needed only if it has changed: it has marks, and all its articles are there."""
        if self._done is None:
            return None
        read = SourceDocument.objects.for_org(self._run.org_id).filter(
            run=self._done, key=url, state=SourceDocument.State.READ
        )
        document = read.exclude(etag="", modified="").first()
        if document is None:
            return None
        known = Known(Marks(document.etag, document.modified), document.links, document.article_ids)
        # Whoever deletes an article of a page that is still there gets it back: then the page is read whole.
        return known if self._articles(known).count() == len(known.article_ids) else None

    def drafts_of(self, known: Known) -> list[Draft]:
        """The page's articles as they are there."""
        found = {article.external_id: article for article in self._articles(known)}
        rows = [found[external_id] for external_id in known.article_ids if external_id in found]
        return [Draft(row.external_id, row.title, row.content, row.url) for row in rows]

    def _articles(self, known: Known) -> QuerySet[Article]:
        articles: QuerySet[Article] = Article.objects.for_org(self._run.org_id).filter(
            source=self._run.source_id, external_id__in=known.article_ids
        )
        return articles


def remember(document: SourceDocument, *, marks: Marks, links: Sequence[str], article_ids: Sequence[str]) -> None:
    """Keeps with a page that was read what the next reading needs to ask only for changes."""
    if marks == NO_MARKS or sum(map(len, links)) > MAX_LINKS:
        return
    document.etag, document.modified = marks.etag, marks.modified
    document.links, document.article_ids = [*links], [*article_ids]
    document.save(update_fields=["etag", "modified", "links", "article_ids"])


def forget_earlier(run: SourceRun) -> None:
    """Drops what readings before `run`, which is being put into place, knew of the pages."""
    earlier = SourceDocument.objects.for_org(run.org_id).filter(run__source=run.source_id).exclude(run=run)
    earlier.exclude(etag="", modified="").update(etag="", modified="", links=[], article_ids=[])


def _kept(value: str, most: int) -> str:
    value = value.strip()
    return value if len(value) <= most and _PRINTABLE.fullmatch(value) else ""
