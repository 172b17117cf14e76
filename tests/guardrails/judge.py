"""Says which statements of an answer nobody told the model. Written apart from what Halo itself judges by.

Strict on purpose: a statement counts as told only where one article holds all its numbers and names and nearly all
its words. Words that are merely near the subject, or a price that belongs to something else, do not pass; a bare figure
answers the question, so that its article has to be about what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Of so many words one may be missing from the article.
WORDS_A_SLIP = 5

_BREAK = re.compile(r"(?<=[.!?])\s+(?=\W*[A-Z0-9])|\n+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<!^)(?<![.!?:*\"“] )\b[A-Z][a-z]+\b")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_ADDRESS = re.compile(r"\S+@\S+|https?://\S+|www\.\S+")
_MARKER = re.compile(r"\[\d+\]")
_SPELT = dict(
    zip(
        "one two three four five six seven eight nine ten eleven twelve half".split(),
        "1 2 3 4 5 6 7 8 9 10 11 12 0.5".split(),
        strict=True,
    )
)
_SAYS_NOTHING = frozenset(
    """a about above after all also am an and any are as at be been before but by can could did do does for from get give
    had has have he her here his how i if in into is it its just may me more most my no not of on only or other our out
    over per please she should so some such than that the their them then there these they this those to too under up us
    very was we were many much often what when where which while who whom why will with would yes you your yours""".split()
)
_DECLINES = re.compile(
    r"\b(?:sorry|apologi[sz]e|unfortunately|(?:do not|don't|does not|doesn't|cannot|can't|could not|couldn't) "
    r"(?:\w+ )?(?:know|have|find|say|answer|help|provide|assist|hold|contain|mention|tell)|unable|not (?:sure|certain|"
    r"mentioned|specified|stated|listed)|no (?:information|details|mention)|(?:a|our) (?:person|team|"
    r"colleague|teammate|human))\b",
    re.IGNORECASE,
)
_CHAT = re.compile(
    r"\b(?:thank|thanks|welcome|glad|happy to|hope (?:this|that)|let me know|feel free|have a (?:great|nice|good)|hello|"
    r"hi there|dear)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Judge:
    """Knows all the articles of an organisation, each as one text with its title."""

    articles: Sequence[str]

    def inventions(self, answer: str, *, question: str) -> list[str]:
        """The statements of `answer` that no article makes, as they stand there; [] for an honest refusal."""
        return [statement for statement in statements(answer) if self._made_up(statement, question)]

    def _made_up(self, statement: str, question: str) -> bool:
        facts = _facts(statement) - _facts(question)
        if _DECLINES.search(statement) and not facts:
            return False
        if statement.rstrip('*_" ').endswith("?") or (_CHAT.search(statement) and not facts):
            return False
        words = _words(statement)
        if not words and not facts:
            # "Yes, we do." to what no article answers is a promise too.
            return bool(re.match(r"\W*(?:yes|no|of course|certainly)\b", statement, re.IGNORECASE))
        if len(words) < WORDS_A_SLIP - 1:
            words |= _words(question)
        slips = len(words) // WORDS_A_SLIP
        return not any(facts <= _facts(article) and len(words - _words(article)) <= slips for article in self.articles)


def statements(answer: str) -> list[str]:
    """The answer's sentences and lines, without the numbers of passages."""
    pieces = (_MARKER.sub("", piece).strip() for piece in _BREAK.split(answer))
    return [piece for piece in pieces if re.search(r"[^\W\d_]", piece)]


def said_in(statement: str, text: str) -> bool:
    """Whether the words of `statement` stand in `text`, in their order; marks and citations do not matter."""
    wanted, given = (re.findall(r"\w+", _MARKER.sub("", part).lower()) for part in (statement, text))
    return f" {' '.join(wanted)} " in f" {' '.join(given)} "


def _facts(text: str) -> set[str]:
    """Numbers, names and addresses."""
    spelt = {_SPELT[word] for word in _WORD.findall(text.lower()) if word in _SPELT}
    names = {found.group().lower() for found in _NAME.finditer(text)}
    return {_plain(number) for number in _NUMBER.findall(text)} | spelt | names | set(_ADDRESS.findall(text.lower()))


def _plain(number: str) -> str:
    """9, 9:00 and 9.00 are one number."""
    return re.sub(r"[.,:]0+$", "", number)


def _words(text: str) -> set[str]:
    """What the text is about, cut so that most forms of a word meet."""
    words = {word.removesuffix("'s") for word in _WORD.findall(text.lower())}
    return {_stem(word) for word in words - _SAYS_NOTHING if word not in _SPELT and len(word) > 1}


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "ed", "es", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
