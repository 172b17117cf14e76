"""Reads a website page by page: politely, within its robots.txt, through the one door, and never further than asked."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.utils import timezone
from protego import Protego

from agents.knowledge import revisiting
from agents.knowledge.addresses import Scope, article_id, is_sitemap, normalised, origin
from agents.knowledge.documents.drafts import Draft, Page, Undecipherable, Unreadable, in_parts
from agents.knowledge.documents.reader import DocumentReader
from agents.knowledge.holding import Hold
from agents.knowledge.models import SourceDocument
from agents.knowledge.revisiting import NO_MARKS, Known, LastReading, Marks
from agents.knowledge.staging import NothingRead, stage
from halo.outgoing.client import Answer, NotReached, fetch

# What robots.txt calls us.
AGENT = "Halo"
PAUSE_SECONDS = 0.3
MAX_PAUSE_SECONDS = 10.0
FETCH_SECONDS = 20.0
MAX_BYTES = 10 * 1024 * 1024
MAX_ROBOTS = 512 * 1024
MAX_SITEMAPS = 200
MAX_TRIES = 3
# A site that fails so often in a row is down, and is not tried page by page.
MAX_IN_A_ROW = 10
MAX_TIME = dt.timedelta(hours=12)
ACCEPT = "text/html, application/xhtml+xml, application/pdf;q=0.8, text/plain;q=0.7, text/markdown;q=0.7"
_FILES = {"application/pdf": "page.pdf", "text/plain": "page.txt", "text/markdown": "page.md"}
_BUSY = (429, 503)

State = SourceDocument.State


class Later(Exception):
    """The site asks us to wait until `at`."""

    def __init__(self, at: dt.datetime) -> None:
        super().__init__()
        self.at = at


class Crawler:
    """Reads the pages of one reading; what it must remember between two workers is in the run's `memory`."""

    def __init__(self, hold: Hold, reader: DocumentReader) -> None:
        self.hold, self.run, self.source = hold, hold.run, hold.run.source
        self.reader = reader
        self.scope = Scope.of(self.source.address, include=self.source.include, exclude=self.source.exclude)
        self.start = normalised(self.source.address)
        self.memory: dict[str, Any] = self.run.memory
        self.before = LastReading(self.run)
        self._rules: dict[str, Protego] = {}
        self._last = 0.0
        self._changed = False  # the memory, since it was stored

    # --- The frontier ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Notes where to begin; raises NothingRead where the site does not want it."""
        if not self.start:
            raise NothingRead("The address is not one that can be read.")
        rules = self._rules_of(self.start)
        with self.hold.writing():
            self._note([self.start], sitemap=is_sitemap(self.source.address))
            if not is_sitemap(self.source.address):
                named = [normalised(address) for address in rules.sitemaps]
                self._note([url for url in named[:20] if belongs(self.scope, url)], sitemap=True)
            self._remember(begun=True, basis=revisiting.basis_of(self.source))

    def _note(self, urls: Iterable[str], *, sitemap: bool = False) -> None:
        """Adds pages to what is to be read, as far as there is room; what is known already stays as it is."""
        wanted = list(dict.fromkeys(url for url in urls if url))
        documents = SourceDocument.objects.for_org(self.run.org_id).filter(run=self.run)
        room = self._room() - documents.count()
        if len(wanted) > room:
            known = set(documents.filter(key__in=wanted).values_list("key", flat=True))
            wanted = [url for url in wanted if url not in known]
            if len(wanted) > room:
                self._cut("More pages were found than are to be read.")
                wanted = wanted[: max(room, 0)]
        SourceDocument.objects.bulk_create(
            (SourceDocument(org_id=self.run.org_id, run=self.run, key=url, is_sitemap=sitemap) for url in wanted),
            ignore_conflicts=True,
        )

    def _room(self) -> int:
        # Pages that turn out to be copies, moved or gone take room too, but not without end.
        return self.source.page_limit * 3 + MAX_SITEMAPS

    def next(self) -> SourceDocument | None:
        """The next page to read, sitemaps first; None where all are read or enough."""
        waiting = SourceDocument.objects.for_org(self.run.org_id).filter(run=self.run, state=State.WAITING)
        document = waiting.order_by("-is_sitemap", "tries", "pk").first()
        if document is None:
            return None
        read = SourceDocument.objects.for_org(self.run.org_id).filter(run=self.run, is_sitemap=False, articles__gt=0)
        why = ""
        if not document.is_sitemap and read.count() >= self.source.page_limit:
            why = f"Reading ended at the limit of {self.source.page_limit} pages."
        elif self.run.started_at and timezone.now() - self.run.started_at > MAX_TIME:
            why = f"Reading ended after {MAX_TIME.total_seconds() / 3600:.0f} hours."
        if not why:
            return document
        with self.hold.writing():
            self._cut(why)
            self._remember()
            waiting.delete()
        return None

    # --- One page ----------------------------------------------------------------------------------------------------

    def read(self, document: SourceDocument) -> None:
        """Fetches a page and stages what it says; raises NothingRead where the whole reading has failed."""
        url = document.key
        try:
            rules = self._rules_of(url)
            if not rules.can_fetch(url, AGENT):
                if url == self.start:
                    raise NothingRead(f"The site's robots.txt does not let {AGENT} read {url}")
                return self._end(document, State.SKIPPED, "The site's robots.txt does not allow it.")
            # Sitemaps always whole: what they list is all that they are for.
            known = None if document.is_sitemap else self.before.known_of(url)
            conditions = known.marks.conditions() if known else {}
            answer = self._fetch(url, rules, conditions, redirects=3 if document.is_sitemap else 0)
            if answer.status in _BUSY:
                return self._try_later(document, answer)
            if document.is_sitemap:
                return self._read_sitemap(document, answer)
            if answer.status == 304:
                return self._unchanged(document, known, answer)
            return self._read_answer(document, answer)
        except NotReached as error:
            return self._failed(document, error.message)
        except Undecipherable as error:
            return self._failed(document, str(error), reached=True)

    def _unchanged(self, document: SourceDocument, known: Known | None, answer: Answer) -> None:
        """Stages what is there of a page that the site need not send again, and follows the links that it had."""
        if known is None:
            return self._failed(document, "The site answered 304 (not modified), which it was not asked.", reached=True)
        said = robots_header(answer.headers.get("x-robots-tag", ""))
        links = [] if "nofollow" in said else known.links
        if "noindex" in said:
            return self._end(document, State.SKIPPED, "The page asks not to be indexed.", links)
        found: list[Draft | Unreadable] = [*self.before.drafts_of(known)]
        if len(found) < len(known.article_ids):
            found.append(Unreadable(document.key, "Its article was removed meanwhile; the next reading looks anew."))
        return self._stage(document, found, links, marks=NO_MARKS if said else known.marks)

    def _read_answer(self, document: SourceDocument, answer: Answer) -> None:
        url, status = document.key, answer.status
        if 300 <= status < 400 and "location" in answer.headers:
            return self._moved(document, normalised(urljoin(url, answer.headers["location"])))
        if status in (404, 410):
            if url == self.start:
                raise NothingRead(f"There is no page at {url} ({status}).")
            return self._end(document, State.GONE, f"It is gone ({status}).")
        if not 200 <= status < 300:
            return self._failed(document, f"The site answered {status}.", reached=status < 500)
        said = robots_header(answer.headers.get("x-robots-tag", ""))
        # An answer without a body may come without that header too, so a page with it is always read whole.
        marks = NO_MARKS if said else Marks.of(answer.headers)
        kind, _, parameters = answer.headers.get("content-type", "text/html").partition(";")
        kind = kind.strip().lower()
        if kind in _FILES:
            if "noindex" in said:
                return self._end(document, State.SKIPPED, "The page asks not to be indexed.")
            return self._stage(document, self._file(document, kind, answer.body), marks=marks)
        if kind not in ("text/html", "application/xhtml+xml"):
            return self._end(document, State.SKIPPED, f"It is no text ({kind[:60]}).")
        charset = parameters.partition("charset=")[2].strip("\"' ;")[:40]
        page = self.reader.read_page(answer.body, url=url, charset=charset, tick=self.hold.pulse)
        links = [] if page.nofollow or "nofollow" in said or self._is_listed() else self._inside(page.links)
        if page.noindex or "noindex" in said:
            return self._end(document, State.SKIPPED, "The page asks not to be indexed.", links)
        return self._stage(document, self._page(url, page), links, marks=marks)

    def _page(self, url: str, page: Page) -> list[Draft | Unreadable]:
        """The page as an article, under the address that it calls its own."""
        canonical = normalised(page.canonical)
        address = canonical if canonical and not self.scope.why_not(canonical) else url
        if not page.content.strip():
            return [Unreadable(url, "There is no text on it; it may need JavaScript.")]
        title = page.title or urlsplit(address).path.strip("/").rpartition("/")[2] or address
        return list(in_parts(Draft(article_id(address), title, page.content, address)))

    def _file(self, document: SourceDocument, kind: str, body: bytes) -> list[Draft | Unreadable]:
        name = urlsplit(document.key).path.rpartition("/")[2] or document.key
        found: list[Draft | Unreadable] = []
        for item in self.reader.read_file(_FILES[kind], body, tick=self.hold.pulse):
            if isinstance(item, Draft):
                part = item.external_id.partition("#part-")
                title = name if item.title == "page" else item.title
                item = Draft(article_id(document.key) + part[1] + part[2], title, item.content, document.key)
            found.append(item)
        return found

    def _read_sitemap(self, document: SourceDocument, answer: Answer) -> None:
        if not 200 <= answer.status < 300:
            if document.key == self.start:
                raise NothingRead(f"The sitemap {document.key} cannot be read: the site answered {answer.status}.")
            if answer.status in (404, 410) and not self._is_listed():
                return self._end(document, State.GONE, f"There is no such sitemap ({answer.status}).")
            return self._failed(document, f"The site answered {answer.status}.", reached=answer.status < 500)
        try:
            pages, sitemaps = self.reader.read_sitemap(answer.body, tick=self.hold.pulse)
        except Undecipherable as error:
            if document.key == self.start:
                raise NothingRead(f"{document.key}: {error}") from None
            raise
        others = [normalised(address) for address in sitemaps]
        documents = SourceDocument.objects.for_org(self.run.org_id).filter(run=self.run, is_sitemap=True)
        room = max(MAX_SITEMAPS - documents.count(), 0)
        with self.hold.writing():
            if len(others) > room:
                self._cut("The site has more sitemaps than are read.")
            self._note([url for url in others[:room] if belongs(self.scope, url)], sitemap=True)
            self._note(self._inside(pages))
            self._finish(document, State.READ, f"A sitemap of {len(pages) + len(sitemaps)} addresses.")
        return None

    def _inside(self, links: Iterable[str]) -> list[str]:
        found = (normalised(link) for link in links)
        return [url for url in dict.fromkeys(found) if url and not self.scope.why_not(url)]

    def _is_listed(self) -> bool:
        """Whether a sitemap says what there is: then links are not followed."""
        return is_sitemap(self.source.address)

    # --- What becomes of it ------------------------------------------------------------------------------------------

    def _stage(
        self,
        document: SourceDocument,
        found: list[Draft | Unreadable],
        links: Sequence[str] = (),
        *,
        marks: Marks = NO_MARKS,
    ) -> None:
        with self.hold.writing():
            article_ids = stage(self.hold, document, found, by_content=True)
            # What was left out or only read in part may be another thing next time, though the page is the same.
            if document.state == State.READ:
                revisiting.remember(document, marks=marks, links=links, article_ids=article_ids)
            self._note(links)
            self._remember(failures=0)

    def _end(self, document: SourceDocument, state: State, reason: str, links: Iterable[str] = ()) -> None:
        with self.hold.writing():
            self._note(links)
            self._finish(document, state, reason)

    def _moved(self, document: SourceDocument, target: str) -> None:
        why = self.scope.why_not(target) if target else "The address is not valid."
        if target == document.key:
            return self._failed(document, "It leads to itself; it may need cookies.", reached=True)
        if why and document.key == self.start:
            raise NothingRead(f"{document.key} leads to {target}. {why} If that is the site, use its address.")
        return self._end(document, State.SKIPPED, f"It leads to {target}. {why}".strip(), [] if why else [target])

    def _failed(self, document: SourceDocument, reason: str, *, reached: bool = False) -> None:
        if document.key == self.start:
            raise NothingRead(f"{document.key} could not be read. {reason}")
        failures = 0 if reached else self.memory.get("failures", 0) + 1
        if failures >= MAX_IN_A_ROW:
            raise NothingRead(f"The site stopped answering: {failures} pages in a row failed. {reason}")
        with self.hold.writing():
            self._finish(document, State.FAILED, reason, failures=failures)

    def _try_later(self, document: SourceDocument, answer: Answer) -> None:
        if document.tries + 1 >= MAX_TRIES:
            return self._failed(document, f"The site is too busy ({answer.status}).")
        wait = answer.headers.get("retry-after", "")
        seconds = min(int(wait), 300) if wait.isascii() and wait.isdigit() else 15
        with self.hold.writing():
            document.tries += 1
            document.save(update_fields=["tries"])
        raise Later(timezone.now() + dt.timedelta(seconds=seconds))

    def _finish(self, document: SourceDocument, state: State, reason: str, *, failures: int = 0) -> None:
        document.state, document.reason = state, reason
        document.save(update_fields=["state", "reason"])
        self._remember(failures=failures)

    def _cut(self, why: str) -> None:
        cuts = self.memory.setdefault("cut", [])
        if why not in cuts:
            cuts.append(why)
            self._changed = True

    def _remember(self, **values: Any) -> None:
        if self._changed or any(self.memory.get(key) != value for key, value in values.items()):
            self.memory.update(values)
            self.run.save(update_fields=["memory"])
            self._changed = False

    # --- The network -------------------------------------------------------------------------------------------------

    def _rules_of(self, url: str) -> Protego:
        """The robots.txt that holds for a page; raises NotReached, or NothingRead for the first page's."""
        where = origin(url)
        if where not in self._rules:
            stored = self.memory.setdefault("robots", {})
            if where not in stored:
                stored[where] = self._fetch_rules(where, is_start=where == origin(self.start))
                self._changed = True
            self._rules[where] = Protego.parse(stored[where])
        return self._rules[where]

    def _fetch_rules(self, where: str, *, is_start: bool) -> str:
        self.hold.pulse()
        try:
            deadline = time.monotonic() + FETCH_SECONDS
            answer = fetch(f"{where}/robots.txt", deadline=deadline, max_bytes=MAX_ROBOTS, redirects=5)
        except NotReached as error:
            if is_start:
                raise NothingRead(f"{where} could not be reached. {error.message}") from None
            raise
        if 200 <= answer.status < 300:
            return answer.body.decode("utf-8", "replace").replace("\x00", "")
        if answer.status >= 500 or answer.status == 429:
            # RFC 9309: who cannot say what is allowed allows nothing.
            message = f"The site's robots.txt cannot be read ({answer.status}), so nothing else is."
            if is_start:
                raise NothingRead(message)
            raise NotReached("broken", message)
        return ""

    def _fetch(self, url: str, rules: Protego, conditions: Mapping[str, str], *, redirects: int) -> Answer:
        asked = rules.crawl_delay(AGENT) or 0.0
        # Hosts that the operator has listed are their own.
        own = (urlsplit(url).hostname or "") in settings.HALO_OUTGOING_HOSTS
        pause = min(max(float(asked), 0.0 if own else PAUSE_SECONDS), MAX_PAUSE_SECONDS)
        # Nothing of the database is held while waiting.
        self.hold.pulse()
        time.sleep(max(0.0, self._last + pause - time.monotonic()))
        try:
            deadline = time.monotonic() + FETCH_SECONDS
            headers = {"Accept": ACCEPT, **conditions}
            return fetch(url, deadline=deadline, max_bytes=MAX_BYTES, headers=headers, redirects=redirects)
        finally:
            self._last = time.monotonic()


def belongs(scope: Scope, url: str) -> bool:
    """Whether a further sitemap is the same site's."""
    return bool(url) and urlsplit(url).netloc.removeprefix("www.") == scope.host


def robots_header(value: str) -> set[str]:
    """What `X-Robots-Tag` asks of everybody or of us: of `noindex` and `nofollow`, those that hold."""
    asked: set[str] = set()
    who = ""
    for part in value.lower().split(","):
        name, colon, rest = part.strip().partition(":")
        if colon and name != "unavailable_after":
            who, word = name.strip(), rest.strip()
        else:
            word = part.strip()
        if who in ("", AGENT.lower()):
            asked |= {"noindex", "nofollow"} if word == "none" else {word} & {"noindex", "nofollow"}
    return asked
