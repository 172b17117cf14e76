"""Celery's entrances: ids in, one call, policy in the decorator."""

from __future__ import annotations

import uuid

from celery import shared_task

from agents import articles


@shared_task(name="agents.tasks.read_article", ignore_result=True)
def read_article(article_id: str) -> None:
    """Reads one article that staff wrote."""
    articles.read_article(uuid.UUID(article_id))
