"""Sources as staff add, watch, stop and delete them; articles as they write, preview and rewrite them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from agents.knowledge import runs
from agents.models import Article, Passage, Source, SourceFile, SourceRun
from agents.tasks import read_article
from orgs.models import User
from tests.admin.furnished import Furnished, audited, nobody
from tests.cast import Cast

ADD = "/admin/agents/source/add/"
SITE = {"name": "", "address": "https://www.acme.example/help", "include": "", "exclude": "/help/old/*",
        "page_limit": "50", "every": "day"}  # fmt: skip


def upload(name: str, data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def work(source: Source) -> SourceRun:
    run = SourceRun.objects.filter(source=source).latest("created_at")
    while run.is_open:
        runs.work(run.pk, run.claim)
        run.refresh_from_db()
    return run


def files(browser: Client) -> Source:
    """A source with one good and one bad file, read."""
    sent = [upload("guide.md", b"# Guide\n\n<b>Do</b> it."), upload("bad.pdf", b"<script>alert(1)</script>")]
    assert browser.post(f"{ADD}?kind=upload", {"name": "Manuals", "uploads": sent}).status_code == 302
    source = Source.objects.get(name="Manuals")
    work(source)
    return source


def test_adding_knowledge_asks_first_what_it_is(cast: Cast, as_: Callable[[User], Client]) -> None:
    page = as_(cast.sue).get(ADD).content.decode()
    for words in ("Read a website", "Upload files", "Import JSON Lines", "Write an article"):
        assert words in page
    assert as_(cast.ana).get(ADD).status_code == 403


def test_a_website_is_added_with_its_rules_and_its_reading_begins(
    cast: Cast, as_: Callable[[User], Client], django_capture_on_commit_callbacks: Any
) -> None:
    browser = as_(cast.sue)
    for wrong in ({"address": ""}, {"address": "ftp://acme.example"}, {"include": "help"}, {"page_limit": "5001"}):
        assert browser.post(f"{ADD}?kind=site", {**SITE, **wrong}).status_code == 200, wrong
    with django_capture_on_commit_callbacks() as after:
        assert browser.post(f"{ADD}?kind=site", SITE).status_code == 302
    source = Source.objects.get(name="acme.example")
    assert (source.org, source.kind, source.page_limit, source.every) == (cast.acme.org, "site", 50, "day")
    assert source.runs.get().status == "queued" and len(after) == 1
    page = browser.get(reverse("admin:agents_source_change", args=[source.pk])).content.decode()
    assert "Waiting for a worker" in page and "data-refresh" in page
    browser.post(reverse("admin:agents_source_stop", args=[source.pk]))
    assert source.runs.get().status == "stopped"
    assert audited(cast.acme.org, "source.stopped").actor == cast.sue
    # Other pages are another reading; another name is not.
    url = reverse("admin:agents_source_change", args=[source.pk])
    assert browser.post(url, {**SITE, "name": "Help"}).status_code == 302
    assert source.runs.count() == 1
    assert browser.post(url, {**SITE, "name": "Help", "exclude": ""}).status_code == 302
    assert source.runs.count() == 2


def test_files_are_uploaded_several_at_once_and_each_says_what_became_of_it(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.sue)
    for wrong in ([], [upload("a.exe", b"x")], [upload("a.txt", b"")], [upload("a.txt", b"x"), upload("a.txt", b"y")]):
        assert browser.post(f"{ADD}?kind=upload", {"name": "Manuals", "uploads": wrong}).status_code == 200
    source = files(browser)
    url = reverse("admin:agents_source_change", args=[source.pk])
    page = browser.get(url).content.decode()
    assert "It is named .pdf, but is none." in page and "guide.md" in page and "data-refresh" not in page
    run = source.runs.get()
    listed = browser.get(reverse("admin:agents_source_reading", args=[source.pk, run.pk]), {"state": "failed"})
    assert b"bad.pdf" in listed.content and b"guide.md" not in listed.content
    assert "1 page" not in as_(cast.ana).get(url).content.decode()

    browser.post(reverse("admin:agents_source_add_files", args=[source.pk]), {"uploads": [upload("b.txt", b"More")]})
    assert work(source).created == 1
    file = SourceFile.objects.get(source=source, name="guide.md")
    remove = reverse("admin:agents_source_file", args=[source.pk, file.pk])
    assert as_(cast.ana).post(remove).status_code == 403
    assert b"its articles (1)" in browser.get(remove).content
    assert browser.post(remove).status_code == 302
    assert [article.external_id for article in Article.objects.filter(source=source)] == ["b.txt"]


def test_deleting_a_source_says_how_much_goes_and_removes_it_at_once(cast: Cast, as_: Callable[[User], Client]) -> None:
    browser = as_(cast.sue)
    source = files(browser)
    url = reverse("admin:agents_source_remove", args=[source.pk])
    assert "1 article, 1 passage, 2 files" in browser.get(url).content.decode()
    assert as_(cast.ana).post(url).status_code == 403
    assert browser.post(url).status_code == 302
    assert not Source.objects.filter(pk=source.pk).exists() and not Passage.objects.exists()
    assert audited(cast.acme.org, "source.deleted").before["articles"] == 1


def test_the_parts_of_a_source_s_page_are_not_a_stranger_s(
    cast: Cast, globex: Furnished, as_: Callable[[User], Client]
) -> None:
    source = files(as_(cast.sue))
    run, file = source.runs.get(), source.files.first()
    assert file is not None
    gus, own = as_(cast.gus), globex.rows["agents.source"].pk
    for name, key in (("progress", None), ("reading", run.pk), ("file", file.pk)):
        for parent in (source.pk, own):
            keys = [parent, key] if key else [source.pk]
            answer = gus.get(reverse(f"admin:agents_source_{name}", args=keys))
            assert answer.status_code == 404, (name, parent)
        keys = [source.pk, key] if key else [source.pk]
        assert as_(cast.ana).get(reverse(f"admin:agents_source_{name}", args=keys)).status_code in (200, 403)
    assert gus.get(reverse("admin:agents_source_progress", args=[nobody()])).status_code == 404


def test_a_written_article_can_be_rewritten_and_is_found_as_before_until_it_has_been_read(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.sue)
    asked = {"title": "Returns", "url": "", "content": "Within 30 days."}
    browser.post("/admin/agents/article/add/", asked)
    article = Article.objects.get(title="Returns")
    read_article(str(article.pk))
    url = reverse("admin:agents_article_change", args=[article.pk])
    assert browser.post(url, {**asked, "content": "Within 60 days."}).status_code == 302
    article.refresh_from_db()
    assert article.content == "Within 60 days." and article.passages.get().text == "Within 30 days."
    read_article(str(article.pk))
    assert article.passages.get().text == "Within 60 days."
    assert as_(cast.ana).post(url, asked).status_code == 403
    assert browser.post(acme.url("agents.article"), asked).status_code == 403  # what a source brings
    assert b"Its source brings this article" in browser.get(acme.url("agents.article")).content


def test_the_preview_shows_markdown_and_nothing_that_runs(cast: Cast, as_: Callable[[User], Client]) -> None:
    url, text = "/admin/agents/article/preview/", "**Bold** <script>alert(1)</script> [x](javascript:alert(1))"
    shown = as_(cast.sue).post(url, {"text": text}).content.decode()
    assert "<strong>Bold</strong>" in shown and "<script" not in shown and "href" not in shown
    assert as_(cast.ana).post(url, {"text": text}).status_code == 403
    assert as_(cast.sue).get(url).status_code == 405
    assert Client(enforce_csrf_checks=True).post(url, {"text": text}).status_code in (302, 403)
