"""A site that is read again sends only what has changed, and nothing is lost for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agents import sources
from agents.knowledge import revisiting, runs
from agents.knowledge.documents import drafts
from agents.models import Article, Passage, Source, SourceDocument, SourceRun
from tests.agents.small_readings import SITE, add, again, states, titles, work
from tests.agents.small_site import Reply, Site, page, served
from tests.cast import Cast

ALL = {"Start", "Alpha", "Beta", "Gamma", "Delta"}


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    settings.HALO_OUTGOING_HOSTS = ["127.0.0.1"]
    with served(SITE) as running:
        running.marks = ("ETag",)
        yield running


def sent(site: Site) -> list[str]:
    """The pages sent whole since this was asked last."""
    found = sorted(path for path in site.sent if path != "/robots.txt")
    site.sent.clear()
    return found


@pytest.mark.parametrize("marks", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified")])
def test_what_has_not_changed_is_not_sent_again_and_stays_as_it_is(
    cast: Cast, site: Site, marks: tuple[str, ...]
) -> None:
    site.marks = marks
    source = add(cast, site)
    work(source)
    assert len(sent(site)) == 5
    before = set(Passage.objects.values_list("pk", flat=True))
    for _ in range(2):  # what was learnt is handed on from reading to reading
        run = again(source)
        assert sent(site) == []
        assert (run.status, run.unchanged, run.created, run.updated, run.removed) == ("done", 5, 0, 0, 0)
        assert set(Passage.objects.values_list("pk", flat=True)) == before
        assert set(states(run, site).values()) == {"read"} and {row.passages for row in run.documents.all()} == {2}
    assert site.asked.count("/d") == 3  # found through /a, which was sent once


def test_a_site_without_marks_is_read_whole(cast: Cast, site: Site) -> None:
    site.marks = ()
    source = add(cast, site)
    work(source)
    sent(site)
    assert again(source).unchanged == 5
    assert len(sent(site)) == 5


def test_what_unchanged_pages_lead_to_is_read_and_what_none_leads_to_is_removed(cast: Cast, site: Site) -> None:
    source = add(cast, site)
    work(source)
    sent(site)
    site.pages["/d"] = page("Delta", "/a", text="Now it says something else. ")
    site.pages["/"] = page("Start", "/a", "/c")  # not to /b any more
    run = again(source)
    assert sent(site) == ["/", "/d"]
    assert (run.updated, run.unchanged, run.removed) == (1, 3, 1)
    assert titles(source) == ALL - {"Beta"}
    assert "something else" in Article.objects.get(title="Delta").content
    del site.pages["/c"]
    assert again(source).removed == 1
    assert (sent(site), titles(source)) == ([], ALL - {"Beta", "Gamma"})


def test_an_unasked_304_is_an_error_of_that_page_and_loses_nothing(cast: Cast, site: Site) -> None:
    site.marks = ()
    source = add(cast, site)
    work(source)
    for path in ("/a", "/c"):
        site.pages[path] = Reply("", 304, {"Location": "/b"})
    run = again(source)
    assert (run.status, run.removed, run.unchanged) == ("done", 0, 2)
    assert titles(source) == ALL
    failed = run.documents.filter(state="failed").order_by("key")
    assert [row.key.removeprefix(site.address) for row in failed] == ["/a", "/c"]
    assert "304" in failed[0].reason and "2 pages could not be read" in run.note


def test_a_failed_reading_leaves_marks_as_they_were_and_unseen_changes_are_seen_later(cast: Cast, site: Site) -> None:
    source = add(cast, site)
    work(source)
    changed = page("Beta", text="Now it says something else. ")
    site.pages |= {"/b": changed, "/c": Reply("", 500)}
    run = SourceRun.objects.get(pk=sources.read_again(source=source, by=None).pk)
    while not run.documents.filter(key__endswith="/b", state="read").exists():
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(runs, "SLICE_SECONDS", 0.0)
            runs.work(run.pk, run.claim)
        run.refresh_from_db()
    assert sources.stop_reading(source=source, by=cast.sue)
    sent(site)
    run = again(source)
    assert sent(site) == ["/b"]
    assert "something else" in Article.objects.get(title="Beta").content
    # Of a page that failed nothing is known, so it is read whole when it is back.
    site.pages["/c"] = SITE["/c"]
    again(source)
    assert sent(site) == ["/c"]


def test_an_article_that_somebody_deleted_comes_back_though_its_page_has_not_changed(cast: Cast, site: Site) -> None:
    source = add(cast, site)
    work(source)
    sent(site)
    Article.objects.get(title="Gamma").delete()
    assert again(source).created == 1
    assert (sent(site), titles(source)) == (["/c"], ALL)


def test_copies_and_pages_with_wishes_are_read_whole_and_a_304_may_bring_a_wish(cast: Cast, site: Site) -> None:
    hidden = {"Content-Type": "text/html", "X-Robots-Tag": "noindex"}
    site.pages |= {
        "/": page("Start", "/a", "/b", "/c", "/copy"),
        "/copy": Reply(SITE["/a"].body),
        "/b": Reply(SITE["/b"].body, headers=hidden),
    }
    source = add(cast, site)
    work(source)
    assert titles(source) == ALL - {"Beta"}
    sent(site)
    site.pages["/c"] = Reply(SITE["/c"].body, headers=hidden)
    del site.pages["/a"]
    again(source)
    assert sent(site) == ["/b", "/copy"]
    assert titles(source) == ALL - {"Beta", "Gamma"}
    assert Article.objects.get(title="Alpha").url == f"{site.address}/copy"


def test_another_scope_or_another_way_of_reading_pages_begins_anew(
    cast: Cast, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = add(cast, site)
    work(source)
    sent(site)
    source.exclude = "/c"
    sources.change_source(source=source, names=["exclude"], by=cast.sue)
    work(source)
    assert (sent(site), titles(source)) == (["/", "/a", "/b", "/d"], ALL - {"Gamma"})
    monkeypatch.setattr(drafts, "VERSION", drafts.VERSION + 1)
    again(source)
    assert sent(site) == ["/", "/a", "/b", "/d"]


def test_sitemaps_are_read_whole_and_their_pages_only_if_they_have_changed(cast: Cast, site: Site) -> None:
    listed = "".join(f"<url><loc>{site.address}{path}</loc></url>" for path in ("/a", "/b"))
    site.pages["/sitemap.xml"] = Reply(f"<urlset>{listed}</urlset>")
    source = add(cast, site, "/sitemap.xml")
    work(source)
    sent(site)
    assert again(source).unchanged == 2
    assert sent(site) == ["/sitemap.xml"]


def test_only_the_last_reading_knows_and_it_stays_while_later_ones_fail(
    cast: Cast, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "KEPT_RUNS", 1)
    source = add(cast, site)
    work(source)
    done = again(source)
    known = SourceDocument.objects.exclude(etag="")
    assert known.count() == known.filter(run=done).count() == 5
    site.pages["/"] = Reply("down", 500)
    for _ in range(2):
        assert again(source).status == "failed"
    site.pages["/"] = SITE["/"]
    sent(site)
    assert again(source).unchanged == 5
    assert sent(site) == []
    assert Source.objects.get().runs.count() == 1


def test_marks_that_are_no_header_and_links_without_end_are_not_kept(cast: Cast) -> None:
    marks = revisiting.Marks.of({"etag": '"\xe4"', "last-modified": "x" * 101})
    assert marks == revisiting.NO_MARKS
    assert revisiting.Marks.of({"etag": ' W/"1" '}).conditions() == {"If-None-Match": 'W/"1"'}
    run = SourceRun.objects.create(
        org=cast.acme.org, source=Source.objects.create(org=cast.acme.org, name="Site", kind="site")
    )
    document = SourceDocument.objects.create(org=cast.acme.org, run=run, key="https://site.example/")
    for links, kept in ((["x" * revisiting.MAX_LINKS, "y"], ""), (["x" * revisiting.MAX_LINKS], '"1"')):
        revisiting.remember(document, marks=revisiting.Marks('"1"'), links=links, article_ids=["a"])
        assert SourceDocument.objects.get(pk=document.pk).etag == kept
