"""`manage.py load_articles`: what an operator sees of an import."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from agents.models import Article, Source
from tests.cast import Cast


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    file = tmp_path / "help.jsonl"
    rows = [{"id": f"doc_{number}", "title": f"Article {number}", "content": "Some text."} for number in range(20)]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def load(path: Path, org: str, *options: str, stderr: io.StringIO | None = None) -> str:
    out = io.StringIO()
    call_command("load_articles", str(path), "--org", org, *options, stdout=out, stderr=stderr or io.StringIO())
    return out.getvalue()


def test_a_file_is_loaded_and_loading_it_again_finds_it_unchanged(cast: Cast, articles: Path) -> None:
    first = load(articles, "acme")
    assert "20 created, 0 updated, 0 unchanged, 0 failed. 20 passages in" in first
    assert "passages/s" in first
    assert "0 created, 0 updated, 20 unchanged, 0 failed." in load(articles, str(cast.acme.org.pk))
    source = Source.objects.get()
    assert (source.org, source.name) == (cast.acme.org, "help")
    assert not Article.objects.filter(org=cast.globex.org).exists()


def test_the_source_can_be_named(cast: Cast, articles: Path) -> None:
    load(articles, "acme", "--source", "Help centre")
    assert Source.objects.get().name == "Help centre"


def test_progress_is_lines_in_a_log_and_a_bar_on_a_terminal(cast: Cast, articles: Path) -> None:
    log, terminal = io.StringIO(), Terminal()
    load(articles, "acme", stderr=log)
    load(articles, "globex", stderr=terminal)
    assert log.getvalue().splitlines() == ["16 of 20 articles", "20 of 20 articles"]
    assert terminal.getvalue().endswith(f"\r[{'#' * 30}] 20 of 20 articles\n")


def test_a_bad_line_fails_the_command_and_nothing_else(cast: Cast, articles: Path) -> None:
    with articles.open("a", encoding="utf-8") as file:
        file.write("\n{broken\n")
    with pytest.raises(CommandError, match=r"Not loaded:\n  help\.jsonl, line 21: is not JSON"):
        load(articles, "acme")
    assert Article.objects.count() == 20


@pytest.mark.parametrize(
    ("path", "org", "message"),
    [
        ("help.jsonl", "nobody", "nobody"),
        ("missing.jsonl", "acme", "There is no file or folder"),
        ("empty", "acme", "Found no articles"),
    ],
)
def test_what_is_wrong_is_said_plainly(cast: Cast, articles: Path, path: str, org: str, message: str) -> None:
    (articles.parent / "empty").mkdir()
    with pytest.raises(CommandError, match=message):
        load(articles.parent / path, org)
    assert Article.objects.count() == 0
