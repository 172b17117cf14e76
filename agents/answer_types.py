"""What kind of answer an answer is: said by the model in its last lines, checked by what it did and wrote."""

from __future__ import annotations

import re

from django.db import models

from agents import wishes
from agents.citations import QUOTE_LINE


class AnswerType(models.TextChoices):
    """Drives what the agent does: answer, ask one question, decline, or hand over."""

    NONE = "", "—"
    ANSWERABLE = "answerable", "Answered from what is known"
    NEEDS_FACT = "needs_fact", "Needs one fact"
    AMBIGUOUS = "ambiguous", "Ambiguous"
    NOT_IN_KNOWLEDGE = "not_in_knowledge", "Not in the knowledge"
    NOT_ALLOWED = "not_allowed", "Not allowed"
    NEEDS_PERSON = "needs_person", "Needs a person"


ASKING = frozenset({AnswerType.NEEDS_FACT, AnswerType.AMBIGUOUS})
DECLINING = frozenset({AnswerType.NOT_IN_KNOWLEDGE, AnswerType.NOT_ALLOWED})

# `[type]: needs_fact` on a line of its own at the end; models vary the brackets and the case.
_DECLARED = re.compile(
    r"[ \t]*[\[(*_]{0,3}(?:answer[ _-]?)?type[\])*_]{0,3}[ \t]*[:=][ \t*_`\"]{0,4}([a-z_ -]{3,20})\W{0,4}",
    re.IGNORECASE,
)
# As the prompt asks for it. This alone counts, and goes, wherever it stands.
_DECLARED_EXACTLY = re.compile(rf"[ \t]*\[type\]:[ \t]*({'|'.join(filter(None, AnswerType.values))})[ \t]*")
_BEGINNINGS = ("type", "answertype")
_DECLINES = re.compile(
    r"\b(?:i(?:'m| am) (?:not sure|unable|afraid)|i (?:do not|don't|cannot|can't|could not|couldn't) "
    r"(?:know|have|find|answer|help|provide|see)|(?:no|not enough|insufficient) information|"
    r"not (?:mentioned|specified|provided|covered|stated)|nothing in (?:the|our) (?:knowledge|help))",
    re.IGNORECASE,
)
# Not the question mark within an address.
QUESTION = re.compile(r"[^.!?\n]*\?(?![\w=&%/])")


def split_declared(text: str) -> tuple[str, AnswerType]:
    """The answer without the line that declares its type, and the type; NONE where no known one is declared.

    Models write the line last or before their citations, in spellings of their own; the exact one may stand anywhere.
    """
    lines = text.rstrip().split("\n")
    declared = ""
    tail = len(lines)
    while tail and is_closing(lines[tail - 1]):
        tail -= 1
    for place in range(len(lines) - 1, -1, -1):
        exact = _DECLARED_EXACTLY.fullmatch(lines[place][:80])
        found = exact or (_DECLARED.fullmatch(lines[place][:80]) if place >= tail and not declared else None)
        if found:
            declared = declared or re.sub(r"[ -]+", "_", found.group(1).strip().lower())
            del lines[place]
    if not declared:
        return text, AnswerType.NONE
    return "\n".join(lines).rstrip(), AnswerType(declared) if declared in AnswerType.values else AnswerType.NONE


def is_closing(line: str) -> bool:
    """Whether a whole line can belong to what ends an answer and is not part of it: its type, quotes, blank lines."""
    return not line.strip() or bool(QUOTE_LINE.match(line.strip()) or _DECLARED.fullmatch(line[:80]))


def may_become_closing(line: str) -> bool:
    """Whether a line that is still being written can become one that `is_closing`."""
    begun = line.strip().lstrip("[(*_")
    plain = re.sub(r"[ _-]", "", begun.lower())
    is_type = len(line) <= 80 and any(plain.startswith(word) or word.startswith(plain) for word in _BEGINNINGS)
    return is_type or bool(re.match(r"\[\d{0,4}(?:\Z|\]:?[ \t]*(?:\Z|[\"“”«]))", line.strip()))


def without_declarations(text: str) -> str:
    """Whole lines without those that declare a type as the prompt asks for it."""
    return "\n".join(line for line in text.split("\n") if not _DECLARED_EXACTLY.fullmatch(line[:80]))


def classify(*, declared: AnswerType, question: str, answer: str, cited: int, asked_for_person: bool) -> AnswerType:
    """The type of an answer whose text and citations have been checked.

    A declared decline says why nobody answered, also where a person is called in for it. Else what was done counts
    before what was said: who called for a person needs one; a question is one only with a question mark.
    """
    if declared in DECLINING:
        return declared
    if asked_for_person or declared == AnswerType.NEEDS_PERSON:
        return AnswerType.NEEDS_PERSON
    if declared in ASKING:
        return declared if "?" in answer else AnswerType.ANSWERABLE
    if cited:
        return AnswerType.ANSWERABLE
    if declines(answer):
        return AnswerType.NOT_IN_KNOWLEDGE
    if declared == AnswerType.NONE and answer.rstrip().endswith("?") and not wishes.is_small_talk(question):
        return AnswerType.NEEDS_FACT
    return AnswerType.ANSWERABLE


def declines(text: str) -> bool:
    """Whether the text says that it does not answer."""
    return _DECLINES.search(text) is not None


def one_question(text: str) -> str:
    """`text` up to its first question: who is asked three things answers none of them."""
    found = QUESTION.search(text)
    return text[: found.end()].rstrip() if found else text
