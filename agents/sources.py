"""Sources as staff manage them: added, changed, read again, stopped, and removed with all that came from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents.knowledge.documents.drafts import MAX_FILE
from agents.knowledge.models import Article, Passage, Source, SourceFile, SourceRun
from agents.knowledge.runs import request_run, stop_run
from halo.api.strict_json import storable
from halo.errors import InvalidRequest
from orgs import audit
from orgs.models import User
from orgs.rows import add_row, change_row
from orgs.services import Conflict

SUFFIXES = (".txt", ".md", ".markdown", ".csv", ".html", ".htm", ".json", ".jsonl", ".pdf", ".docx")
# Which kinds hold files, and of what sort.
FILES_OF: dict[str, tuple[str, ...]] = {Source.Kind.UPLOAD: SUFFIXES, Source.Kind.IMPORT: (".jsonl",)}
MAX_FILES = 1000
MAX_NAME = 200
# What decides which pages are read.
_SITE = {"address", "include", "exclude", "page_limit"}
_DELETED_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as a browser sent it."""

    name: str
    data: bytes


@transaction.atomic
def add_source(*, source: Source, by: User | None, uploads: Sequence[Upload] = ()) -> Source:
    """Stores the unsaved `source` with its files, and has it read."""
    add_row(row=source, by=by)
    if uploads:
        _store_files(source, uploads, by)
    if uploads or source.kind == Source.Kind.SITE:
        request_run(source=source, by=by)
    return source


@transaction.atomic
def change_source(*, source: Source, names: Iterable[str], by: User | None) -> Source:
    """Writes the named columns; a site whose pages are others now is read again."""
    names = [*names]
    change_row(row=source, names=names, by=by)
    if "every" in names:
        source.next_read_at = source.next_after(source.last_read_at or timezone.now())
        source.save(update_fields=["next_read_at"])
    if _SITE & {*names} and source.kind == Source.Kind.SITE:
        _read_anew(source, by)
    return source


@transaction.atomic
def add_files(*, source: Source, uploads: Sequence[Upload], by: User | None) -> SourceRun:
    """Adds files, each in the place of one of the same name, and has the source read."""
    _store_files(source, uploads, by)
    return _read_anew(source, by)


def _store_files(source: Source, uploads: Sequence[Upload], by: User | None) -> None:
    allowed = FILES_OF.get(source.kind)
    if not allowed:
        raise Conflict("This source does not hold files.")
    if not uploads:
        raise InvalidRequest("Choose at least one file.")
    for upload in uploads:
        name = file_name(upload.name)
        if not name.lower().endswith(allowed):
            raise InvalidRequest(f"“{name}” cannot be read. Possible are {', '.join(allowed)}.")
        if len(upload.data) > MAX_FILE:
            raise InvalidRequest(f"“{name}” is larger than {MAX_FILE // 1024**2} MB.")
        if not upload.data:
            raise InvalidRequest(f"“{name}” is empty.")
        # Not update_or_create, which would fetch the old bytes.
        values = {
            "size": len(upload.data),
            "data": upload.data,
            "uploaded_by": by,
            "created_at": timezone.now(),
        }
        known = SourceFile.objects.for_org(source.org_id).filter(source=source, name=name)
        if not known.update(**values):
            SourceFile.objects.create(org_id=source.org_id, source=source, name=name, **values)
        _record(source, by, "file_added", after={"file": name, "bytes": len(upload.data)})
    if SourceFile.objects.for_org(source.org_id).filter(source=source).count() > MAX_FILES:
        raise Conflict(f"A source holds at most {MAX_FILES:,} files. Make another one.")


def file_name(name: str) -> str:
    """A file's name as it is stored: one line, without folders, its end kept where it is long."""
    bare = " ".join(storable(name.replace("\\", "/")).rpartition("/")[2].split())
    if len(bare) <= MAX_NAME:
        return bare
    stem, dot, suffix = bare.rpartition(".")
    return f"{stem[: MAX_NAME - len(suffix) - 1]}{dot}{suffix}"[-MAX_NAME:]


@transaction.atomic
def remove_file(*, file: SourceFile, by: User | None) -> int:
    """Removes a file and, at once, the articles that came from it; returns how many."""
    source = Source.objects.for_org(file.org_id).select_for_update().get(pk=file.source_id)
    articles = Article.objects.for_org(file.org_id).filter(source=source, file=file)
    removed = _delete_articles(articles)
    _record(source, by, "file_removed", before={"file": file.name, "articles": removed})
    SourceFile.objects.for_org(file.org_id).filter(pk=file.pk).delete()
    if SourceRun.objects.for_org(file.org_id).filter(source=source, status__in=SourceRun.OPEN).exists():
        # What is being read still holds what the file said.
        _read_anew(source, by)
    return removed


def read_again(*, source: Source, by: User | None) -> SourceRun:
    """Has the source read; raises Conflict where it is being read already, or there is nothing to read."""
    if source.kind != Source.Kind.SITE and not SourceFile.objects.for_org(source.org_id).filter(source=source).exists():
        raise Conflict("There is no file to read.")
    with transaction.atomic():
        run = request_run(source=source, by=by)
        _record(source, by, "read_requested")
    return run


def stop_reading(*, source: Source, by: User | None) -> bool:
    """Ends the reading that is going on; False where there is none."""
    with transaction.atomic():
        run = SourceRun.objects.for_org(source.org_id).filter(source=source, status__in=SourceRun.OPEN).first()
        if run is None or not stop_run(run=run):
            return False
        _record(source, by, "stopped")
    return True


def _read_anew(source: Source, by: User | None) -> SourceRun:
    """Begins from the start, also where a reading is going on, which knows nothing of what has changed."""
    run = SourceRun.objects.for_org(source.org_id).filter(source=source, status__in=SourceRun.OPEN).first()
    if run is not None:
        stop_run(run=run)
    return request_run(source=source, by=by)


@transaction.atomic
def delete_source(*, source: Source, by: User | None) -> int:
    """Removes the source with its articles, passages, files and readings, at once; returns how many articles."""
    locked = Source.objects.for_org(source.org_id).select_for_update().filter(pk=source.pk).first()
    if locked is None:
        return 0
    run = SourceRun.objects.for_org(source.org_id).filter(source=source, status__in=SourceRun.OPEN).first()
    if run is not None:
        stop_run(run=run)
    removed = _delete_articles(Article.objects.for_org(source.org_id).filter(source=source))
    _record(source, by, "deleted", before={**audit.state(source, ["name", "kind", "address"]), "articles": removed})
    locked.delete()
    return removed


def contents(source: Source) -> tuple[int, int]:
    """How many articles and passages are there now."""
    articles = Article.objects.for_org(source.org_id).filter(source=source).count()
    return articles, Passage.objects.for_org(source.org_id).filter(article__source=source).count()


def _delete_articles(articles: QuerySet[Article]) -> int:
    removed = 0
    while keys := list(articles.values_list("pk", flat=True)[:_DELETED_TOGETHER]):
        articles.filter(pk__in=keys).delete()
        removed += len(keys)
    return removed


def _record(
    source: Source,
    by: User | None,
    verb: str,
    *,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    action = f"source.{verb}"
    audit.record(org=source.org_id, actor=by, action=action, target=source, before=before, after=after)
