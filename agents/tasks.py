"""Celery's entrances: ids in, one call, policy in the decorator."""

from __future__ import annotations

import uuid

from celery import shared_task

from agents import articles
from agents.knowledge import runs


@shared_task(name="agents.tasks.read_article", ignore_result=True)
def read_article(article_id: str) -> None:
    """Reads one article that staff wrote."""
    articles.read_article(uuid.UUID(article_id))


@shared_task(name="agents.tasks.work_run", ignore_result=True)
def work_run(run_id: str, number: int) -> None:
    """Works on the reading of a source for some seconds, if nobody else does."""
    runs.work(uuid.UUID(run_id), number)


@shared_task(name="agents.tasks.tend_sources", ignore_result=True)
def tend_sources() -> None:
    """Looks after readings and articles that nobody works on, and begins what is due."""
    articles.tend()
