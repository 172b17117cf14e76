"""Which passages an answer really rests on: numbers that we issued, quotes that occur in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.llm.base import Excerpt

MAX_QUOTE = 600
# `[3]: "verbatim quote"` on a line of its own, in the block that ends an answer.
QUOTE_LINE = re.compile(r'\[(\d{1,4})\]:?[ \t]*["“”«](.+)')
# `[3]` behind a statement, not `list[3]` and not a link's `[3](...)`.
MARKER = re.compile(r"[ \t]?(?<![\w\]])\[(\d{1,4})\](?!\()")
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer with its citations: `unsupported` counts what the model cited and we could not confirm."""

    text: str
    citations: list[dict[str, Any]]
    unsupported: int


def check(answer: str, excerpts: Sequence[Excerpt]) -> Checked:
    """The answer without its citation block and without markers that name nothing; its confirmed citations.

    A quote that does not occur in its passage is replaced by the passage's sentence that shares most words with the
    statement that cites it; where none shares half of them, the citation is dropped.
    """
    issued = {excerpt.n: excerpt for excerpt in excerpts}
    body, quotes = _split(answer)
    used = list(dict.fromkeys(int(found.group(1)) for found in MARKER.finditer(body)))
    citations: list[dict[str, Any]] = []
    confirmed: set[int] = set()
    unsupported = 0
    for n in dict.fromkeys([*used, *quotes]):
        excerpt = issued.get(n)
        quote = _occurring(quotes.get(n, ""), excerpt.text) if excerpt else ""
        if excerpt and not quote and n in used:
            quote = _best_sentence(_statement(body, n), excerpt.text)
        if excerpt is None or not quote:
            unsupported += 1
            continue
        confirmed.add(n)
        citations.append(
            {"n": n, "article_id": excerpt.article_id, "title": excerpt.title, "url": excerpt.url, "quote": quote}
        )
    # Where we issued numbers, one that we did not confirm would point the reader to nothing.
    if issued:
        body = MARKER.sub(lambda found: found.group() if int(found.group(1)) in confirmed else "", body)
    return Checked(text=body.strip() or answer.strip(), citations=citations, unsupported=unsupported)


def numbers_in(text: str) -> set[int]:
    """The numbers of the markers in `text`."""
    return {int(found.group(1)) for found in MARKER.finditer(text)}


def _split(answer: str) -> tuple[str, dict[int, str]]:
    """The answer above its citation block, and the block's quotes by number."""
    lines = answer.rstrip().split("\n")
    quotes: dict[int, str] = {}
    while lines:
        # Stripped first: a model that ends a line with thousands of spaces must not make the search quadratic.
        found = QUOTE_LINE.match(lines[-1].strip())
        if found:
            quotes[int(found.group(1))] = found.group(2).rstrip('"“”»')
        elif lines[-1].strip() or not quotes:
            break
        lines.pop()
    return "\n".join(lines), dict(sorted(quotes.items()))


def _occurring(quote: str, passage: str) -> str:
    """The passage's own words for `quote`, if it occurs there; white space and typographic quotes may differ."""
    words = quote.strip().strip("…. ").split()
    if not words:
        return ""
    pattern = r"\s+".join(re.escape(word).replace("'", "['’]").replace('\\"', '["“”]') for word in words)
    found = re.search(pattern, passage[:100_000], re.IGNORECASE)
    return found.group()[:MAX_QUOTE] if found else ""


def speaks_for_itself(n: int, body: str, excerpt: Excerpt) -> bool:
    """Whether the statement that first carries the marker `[n]` in `body` has words enough of its passage.

    Such a citation holds whatever quote comes with it.
    """
    return bool(_best_sentence(_statement(body, n), excerpt.text))


def _statement(body: str, n: int) -> str:
    """The sentence that carries the marker `[n]`."""
    position = body.find(f"[{n}]")
    before = body[:position].rstrip(" .!?\n")
    start = max(before.rfind(sign) for sign in ".!?\n") + 1
    return before[start:]


def _best_sentence(statement: str, passage: str) -> str:
    wanted = _content(statement)
    if not wanted:
        return ""
    sentences = [found.group().strip() for found in _SENTENCE.finditer(passage)]
    best = max(sentences, key=lambda sentence: len(wanted & _content(sentence)), default="")
    return best[:MAX_QUOTE] if len(wanted & _content(best)) * 2 >= len(wanted) else ""


def _content(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if len(word) > 3 or word.isdigit()}
