"""In which language a visitor writes, as far as the words tell."""

from __future__ import annotations

import pytest

from agents import languages


@pytest.fixture(autouse=True)
def _prepared() -> None:
    languages.prepare()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I reset my password?", "en"),
        ("Wo finde ich meine Rechnung?", "de"),
        ("Bonsoir, où se trouve le remboursement ?", "fr"),
        ("Hola, ¿por qué me han cobrado?", "es"),
        ("Kan jeg få pengene tilbake?", "nb"),
        ("パスワードを忘れました", "ja"),
    ],
)
def test_words_enough_tell_the_language(text: str, language: str) -> None:
    assert languages.language_of(text) == language


@pytest.mark.parametrize("text", ["", " \n", "hi", "thanks!", "refund", "ERR-404", "order A-123", "\x00", "🙂🙂"])
def test_of_too_few_words_nothing_is_told(text: str) -> None:
    assert languages.language_of(text) == ""
