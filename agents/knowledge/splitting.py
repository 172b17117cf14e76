"""Cuts an article into passages: pieces that are found, shown to the model and cited on their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

from agents.knowledge.wordpiece import tokenize

# Goes into every article's content hash: raise it when the same content would be cut differently.
VERSION = 1
# In wordpieces, of which the embedding model reads 256 with the heading: 200 are about 150 English words.
MAX_SIZE = 200
# A section shorter than this shares a passage with its neighbour.
MIN_SIZE = 60
MAX_HEADING = 500
# Text with fewer wordpieces than this for its length (blanks, one endless word) is measured by its length.
CHARACTERS_A_PIECE = 10

# Blocks only: their line numbers are all we ask for. A "[word]: ..." line is text here, not a link's definition.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable(["inline", "reference"])
_LINE = re.compile(r"\r\n|\n|\r")
# No space follows the full-width marks.
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"'”’)\]])\s+|(?<=[。！？])")
# Where a block that is too long may be cut, best place first: items, lines, sentences, words, anywhere.
# (No expression here takes quadratic time, whatever the text: a megabyte of spaces or brackets is a test.)
_CUTS = [
    re.compile(r"(?<!\s)\s*\n(?=[-*+|>]|\d+[.)])"),
    re.compile(r"(?<!\s)\s*\n"),
    _SENTENCE,
    re.compile(r"\s+"),
    re.compile(r"(?s).{100}"),
]


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` is a verbatim slice of the article's content, `heading` its path: "Title > Section > Subsection"."""

    position: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of the content under the headings of `path`; `section` is where the first of a section begins."""

    start: int
    end: int
    size: int
    path: tuple[str, ...]
    section: int | None


def split(title: str, content: str) -> list[Piece]:
    """The article's passages in order; an article without text has one, made of its title."""
    pieces: list[Piece] = []
    for group in _groups(_spans(content)):
        first = group[0]
        path = _common(span.path for span in group)
        # A passage over several sections shows the first one's heading line, as it does those of the others.
        start = first.start if first.section is None or path == first.path else first.section
        pieces.append(Piece(len(pieces), _heading(title, path), content[start : group[-1].end]))
    return pieces or [Piece(0, title[:MAX_HEADING], content.strip() or title)]


def _heading(title: str, path: tuple[str, ...]) -> str:
    """The path, in which a document's own first heading does not repeat its title."""
    names = path[1:] if path[:1] == (title,) else path
    return " > ".join(name for name in (title, *names) if name)[:MAX_HEADING]


def sentences(text: str) -> list[str]:
    """The sentences and lines of `text`, in order."""
    return [part.strip() for line in _LINE.split(text) for part in _SENTENCE.split(line) if part.strip()]


def size(text: str) -> int:
    """How long `text` is, in wordpieces."""
    return max(len(tokenize(text, limit=len(text) + 2)) - 2, len(text) // CHARACTERS_A_PIECE)


def _spans(content: str) -> Iterator[_Span]:
    """The blocks of the Markdown (paragraph, list, table, code), those that are too long cut further."""
    starts = [0, *(match.end() for match in _LINE.finditer(content)), len(content)]
    path: list[tuple[str, str]] = []
    heading: tuple[int, int] | None = None

    def span(start: int, end: int, section: int | None = None) -> _Span:
        return _Span(start, end, size(content[start:end]), tuple(name for _, name in path), section)

    tokens = _MARKDOWN.parse(content)
    for number, token in enumerate(tokens):
        if token.level or not token.map:
            continue
        start, end = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
        if token.type == "heading_open":
            if heading and token.tag <= path[-1][0]:  # a section of nothing but its heading
                yield from (span(*part) for part in _cut(content, *heading))
            name = " ".join(tokens[number + 1].content.split())
            path = [*(above for above in path if above[0] < token.tag), (token.tag, name)]
            heading = start, end
            continue
        for part in _cut(content, start, end):
            yield span(*part, heading and heading[0])
            heading = None
    if heading:
        yield from (span(*part) for part in _cut(content, *heading))


def _cut(content: str, start: int, end: int, level: int = 0) -> Iterator[tuple[int, int]]:
    """The (start, end) of the parts of a stretch, trimmed, each no longer than a passage where that can be."""
    text = content[start:end]
    start += len(text) - len(text.lstrip())
    end = start + len(text.strip())
    if start == end:
        return
    if level == len(_CUTS) or size(content[start:end]) <= MAX_SIZE:
        yield start, end
        return
    edge = start
    for match in [*_CUTS[level].finditer(content, start, end), None]:
        cut = match.end() if match else end
        yield from _cut(content, edge, cut, level + 1)
        edge = cut


def _groups(spans: Iterable[_Span]) -> list[list[_Span]]:
    """Neighbouring spans put together until a passage is full, or its section ends and it is long enough."""
    groups: list[list[_Span]] = []
    total = end = 0
    for span in spans:
        # What lies between (blank lines, a heading) is in the passage too.
        gap = (span.start - end) // CHARACTERS_A_PIECE
        done = span.section is not None and total >= MIN_SIZE
        if not groups or done or total + gap + span.size > MAX_SIZE:
            groups.append([])
            total = gap = 0
        groups[-1].append(span)
        total += gap + span.size
        end = span.end
    if len(groups) > 1 and total < MIN_SIZE // 2 and groups[-1][0].start - groups[-2][-1].end < MAX_SIZE:
        groups[-2:] = [groups[-2] + groups[-1]]
    return groups


def _common(paths: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The headings that all `paths` begin with."""
    columns = zip(*paths, strict=False)
    common = []
    for names in columns:
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return tuple(common)
