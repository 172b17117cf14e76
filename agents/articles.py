"""Articles that staff write: stored at once, searchable as soon as a worker has read them."""

from __future__ import annotations

import uuid

import redis
import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from agents.knowledge.importing import Draft, import_articles
from agents.knowledge.models import Article, Source
from halo import wire
from orgs.models import User
from orgs.rows import add_row

log = structlog.get_logger(__name__)
SOURCE = "Written here"
READ_ARTICLE = "agents.tasks.read_article"


@transaction.atomic
def write_article(*, article: Article, by: User | None) -> Article:
    """Stores the unsaved `article` and has it read."""
    article.source, _ = Source.objects.get_or_create(
        org_id=article.org_id, name=SOURCE, defaults={"kind": Source.Kind.MANUAL}
    )
    article.external_id = str(article.pk)
    add_row(row=article, by=by)
    transaction.on_commit(lambda: have_read(article))
    return article


def have_read(article: Article) -> bool:
    """Asks a worker to read `article`; False where Redis is away, and then it has to be asked again."""
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
    """Makes the article's passages; False where it is gone."""
    article = Article.objects.select_related("org", "source").filter(pk=article_id).first()
    if article is None:
        return False
    draft = Draft(external_id=article.external_id, title=article.title, content=article.content, url=article.url)
    import_articles(
        org=article.org, source_name=article.source.name, drafts=[draft], kind=Source.Kind(article.source.kind)
    )
    return True
