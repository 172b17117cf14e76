"""A website becomes knowledge politely, all at once, and loses nothing because something failed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from agents import sources
from agents.knowledge import runs
from agents.models import Article, Passage, Source, SourceRun, StagedArticle
from tests.agents.small_readings import SITE, add, again, states, titles, work
from tests.agents.small_site import Reply, Site, page, served
from tests.cast import Cast


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    settings.HALO_OUTGOING_HOSTS = ["127.0.0.1"]
    with served(SITE) as running:
        yield running


def test_a_site_is_read_with_its_pages_headings_addresses_and_nothing_of_other_sites(cast: Cast, site: Site) -> None:
    source = add(cast, site)
    run = work(source)
    assert (run.status, run.created, run.note) == ("done", 5, "")
    assert titles(source) == {"Start", "Alpha", "Beta", "Gamma", "Delta"}
    article = Article.objects.get(title="Beta")
    assert (article.url, article.external_id) == (f"{site.address}/b", f"{site.address}/b")
    assert article.org == cast.acme.org and "alert" not in article.content
    headings = list(article.passages.order_by("position").values_list("heading", flat=True))
    assert headings == ["Beta", "Beta > More about Beta"]
    assert site.asked.count("/a") == 1 and "/picture.png" not in site.asked
    source.refresh_from_db()
    assert source.last_read_at and source.next_read_at and source.next_read_at > timezone.now()
    assert not StagedArticle.objects.exists()
    assert {row.passages for row in run.documents.all()} == {2}


def test_reading_again_embeds_only_what_has_changed_and_removes_what_is_gone(cast: Cast, site: Site) -> None:
    source = add(cast, site)
    work(source)
    kept = set(Passage.objects.filter(article__title__in=["Alpha", "Beta"]).values_list("pk", flat=True))
    site.pages["/d"] = page("Delta", text="Now it says something else. ")
    site.pages["/c"] = Reply("gone", 410)
    site.pages["/"] = page("Start", "/a", "/c", "/e")  # /b is not linked any more
    site.pages["/e"] = page("Epsilon")
    run = again(source)
    assert (run.created, run.updated, run.unchanged, run.removed) == (1, 1, 2, 2)
    assert titles(source) == {"Start", "Alpha", "Delta", "Epsilon"}
    assert set(Passage.objects.filter(article__title="Alpha").values_list("pk", flat=True)) <= kept
    assert "something else" in Article.objects.get(title="Delta").content


def test_pages_that_fail_keep_what_was_known_of_them_and_of_what_they_linked_to(cast: Cast, site: Site) -> None:
    source = add(cast, site)
    work(source)
    site.pages["/a"] = Reply("broken", 500)  # the only page that links to /d
    run = again(source)
    assert (run.status, run.removed, run.unchanged) == ("done", 0, 3)
    assert "1 page could not be read" in run.note
    assert titles(source) == {"Start", "Alpha", "Beta", "Gamma", "Delta"}
    failed = run.documents.get(state="failed")
    assert (failed.key, failed.reason) == (f"{site.address}/a", "The site answered 500.")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"/": Reply("down", 503, {"Retry-After": "0"})}, "too busy (503)"),
        ({"/": Reply("no", 404)}, "There is no page at"),
        ({"/": Reply("", 301, {"Location": "https://elsewhere.example/"})}, "It is on another site."),
        ({"/robots.txt": Reply("down", 500)}, "robots.txt cannot be read (500)"),
        ({"/robots.txt": Reply("User-agent: Halo\nDisallow: /\n")}, "does not let Halo read"),
        ({"/": Reply("<html><body><script>app()</script></body></html>")}, "may need JavaScript"),
    ],
)
def test_a_reading_that_fails_says_why_and_removes_nothing(
    cast: Cast, site: Site, change: dict[str, Reply], why: str
) -> None:
    source = add(cast, site)
    work(source)
    before = set(Passage.objects.values_list("pk", flat=True))
    site.pages.update(change)
    run = again(source)
    assert run.status == "failed" and why in run.note
    assert set(Passage.objects.values_list("pk", flat=True)) == before
    assert not StagedArticle.objects.exists()
    source.refresh_from_db()
    assert source.next_read_at is not None  # it is tried again in its time


def test_most_articles_gone_at_once_is_believed_the_second_time(cast: Cast, site: Site) -> None:
    site.pages["/"] = page("Start", *(f"/{number}" for number in range(8)))
    site.pages |= {f"/{number}": page(f"Page {number}") for number in range(8)}
    source = add(cast, site)
    work(source)
    site.pages["/"] = page("Start")
    run = again(source)
    assert (run.removed, run.withheld) == (0, 8) and "seem to be gone" in run.note
    run = again(source)
    assert (run.removed, run.withheld) == (8, 0)
    assert titles(source) == {"Start"}


def test_robots_rules_and_the_wishes_of_pages_are_kept(cast: Cast, site: Site) -> None:
    site.pages |= {
        "/robots.txt": Reply("User-agent: *\nDisallow: /b\nAllow: /\n"),
        "/a": page("Alpha", "/d", head='<meta name="robots" content="noindex">'),
        "/c": page("Gamma", "/hidden", head='<meta name="robots" content="nofollow">'),
        "/hidden": page("Hidden"),
        "/d": Reply(page("Delta").body, headers={"Content-Type": "text/html", "X-Robots-Tag": "halo: noindex"}),
    }
    source = add(cast, site)
    run = work(source)
    assert titles(source) == {"Start", "Gamma"}
    assert states(run, site) == {"/": "read", "/a": "skipped", "/b": "skipped", "/c": "read", "/d": "skipped"}
    assert "/b" not in site.asked and "/hidden" not in site.asked


def test_copies_redirects_and_canonical_addresses_make_one_article(cast: Cast, site: Site) -> None:
    site.pages |= {
        "/": page("Start", "/a", "/old", "/print?x=1", "/copy", "/loop"),
        "/old": Reply("", 301, {"Location": "/a#part"}),
        "/print?x=1": page("Alpha to print", head='<link rel="canonical" href="/printed">'),
        "/copy": page("Alpha", "/d", "/picture.png"),
        "/loop": Reply("", 302, {"Location": "/loop"}),
    }
    source = add(cast, site)
    run = work(source)
    assert titles(source) == {"Start", "Alpha", "Alpha to print", "Delta"}
    assert Article.objects.get(title="Alpha to print").url == f"{site.address}/printed"
    found = states(run, site)
    assert (found["/old"], found["/copy"], found["/loop"]) == ("skipped", "skipped", "failed")
    assert "says the same as" in run.documents.get(key__endswith="/copy").reason


def test_only_what_lies_below_the_address_and_fits_the_patterns_is_read(cast: Cast, site: Site) -> None:
    site.pages |= {
        "/help": page("Help", "/help/one", "/help/old/two", "/a", "/help/three?page=2"),
        "/help/one": page("One"),
        "/help/three?page=2": page("Three"),
    }
    source = add(cast, site, "/help", exclude="/help/old/*\n*page=*")
    assert work(source).status == "done"
    assert titles(source) == {"Help", "One"}
    assert "/help/old/two" not in site.asked


def test_a_sitemap_says_which_pages_there_are(cast: Cast, site: Site) -> None:
    listed = "".join(f"<url><loc>{site.address}{path}</loc></url>" for path in ("/a", "/b"))
    packed = gzip.compress(f"<urlset>{listed}<url><loc>https://elsewhere.example/</loc></url></urlset>".encode())
    site.pages |= {
        "/sitemap.xml": Reply(
            f"<sitemapindex><sitemap><loc>{site.address}/pages.xml.gz</loc></sitemap></sitemapindex>"
        ),
        "/pages.xml.gz": Reply(packed, headers={"Content-Type": "application/gzip"}),
    }
    source = add(cast, site, "/sitemap.xml")
    assert work(source).status == "done"
    assert titles(source) == {"Alpha", "Beta"}
    site.pages["/pages.xml.gz"] = Reply("away", 503)
    assert again(source).status == "failed"
    assert titles(source) == {"Alpha", "Beta"}


def test_a_calendar_without_end_ends_at_the_page_limit(cast: Cast, site: Site) -> None:
    site.pages |= {f"/day/{number}": page(f"Day {number}", f"/day/{number + 1}") for number in range(20)}
    site.pages["/"] = page("Start", "/day/0")
    source = add(cast, site, page_limit=5)
    run = work(source)
    assert run.created == 5 and "limit of 5 pages" in run.note
    assert site.asked[-1] == "/day/3"


def test_what_was_there_is_found_until_the_new_reading_is_complete_and_a_killed_worker_loses_nothing(
    cast: Cast, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = add(cast, site)
    work(source)
    before = set(Passage.objects.values_list("text", flat=True))
    for path in ("/a", "/b", "/c", "/d"):
        site.pages[path] = page(path.strip("/") * 5, *(["/d"] if path == "/a" else []))
    sources.read_again(source=source, by=None)
    run = SourceRun.objects.get(source=source, status="queued")
    monkeypatch.setattr(runs, "SLICE_SECONDS", 0.0)
    seen = 0
    while run.is_open:
        assert set(Passage.objects.values_list("text", flat=True)) == before
        if seen == 3:
            # A worker that dies has claimed and says nothing more; its nudge comes again and finds the claim taken.
            SourceRun.objects.filter(pk=run.pk).update(claim=run.claim + 1, in_hand=True, due_at=timezone.now())
            runs.work(run.pk, run.claim)
            run.refresh_from_db()
            runs.tend()
        runs.work(run.pk, run.claim)
        run.refresh_from_db()
        seen += 1
    assert (run.status, run.updated, run.unchanged) == ("done", 4, 1) and seen > 5
    assert site.asked.count("/a") == 2
    assert not before <= set(Passage.objects.values_list("text", flat=True))


def test_two_readings_of_one_source_at_once_are_impossible_and_a_stopped_one_writes_nothing_more(
    cast: Cast, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = add(cast, site)
    with pytest.raises(sources.Conflict):
        sources.read_again(source=source, by=cast.sue)
    monkeypatch.setattr(runs, "SLICE_SECONDS", 0.0)
    run = SourceRun.objects.get(source=source)
    runs.work(run.pk, 0)
    assert sources.stop_reading(source=source, by=cast.sue)
    run.refresh_from_db()
    runs.work(run.pk, run.claim)
    run.refresh_from_db()
    assert run.status == "stopped" and not Article.objects.exists()
    assert not sources.stop_reading(source=source, by=cast.sue)
    monkeypatch.setattr(runs, "SLICE_SECONDS", 10.0)
    assert again(source).status == "done"


def test_a_reading_whose_worker_is_lost_again_and_again_fails_readably(cast: Cast, site: Site) -> None:
    source = add(cast, site)
    for _ in range(10):
        SourceRun.objects.filter(source=source, status__in=["queued", "running"]).update(
            in_hand=True, due_at=timezone.now()
        )
        runs.tend()
    run = SourceRun.objects.get(source=source)
    assert run.status == "failed" and "lost 5 times" in run.note


def test_a_site_is_read_when_its_time_has_come_and_old_readings_are_forgotten(
    cast: Cast, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "KEPT_RUNS", 2)
    site.pages["/"] = page("Start")
    source = add(cast, site, every="day")
    work(source)
    for _ in range(3):
        Source.objects.update(next_read_at=timezone.now())
        runs.tend()
        work(source)
    assert SourceRun.objects.filter(source=source).count() == 2
    Source.objects.update(next_read_at=None)
    runs.tend()
    assert not SourceRun.objects.filter(status="queued").exists()


def test_private_addresses_are_not_read_unless_the_operator_says_so(cast: Cast, site: Site, settings: Any) -> None:
    settings.HALO_OUTGOING_HOSTS = []
    run = work(add(cast, site))
    assert run.status == "failed" and "only https to public addresses" in run.note and site.asked == []
