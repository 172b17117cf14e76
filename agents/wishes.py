"""What a visitor's words ask for, as far as words alone tell; in English, and never the only way to get there."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GREETINGS = _words("hi hello hey hiya howdy hallo greetings morning afternoon evening")
THANKS = _words("thanks thank thx ty cheers ok okay great perfect cool super wonderful awesome")
FAREWELLS = _words("bye goodbye cya farewell")
FILLERS = _words(
    "a again all and are day everyone everybody for good have help helping how is it later lot me much nice now one see"
    " so team that the there this today very was well you your"
)
_SOMEBODY = r"(?:human|person|someone|somebody|agent|representative|operator|support|manager)"
_PERSON = re.compile(
    # "How do visitors talk to a person?" is a question, and may have an answer.
    r"(?!\W*(?:how|what|when|where|which|why|who|does|do)\b).*?"
    rf"(?:\b(?:talk|speak|chat) (?:to|with) (?:an? |some |your )?(?:real |live |human )*{_SOMEBODY}\b"
    rf"|\b(?:connect|transfer|get|give|put) me\b.{{0,30}}\b{_SOMEBODY}\b"
    r"|\b(?:want|need|prefer)\b.{0,15}\b(?:human|real person|live agent|representative)\b"
    r"|^\W*(?:an? )?(?:human|agent|operator|representative|(?:real )?person)(?:,? please)?\W*$)",
    re.IGNORECASE | re.DOTALL,
)


def asks_for_person(message: str) -> bool:
    """Whether the visitor wants to talk to somebody."""
    return _PERSON.match(message) is not None


def is_small_talk(message: str) -> bool:
    """Whether it is a greeting, thanks or a farewell, and nothing else."""
    words = {word.lower() for word in _WORD.findall(message)}
    courtesies = GREETINGS | THANKS | FAREWELLS
    return bool(words) and words <= courtesies | FILLERS and not words.isdisjoint(courtesies)
