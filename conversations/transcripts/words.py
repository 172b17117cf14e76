"""What the text in the search field means to the index, and where it stands in what was said."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db import connection
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from conversations.models import WORDS

_PARSE = "SELECT websearch_to_tsquery(%s, %s)::text"
_LEXEME = re.compile(r"(!\s*)?'((?:[^']|'')+)'")
# A word that is long enough also finds what begins with it: "refund" finds "refunds".
LONG_ENOUGH = 3
_WORD = re.compile(r"[^\W_]+")
_TAG = re.compile(r'(<[^<>"]*(?:"[^"]*"[^<>"]*)*>|&[#\w]+;)')
AROUND, LONGEST_SNIPPET = 70, 220


class ParsedQuery(SearchQuery):
    """A query as PostgreSQL has parsed it already, so that it is not taken apart a second time."""

    def __init__(self, parsed: str) -> None:
        super().__init__(parsed, search_type="raw")
        self.parsed = parsed

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
        return "%s::tsquery", [self.parsed]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parsed text: what the index is asked, and the words to be marked, folded, each with whether more may follow."""

    parsed: str = ""
    words: tuple[tuple[str, bool], ...] = ()

    @property
    def query(self) -> ParsedQuery:
        return ParsedQuery(self.parsed)

    def __bool__(self) -> bool:
        return bool(self.parsed)

    def _is_hit(self, word: str) -> bool:
        folded = fold(word)
        return any(folded.startswith(wanted) if more else folded == wanted for wanted, more in self.words)

    def marked(self, text: str) -> SafeString:
        """`text` escaped, with its hits marked. SECURITY: it is a visitor's or a model's."""
        parts, at = [], 0
        for found in _WORD.finditer(text):
            if self._is_hit(found.group()):
                parts.append(f"{escape(text[at : found.start()])}<mark>{escape(found.group())}</mark>")
                at = found.end()
        return mark_safe("".join([*parts, escape(text[at:])]))  # noqa: S308

    def marked_in(self, html: SafeString) -> SafeString:
        """HTML that is safe already, with the hits in its text marked.

        SECURITY: what is added has no quotes, so that not even inside an attribute could it end one.
        """
        if not self.words:
            return html
        pieces = _TAG.split(str(html))
        for place in range(0, len(pieces), 2):
            pieces[place] = _WORD.sub(
                lambda found: f"<mark>{found.group()}</mark>" if self._is_hit(found.group()) else found.group(),
                pieces[place],
            )
        return mark_safe("".join(pieces))  # noqa: S308

    def snippet(self, text: str) -> SafeString:
        """The part of `text` around its first hit, or its beginning, on one line."""
        line = " ".join(text.split())
        first = next((found.start() for found in _WORD.finditer(line) if self._is_hit(found.group())), 0)
        begin = 0 if first < AROUND else line.rfind(" ", 0, first - AROUND // 2) + 1
        shown = line[begin : begin + LONGEST_SNIPPET]
        before, after = "… " if begin else "", " …" if len(line) > begin + LONGEST_SNIPPET else ""
        return mark_safe(f"{before}{self.marked(shown)}{after}")  # noqa: S308


def parse(text: str) -> Wanted:
    """What `text` asks for, as web searches are written: words, "phrases", or, -not. Empty where it has no word."""
    if not text:
        return Wanted()
    with connection.cursor() as cursor:
        cursor.execute(_PARSE, [WORDS, text])
        parsed = str(cursor.fetchone()[0])
    words: dict[tuple[str, bool], None] = {}
    for negated, lexeme in _LEXEME.findall(parsed):
        if not negated:
            # A code such as err-404 is a lexeme of its own beside its parts.
            for part in _WORD.findall(lexeme.replace("''", "'")):
                words[(fold(part), len(lexeme) >= LONG_ENOUGH)] = None
    return Wanted(_LEXEME.sub(_with_beginnings, parsed), tuple(words))


def _with_beginnings(found: re.Match[str]) -> str:
    return f"{found.group()}:*" if len(found.group(2)) >= LONG_ENOUGH else found.group()


def fold(word: str) -> str:
    """A word without case and accents, as nearly as the index sees it."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
