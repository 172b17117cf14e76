"""What a visitor's words ask for, as far as words alone tell.

A wish for a person is known in some languages: where an agent never hands over by itself, it is the only way there.
"""

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
_PERSON_ELSEWHERE = re.compile(
    # As above, "how ...?" is a question: German, French, Spanish and Portuguese, Italian, Dutch.
    r"(?!\W*(?:wie|comment|c[oó]mo|come|hoe)\b).*?"
    r"(?:\b(?:mensch(?:en)?|mitarbeiter(?:in)?|berater(?:in)?|person|jemandem)\b.{0,25}"
    r"\b(?:sprechen|reden|chatten|verbinden|verbunden)\b"
    r"|\bparler\b.{0,4}(?:à|avec)\b.{0,12}\b(?:humain|personne|quelqu.un|conseill(?:er|ère)|agent|opérateur)\b"
    r"|\bhablar con\b.{0,12}\b(?:humano|persona|alguien|agente|operador|asesor)\b"
    r"|\bfalar com\b.{0,12}\b(?:humano|pessoa|algu[eé]m|atendente|agente)\b"
    r"|\bparlare con\b.{0,12}\b(?:umano|persona|qualcuno|operatore|operatrice|agente)\b"
    r"|\b(?:spreken|praten) met\b.{0,12}\b(?:mens|medewerker|iemand|persoon)\b"
    r"|\b(?:mens|medewerker|iemand)\b.{0,12}\b(?:spreken|praten)\b)",
    re.IGNORECASE | re.DOTALL,
)


def asks_for_person(message: str) -> bool:
    """Whether the visitor wants to talk to somebody."""
    return _PERSON.match(message) is not None or _PERSON_ELSEWHERE.match(message) is not None


def is_small_talk(message: str) -> bool:
    """Whether it is a greeting, thanks or a farewell, and nothing else."""
    words = {word.lower() for word in _WORD.findall(message)}
    courtesies = GREETINGS | THANKS | FAREWELLS
    return bool(words) and words <= courtesies | FILLERS and not words.isdisjoint(courtesies)
