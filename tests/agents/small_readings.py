"""Readings of a small website, brought to their end without a worker."""

from __future__ import annotations

from typing import Any

from agents import sources
from agents.knowledge import runs
from agents.models import Article, Source, SourceDocument, SourceRun
from tests.agents.small_site import Site, page
from tests.cast import Cast

SITE = {
    "/": page("Start", "/a", "/b?utm_source=x#top", "/c", "https://elsewhere.example/"),
    "/a": page("Alpha", "/d", "/picture.png"),
    "/b": page("Beta", "javascript:alert(1)"),
    "/c": page("Gamma"),
    "/d": page("Delta", "/a"),
}


def add(cast: Cast, site: Site, path: str = "/", **values: Any) -> Source:
    source = Source(org=cast.acme.org, kind="site", name="Site", address=f"{site.address}{path}", **values)
    return sources.add_source(source=source, by=cast.sue)


def work(source: Source) -> SourceRun:
    """Does what workers would, until the reading has ended."""
    run = SourceRun.objects.filter(source=source).latest("created_at")
    for _ in range(50):
        if not run.is_open:
            return run
        runs.work(run.pk, run.claim)
        run.refresh_from_db()
    raise AssertionError("it does not end")


def again(source: Source) -> SourceRun:
    sources.read_again(source=Source.objects.get(pk=source.pk), by=None)
    return work(source)


def titles(source: Source) -> set[str]:
    return set(Article.objects.filter(source=source).values_list("title", flat=True))


def states(run: SourceRun, site: Site) -> dict[str, str]:
    rows = SourceDocument.objects.filter(run=run).values_list("key", "state")
    return {key.removeprefix(site.address): state for key, state in rows}
