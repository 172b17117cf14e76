"""Brings articles into an organisation's knowledge: read, split, embed, store; what has not changed costs nothing."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.utils import timezone

from agents.knowledge import splitting
from agents.knowledge.documents.drafts import MAX_CONTENT, MAX_ID, MAX_TITLE, Draft, Unreadable, title_of
from agents.knowledge.documents.texts import from_line
from agents.knowledge.embedding import MODEL_ID, Vectors, embed
from agents.knowledge.models import Article, Passage, Source, SourceFile
from halo.api.strict_json import storable
from halo.errors import HaloError
from orgs.models import Organization

__all__ = [
    "MAX_CONTENT",
    "Draft",
    "ImportReport",
    "NothingToRead",
    "Unreadable",
    "delete_article",
    "import_articles",
    "read_articles",
]

SUFFIXES = (".jsonl", ".md", ".markdown", ".txt")
# Articles embedded together: enough to fill the model's runs, few enough that progress is seen and memory is small.
BATCH = 16

_TOO_LONG = f"the content is longer than {MAX_CONTENT // 1024**2} MB"
_url_is_valid = URLValidator(schemes=["http", "https"])


class NothingToRead(HaloError):
    """The path names nothing that can be read as articles."""

    def __init__(self, message: str) -> None:
        super().__init__("nothing_to_read", message)


@dataclass(slots=True)
class ImportReport:
    """What an import did: numbers of articles, of passages embedded, and (id, reason) of what failed."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    passages: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


# --- Reading ---------------------------------------------------------------------------------------------------------
def read_articles(path: Path | str) -> Iterator[Draft | Unreadable]:
    """The articles in a file or, recursively, a folder; raises NothingToRead where there is no such file.

    JSON Lines: an object a line with `id`, `title`, `content` and, if there is one, `url`. Markdown and text: one
    article a file, whose id is its path below the folder. Hidden files and folders are left out.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in SUFFIXES
            and file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
        return (item for file in files for item in _read_file(file, file.relative_to(path).as_posix()))
    if not path.is_file():
        raise NothingToRead(f"There is no file or folder {path}.")
    if path.suffix.lower() not in SUFFIXES:
        raise NothingToRead(f"{path.name} is none of {', '.join(SUFFIXES)}.")
    return _read_file(path, path.name)


def _read_file(file: Path, name: str) -> Iterator[Draft | Unreadable]:
    try:
        if file.suffix.lower() == ".jsonl":
            with file.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield from_line(line, f"{name}, line {number}")
        else:
            if file.stat().st_size > MAX_CONTENT:
                yield Unreadable(name, _TOO_LONG)
                return
            content = file.read_bytes().decode("utf-8-sig")
            yield Draft(external_id=name, title=title_of(content) or file.stem, content=content)
    except OSError as error:
        yield Unreadable(name, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        yield Unreadable(name, "is not UTF-8 text")


# --- Storing ---------------------------------------------------------------------------------------------------------
def import_articles(
    *,
    org: Organization,
    source_name: str,
    drafts: Iterable[Draft | Unreadable],
    progress: Callable[[int], None] | None = None,
    kind: Source.Kind = Source.Kind.IMPORT,
) -> ImportReport:
    """Makes or updates the drafts' articles in the organisation's source of that name, which is made where missing.

    Articles of the source that are not among the drafts stay. `progress` is called with the number of drafts dealt
    with so far. May run twice at once: each article is written under its own row's lock, one at a time.
    """
    source, _ = Source.objects.get_or_create(org=org, name=storable(source_name)[:200], defaults={"kind": kind})
    report = ImportReport()
    remaining = iter(drafts)
    seen: set[str] = set()
    done = 0
    while batch := list(islice(remaining, BATCH)):
        accepted: list[Draft] = []
        for item in batch:
            draft = storable_draft(item) if isinstance(item, Draft) else item
            if isinstance(draft, Draft) and draft.external_id in seen:
                draft = Unreadable(draft.external_id, "appears twice; the first one was taken")
            if isinstance(draft, Unreadable):
                report.failed.append((draft.where, draft.reason))
                continue
            seen.add(draft.external_id)
            accepted.append(draft)
        _import_batch(source, accepted, report)
        done += len(batch)
        if progress is not None:
            progress(done)
    Source.objects.for_org(org).filter(pk=source.pk).update(last_read_at=timezone.now())
    return report


def delete_article(*, org: Organization, article_id: uuid.UUID) -> bool:
    """Removes the article and its passages; False where the organisation has no such article."""
    deleted, _ = Article.objects.for_org(org).filter(pk=article_id).delete()
    return deleted > 0


def storable_draft(draft: Draft) -> Draft | Unreadable:
    """The draft as it can be stored, or what is wrong with it."""
    draft = Draft(
        external_id=storable(draft.external_id).strip(),
        title=" ".join(storable(draft.title).split()),
        content=storable(draft.content),
        url=storable(draft.url).strip(),
    )
    where = draft.external_id[:MAX_ID] or draft.title[:MAX_ID] or "an article"
    if not draft.external_id or len(draft.external_id) > MAX_ID:
        return Unreadable(where, f"the id must be 1 to {MAX_ID} characters")
    if not draft.title or len(draft.title) > MAX_TITLE:
        return Unreadable(where, f"the title must be 1 to {MAX_TITLE} characters")
    if len(draft.content.encode()) > MAX_CONTENT:
        return Unreadable(where, _TOO_LONG)
    if draft.url:
        try:
            # SECURITY: addresses become links; `javascript:` and the like end here.
            _url_is_valid(draft.url)
        except ValidationError:
            return Unreadable(where, "the url is not an http or https address")
    return draft


def _import_batch(source: Source, drafts: list[Draft], report: ImportReport) -> None:
    """Embeds what is new or has changed among the drafts, outside any transaction, then stores article by article."""
    known = {
        article.external_id: article
        for article in Article.objects.for_org(source.org_id)
        .filter(source=source, external_id__in=[draft.external_id for draft in drafts])
        .only("external_id", "content_hash", "url")
    }
    changed: list[tuple[Draft, list[splitting.Piece]]] = []
    for draft in drafts:
        article = known.get(draft.external_id)
        if article is None or article.content_hash != content_hash(draft):
            changed.append((draft, splitting.split(draft.title, draft.content)))
        elif article.url != draft.url:
            article.url = draft.url
            article.save(update_fields=["url", "updated_at"])
            report.updated += 1
        else:
            report.unchanged += 1
    vectors = vectors_of([piece for _, pieces in changed for piece in pieces])
    report.passages += len(vectors)
    start = 0
    for draft, pieces in changed:
        if store(source, draft, pieces, vectors[start : start + len(pieces)]):
            report.created += 1
        else:
            report.updated += 1
        start += len(pieces)


def vectors_of(pieces: Sequence[splitting.Piece]) -> Vectors:
    """What is found of each piece: its text under its headings."""
    return embed([f"{piece.heading}\n{piece.text}" for piece in pieces])


@transaction.atomic
def store(
    source: Source,
    draft: Draft,
    pieces: Sequence[splitting.Piece],
    vectors: Vectors,
    file: SourceFile | None = None,
) -> bool:
    """Writes the article and replaces its passages; whether the article was new."""
    values = {
        "title": draft.title,
        "content": draft.content,
        "url": draft.url,
        "content_hash": content_hash(draft),
        "file": file,
    }
    # The row's lock is the only one, so two imports wait for each other but never in a circle.
    article, created = Article.objects.select_for_update().get_or_create(
        org_id=source.org_id, source=source, external_id=draft.external_id, defaults=values
    )
    if not created:
        for name, value in values.items():
            setattr(article, name, value)
        article.save(update_fields=[*values, "updated_at"])
    replace_passages(article, pieces, vectors)
    return created


def replace_passages(article: Article, pieces: Sequence[splitting.Piece], vectors: Vectors) -> None:
    """Gives the article, whose row is locked, these passages and no others."""
    Passage.objects.for_org(article.org_id).filter(article=article).delete()
    Passage.objects.bulk_create(
        Passage(
            org_id=article.org_id,
            article=article,
            position=piece.position,
            heading=piece.heading,
            text=piece.text,
            embedding=vector,
        )
        for piece, vector in zip(pieces, vectors, strict=True)
    )


def content_hash(draft: Draft) -> str:
    """What the passages depend on: the text, how it is cut, and the model."""
    parts = (draft.title, draft.content, str(splitting.VERSION), MODEL_ID)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
