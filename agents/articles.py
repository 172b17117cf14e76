"""Articles that staff write: stored at once, searchable as soon as a worker has read them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable

import redis
import structlog
from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from agents.knowledge import runs, splitting
from agents.knowledge.importing import Draft, content_hash, replace_passages, vectors_of
from agents.knowledge.models import Article, Source
from halo import wire
from halo.db import release_connection
from orgs.models import User
from orgs.rows import add_row, change_row

log = structlog.get_logger(__name__)
SOURCE = "Written here"
READ_ARTICLE = "agents.tasks.read_article"
# A nudge that was lost, or came while Redis was away, is given again after this time.
PATIENCE = dt.timedelta(seconds=60)


@transaction.atomic
def write_article(*, article: Article, by: User | None) -> Article:
    """Stores the unsaved `article` and has it read."""
    article.source = _source_of(article.org_id)
    article.external_id = str(article.pk)
    add_row(row=article, by=by)
    transaction.on_commit(lambda: have_read(article))
    return article


def _source_of(org_id: uuid.UUID) -> Source:
    """The source of written articles, whatever it is called by now."""
    written = Source.objects.for_org(org_id).filter(kind=Source.Kind.MANUAL).order_by("created_at").first()
    found: Source = (
        written or Source.objects.get_or_create(org_id=org_id, name=SOURCE, defaults={"kind": Source.Kind.MANUAL})[0]
    )
    return found


@transaction.atomic
def rewrite_article(*, article: Article, names: Iterable[str], by: User | None) -> Article:
    """Stores the named columns and has the article read again; until then what it said before is found."""
    names = [*names]
    change_row(row=article, names=names, by=by)
    if {"title", "content"} & {*names}:
        article.content_hash = ""
        article.save(update_fields=["content_hash"])
        transaction.on_commit(lambda: have_read(article))
    return article


def have_read(article: Article) -> bool:
    """Asks a worker to read `article`; False where Redis is away, and then the sweep asks again."""
    if wire.is_away():
        return False
    try:
        current_app.send_task(READ_ARTICLE, args=[str(article.pk)], retry=False, ignore_result=True)
    except (OperationalError, redis.exceptions.RedisError, OSError) as error:
        wire.mark_away()
        log.warning("article_not_queued", error=type(error).__name__)
        return False
    return True


def read_article(article_id: uuid.UUID) -> bool:
    """Makes the passages of an article that has none of what it says now; False where there is nothing to do."""
    article = Article.objects.filter(pk=article_id, content_hash="").first()
    if article is None:
        return False
    draft = Draft(external_id=article.external_id, title=article.title, content=article.content, url=article.url)
    pieces = splitting.split(draft.title, draft.content)
    release_connection()
    vectors = vectors_of(pieces)
    with transaction.atomic():
        stored = Article.objects.for_org(article.org_id).select_for_update().filter(pk=article_id).first()
        # Whoever has changed it meanwhile has also asked for it to be read.
        if stored is None or (stored.title, stored.content) != (draft.title, draft.content):
            return False
        replace_passages(stored, pieces, vectors)
        stored.content_hash = content_hash(draft)
        stored.save(update_fields=["content_hash"])
    return True


def tend(*, now: dt.datetime | None = None) -> None:
    """Asks again for what nobody has read in time: articles and sources; and begins the readings that are due."""
    now = now or timezone.now()
    unread = Article.objects.filter(content_hash="", updated_at__lte=now - PATIENCE).order_by("updated_at")
    for article in unread.only("pk")[:100]:
        # Noted first, so that an article which cannot be read is not asked for every few seconds.
        Article.objects.filter(pk=article.pk, content_hash="").update(updated_at=now)
        have_read(article)
    runs.tend(now=now)
