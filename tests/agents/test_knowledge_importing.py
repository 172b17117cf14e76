"""Articles come in once, change when they change, and stay in their organisation."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from django.db import connection

from agents.knowledge.importing import (
    Draft,
    ImportReport,
    NothingToRead,
    Unreadable,
    delete_article,
    import_articles,
    read_articles,
)
from agents.models import Article, Passage, Source
from orgs.models import Organization
from tests.cast import Cast, build_cast

PARAGRAPH = "You can change the address of your account at any time in the settings. " * 5
DRAFTS = [
    Draft("address", "Changing your address", f"## At home\n\n{PARAGRAPH}\n\n## Abroad\n\n{PARAGRAPH}"),
    Draft("hours", "Opening hours", "We are open from nine to five.", "https://acme.example/hours"),
    Draft("empty", "Only a title", ""),
]


def load(org: Organization, *drafts: Draft | Unreadable, source: str = "Help centre") -> ImportReport:
    return import_articles(org=org, source_name=source, drafts=drafts)


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.created, report.updated, report.unchanged, len(report.failed)


# --- Storing ---------------------------------------------------------------------------------------------------------
def test_articles_are_stored_with_passages_of_their_own_organisation(cast: Cast) -> None:
    report = load(cast.acme.org, *DRAFTS)
    assert (counts(report), report.passages) == ((3, 0, 0, 0), 4)
    assert set(Article.objects.values_list("org_id", flat=True)) == {cast.acme.org.pk}
    assert set(Passage.objects.values_list("org_id", flat=True)) == {cast.acme.org.pk}
    headings = (
        Passage.objects.filter(article__external_id="address").order_by("position").values_list("heading", flat=True)
    )
    assert list(headings) == ["Changing your address > At home", "Changing your address > Abroad"]


def test_a_second_import_embeds_nothing_and_changes_nothing(cast: Cast) -> None:
    load(cast.acme.org, *DRAFTS)
    before = list(Passage.objects.order_by("pk").values_list("pk", "text"))
    report = load(cast.acme.org, *DRAFTS)
    assert (counts(report), report.passages) == ((0, 0, 3, 0), 0)
    assert list(Passage.objects.order_by("pk").values_list("pk", "text")) == before


def test_a_changed_article_has_its_passages_replaced_and_keeps_its_id(cast: Cast) -> None:
    load(cast.acme.org, *DRAFTS)
    article = Article.objects.get(external_id="address")
    report = load(cast.acme.org, Draft("address", "Changing your address", "Write to us."), *DRAFTS[1:])
    assert (counts(report), report.passages) == ((0, 1, 2, 0), 1)
    assert [passage.text for passage in article.passages.all()] == ["Write to us."]


def test_a_changed_url_is_stored_without_embedding_again(cast: Cast) -> None:
    load(cast.acme.org, DRAFTS[1])
    report = load(cast.acme.org, Draft("hours", DRAFTS[1].title, DRAFTS[1].content, "https://acme.example/new"))
    assert (counts(report), report.passages) == ((0, 1, 0, 0), 0)
    assert Article.objects.get().url == "https://acme.example/new"


def test_articles_that_are_no_longer_sent_stay(cast: Cast) -> None:
    load(cast.acme.org, *DRAFTS)
    load(cast.acme.org, DRAFTS[0])
    assert Article.objects.count() == 3


def test_the_same_id_is_another_article_in_another_source_and_organisation(cast: Cast) -> None:
    for org, source in ((cast.acme.org, "A"), (cast.acme.org, "B"), (cast.globex.org, "A")):
        assert counts(load(org, DRAFTS[1], source=source)) == (1, 0, 0, 0)
    assert Source.objects.count() == 3


def test_what_cannot_be_stored_is_reported_and_the_rest_is_loaded(cast: Cast) -> None:
    report = load(
        cast.acme.org,
        Draft("", "No id", "text"),
        Draft("i" * 256, "Long id", "text"),
        Draft("no title", " ", "text"),
        Draft("long title", "t" * 501, "text"),
        Draft("long content", "Title", "é" * 600_000),
        Draft("script", "Title", "text", "javascript:alert(1)"),
        Unreadable("file.jsonl, line 3", "is not JSON"),
        DRAFTS[1],
        Draft("hours", "Again", "The same id."),
    )
    assert report.created == 1
    assert [reason for _, reason in report.failed] == [
        "the id must be 1 to 255 characters",
        "the id must be 1 to 255 characters",
        "the title must be 1 to 500 characters",
        "the title must be 1 to 500 characters",
        "the content is longer than 1 MB",
        "the url is not an http or https address",
        "is not JSON",
        "appears twice; the first one was taken",
    ]
    assert Article.objects.get().title == "Opening hours"


def test_characters_that_the_database_cannot_hold_become_replacement_characters(cast: Cast) -> None:
    report = load(cast.acme.org, Draft("odd\x00", "Odd \ud800 title", "Nul \x00 and a lone \udfff surrogate."))
    assert report.failed == []
    article = Article.objects.get()
    assert (article.external_id, article.title) == ("odd\ufffd", "Odd \ufffd title")
    assert Passage.objects.get().text == "Nul \ufffd and a lone \ufffd surrogate."


def test_progress_is_told_the_number_of_articles_dealt_with(cast: Cast) -> None:
    seen: list[int] = []
    drafts = [Draft(str(number), "Title", "") for number in range(20)]
    import_articles(org=cast.acme.org, source_name="Many", drafts=iter(drafts), progress=seen.append)
    assert seen == [16, 20]


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_neither_double_nor_block_each_other() -> None:
    org = build_cast().acme.org
    drafts = [Draft(str(number), f"Article {number}", "Some text about it.") for number in range(40)]
    reports: list[ImportReport] = []

    def run(order: list[Draft]) -> None:
        reports.append(load(org, *order))
        connection.close()

    threads = [threading.Thread(target=run, args=[order]) for order in (drafts, drafts[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [len(report.failed) for report in reports] == [0, 0]
    assert Source.objects.count() == 1
    assert sorted(Article.objects.values_list("external_id", flat=True)) == sorted(
        draft.external_id for draft in drafts
    )
    assert Passage.objects.count() == 40
    assert sum(report.created for report in reports) == 40


def test_an_article_can_be_deleted_by_its_own_organisation_only(cast: Cast) -> None:
    load(cast.acme.org, *DRAFTS)
    article = Article.objects.get(external_id="address")
    assert not delete_article(org=cast.globex.org, article_id=article.pk)
    assert delete_article(org=cast.acme.org, article_id=article.pk)
    assert not delete_article(org=cast.acme.org, article_id=article.pk)
    assert Passage.objects.filter(article_id=article.pk).count() == 0
    assert Article.objects.count() == 2


# --- Reading ---------------------------------------------------------------------------------------------------------
def test_json_lines_are_read_and_bad_lines_are_named(tmp_path: Path) -> None:
    lines = [
        b"\xef\xbb\xbf" + json.dumps({"id": "a", "title": "A", "content": "text", "url": "https://x.example"}).encode(),
        b"",
        json.dumps({"id": 7, "title": "B", "content": "", "url": None, "more": 1}).encode(),
        b"{not json",
        b'{"id": "c", "title": "\xff", "content": ""}',
        b'["id"]',
        json.dumps({"id": "d", "title": 5, "content": ""}).encode(),
        json.dumps({"id": "e", "title": "E"}).encode(),
        b"[" * 100_000,
        json.dumps({"id": "f", "title": "F", "content": "last"}).encode(),
    ]
    file = tmp_path / "articles.jsonl"
    file.write_bytes(b"\r\n".join(lines))
    assert list(read_articles(file)) == [
        Draft("a", "A", "text", "https://x.example"),
        Draft("7", "B", ""),
        Unreadable("articles.jsonl, line 4", "is not JSON"),
        Unreadable("articles.jsonl, line 5", "is not UTF-8 text"),
        Unreadable("articles.jsonl, line 6", "is not a JSON object"),
        Unreadable("articles.jsonl, line 7", "`title` is not a string"),
        Unreadable("articles.jsonl, line 8", "`content` is missing"),
        Unreadable("articles.jsonl, line 9", "is not JSON"),
        Draft("f", "F", "last"),
    ]


def test_a_folder_is_read_with_its_subfolders_and_without_hidden_files(tmp_path: Path) -> None:
    for name, content in {
        "b.md": "Some words first.\n\n## The heading ##\n\nText.",
        "guides/a.txt": "\ufeff\n***\nThe first line\nand more",
        "guides/blank.markdown": "\n",
        "guides/picture.png": "no text",
        ".git/note.md": "hidden",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "long.md").write_bytes(b"x" * (1024 * 1024 + 1))
    assert [
        (item.external_id, item.title) if isinstance(item, Draft) else item for item in read_articles(tmp_path)
    ] == [
        ("b.md", "The heading"),
        ("guides/a.txt", "The first line"),
        ("guides/blank.markdown", "blank"),
        Unreadable("latin.txt", "is not UTF-8 text"),
        Unreadable("long.md", "the content is longer than 1 MB"),
    ]


def test_what_is_no_article_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(NothingToRead, match="no file or folder"):
        read_articles(tmp_path / "missing.jsonl")
    (tmp_path / "sheet.csv").touch()
    with pytest.raises(NothingToRead, match=r"sheet\.csv is none of"):
        read_articles(tmp_path / "sheet.csv")
