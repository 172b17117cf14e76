"""What reading makes of a document: drafts of articles, and what could not be read, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

# Goes up when the same bytes become another text: then pages that have not changed are read whole once more.
VERSION = 1
MAX_TITLE = 500
MAX_ID = 255
MAX_CONTENT = 1024 * 1024
MAX_FILE = 10 * 1024 * 1024
# A longer text becomes several articles, so that one is read and embedded within seconds.
PART = 200_000

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*\w.*)$", re.MULTILINE)
_WORDS = re.compile(r"^.*\w.*$", re.MULTILINE)
# Where a long text may be cut, best place first.
_CUTS = ("\n# ", "\n## ", "\n\n", "\n", " ")


@dataclass(frozen=True, slots=True)
class Draft:
    """An article as its author has it; `external_id` is the author's own name for it, unique in its source."""

    external_id: str
    title: str
    content: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be read as an article: where it stands (a file, with its line), and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """`links` and `canonical` are absolute; `noindex` and `nofollow` what the page's own tags say."""

    title: str
    content: str
    links: list[str] = field(default_factory=list)
    canonical: str = ""
    noindex: bool = False
    nofollow: bool = False


class Undecipherable(Exception):
    """A document that cannot be read at all; the message is a sentence for whoever uploaded it."""


def title_of(content: str) -> str:
    """The first heading, else the first line that says something, else nothing."""
    found = _HEADING.search(content) or _WORDS.search(content)
    return found[found.lastindex or 0].strip("# \t\r")[:200].strip() if found else ""


def stem(name: str) -> str:
    """A file's name without folders and without what follows its last dot."""
    name = name.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def in_parts(draft: Draft) -> Iterator[Draft]:
    """The draft, or, where it is long, several with numbers in their titles; the first keeps its id."""
    if len(draft.content) <= PART:
        yield draft
        return
    pieces = list(_pieces(draft.content))
    for number, piece in enumerate(pieces, 1):
        yield replace(
            draft,
            external_id=draft.external_id if number == 1 else f"{draft.external_id}#part-{number}",
            title=f"{draft.title[: MAX_TITLE - 30]} (part {number} of {len(pieces)})",
            content=piece,
        )


def _pieces(text: str) -> Iterator[str]:
    while len(text) > PART:
        for mark in _CUTS:
            cut = text.rfind(mark, PART // 2, PART)
            if cut > 0:
                break
        else:
            cut = PART
        yield text[:cut].strip()
        text = text[cut:]
    if text.strip():
        yield text.strip()
