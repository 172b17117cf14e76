"""How a server signs identity tokens, by language: the very texts of docs/identity.md."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from django.conf import settings

LANGUAGES = ("Node", "Python", "PHP", "Ruby")
_SAMPLE = re.compile(
    r"^## How do I sign a token in (?P<language>\w+)\?\n\n(?P<says>[^\n]+)\n\n```\w+\n(?P<code>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One language: a line of Markdown that says what to install, and the code."""

    language: str
    says: str
    code: str

    @property
    def slug(self) -> str:
        return self.language.lower()


@functools.cache
def samples() -> tuple[Sample, ...]:
    """The samples of the documents, in the order of LANGUAGES; without the documents there are none."""
    page = settings.BASE_DIR / "docs" / "identity.md"
    text = page.read_text() if page.is_file() else ""
    found = {
        match["language"]: Sample(match["language"], match["says"], match["code"]) for match in _SAMPLE.finditer(text)
    }
    return tuple(found[language] for language in LANGUAGES if language in found)
