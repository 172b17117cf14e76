"""What kind of answer an answer is: said by the model in its last lines, checked by what it did and wrote."""

from __future__ import annotations

import re

from django.db import models

from agents import wishes


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
_DECLINES = re.compile(
    r"\b(?:i(?:'m| am) (?:not sure|unable|afraid)|i (?:do not|don't|cannot|can't|could not|couldn't) "
    r"(?:know|have|find|answer|help|provide|see)|(?:no|not enough|insufficient) information|"
    r"not (?:mentioned|specified|provided|covered|stated)|nothing in (?:the|our) (?:knowledge|help))",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[^.!?\n]*\?")


def split_declared(text: str) -> tuple[str, AnswerType]:
    """The answer without the line that declares its type, and the type; NONE where no known one is declared."""
    lines = text.rstrip().split("\n")
    # Models write the line last, or before their citations; never further up.
    for place in range(len(lines) - 1, max(len(lines) - 12, -1), -1):
        found = _DECLARED.fullmatch(lines[place][:80])
        if found:
            named = re.sub(r"[ -]+", "_", found.group(1).strip().lower())
            del lines[place]
            known = named in AnswerType.values
            return "\n".join(lines).rstrip(), AnswerType(named) if known else AnswerType.NONE
    return text, AnswerType.NONE


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
    found = _QUESTION.search(text)
    return text[: found.end()].rstrip() if found else text
