"""How likely an answer is right and grounded, from what can be seen of it. No model call, a few milliseconds.

The coefficients are in confidence.json, which `manage.py fit_confidence` writes.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise
from typing import Any

from agents.llm.base import Excerpt


@dataclass(frozen=True, slots=True)
class Head:
    """A logistic function of named inputs; each counts from 0 to its cap, 1 where none is named."""

    intercept: float
    weights: Mapping[str, float]
    caps: Mapping[str, float] = field(default_factory=dict)

    def probability(self, values: Mapping[str, Any]) -> float:
        """In [0, 1], to four places; an input that is missing counts as 0, one that no weight names not at all."""
        terms = (weight * self.clipped(name, values) for name, weight in self.weights.items())
        return round(1 / (1 + math.exp(-(self.intercept + sum(terms)))), 4)

    def clipped(self, name: str, values: Mapping[str, Any]) -> float:
        return max(0.0, min(float(values.get(name, 0.0)), self.caps.get(name, 1.0)))


@dataclass(frozen=True, slots=True)
class Term:
    """What one input adds to the sum that the probability comes from; `counted` is its value within its cap."""

    name: str
    value: float
    counted: float
    weight: float

    @property
    def adds(self) -> float:
        return round(self.weight * self.counted, 4)


def _head(written: dict[str, Any]) -> Head:
    return Head(written["intercept"], written["weights"], written["caps"])


_FILE = json.loads(resources.files("agents").joinpath("confidence.json").read_text(encoding="utf-8"))
CONFIDENCE, ANSWERABILITY = _head(_FILE["confidence"]), _head(_FILE["answerability"])
# How often the answers that the head was fitted on were wrong, by what heads that had not seen them estimated.
RISK: Mapping[str, Any] = _FILE["confidence"]["risk"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[^\W\d_]{3,}")
_TOKEN = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d[\d.,:/-]*\d|\d")
# A word with a capital that does not begin a sentence.
_NAME = re.compile(r"(?<=[a-z,;:'’] )[A-Z][\w-]+")
# What is the answer's form and not a statement: numbers of citations, and of the items of a list.
_FORM = re.compile(r"\[\d{1,3}\]|^[ \t]*\d{1,2}[.)][ \t]", re.MULTILINE)
_HEDGES = re.compile(
    r"\b(?:i(?:'m| am) (?:not sure|sorry|unable|afraid)|i (?:do not|don't|cannot|can't) (?:know|have|find|answer|help)"
    r"|(?:no|not enough|insufficient) information|not (?:mentioned|specified|provided|covered)|it is unclear"
    r"|nothing in the knowledge)\b",
    re.IGNORECASE,
)
_WANTS_PERSON = re.compile(
    r"\b(?:(?:speak|talk|chat|connect|transfer)\w*\s+(?:\w+\s+){0,4}(?:human|person|someone|agent|representative|"
    r"teammate|operator)|real (?:human|person)|human (?:agent|being|support)|customer service representative)\b",
    re.IGNORECASE,
)
# Invented words beyond which more make no difference, and the words that a sentence needs to state something.
MANY, STATEMENT = 15, 3
_COMMON = frozenset(
    """the and for you your are can with that this have has not but from was were will would there their they then than
    what when where which who how our out its also into more any all may one some about other only over under such each
    very just does did been being these those here please""".split()
)


# What a greeting's answer is worth: it rests on nothing, and nothing in it can be wrong.
NOTHING_AT_STAKE = {"answerability": 1.0, "pair_support": 1.0, "weak_sentences": 0.0, "invented_words": 0.0}


def coverage(*, question: str, excerpts: Sequence[Excerpt]) -> dict[str, float]:
    """What the search says about the question before anybody answers it; `answerability` is the sum of it.

    `lead`: how far the best passage stands out from the next ones; a question that many passages fit equally well
    fits none, or does not say which it means. `question_support`: the share of its words that the passages know.
    """
    scores = sorted((excerpt.score for excerpt in excerpts), reverse=True)
    words = _words(question)
    values = {
        "best_similarity": round(scores[0], 4) if scores else 0.0,
        "mean_similarity": round(sum(scores[:5]) / len(scores[:5]), 4) if scores else 0.0,
        "similarity_gap": round(scores[0] - scores[1], 4) if len(scores) > 1 else 0.0,
        "lead": round(max((excerpt.lead for excerpt in excerpts), default=0.0), 4),
        "question_support": _share(words, _words(_known(excerpts))),
    }
    return {**values, "answerability": ANSWERABILITY.probability(values)}


def inputs(
    *,
    question: str,
    answer: str,
    excerpts: Sequence[Excerpt],
    history: Sequence[str] = (),
    cited: int,
    unsupported: int,
    tool_calls: int,
    tool_errors: int,
    escalated: bool,
    repeated: bool,
) -> dict[str, float]:
    """Everything the head looks at, by name; recorded on the turn. Shares and similarities are 0 to 1.

    `history`: what was said before the question; an answer may repeat it without having made it up.
    `invented_words` is their number on a logarithmic scale: 1 for fifteen or more, and the first few count most.
    An answer without a word that means something is as unsupported as can be.
    """
    answer = _FORM.sub(" ", answer)
    known = _known(excerpts)
    tokens, known_tokens = _tokens(answer), _tokens(known)
    words, known_words = _words(answer), _words(known)
    said = _words(" ".join([*history, question]))
    invented = words - known_words - said
    unknown_names = {name.lower() for name in _NAME.findall(answer)} - set(known_tokens)
    unknown_numbers = set(_NUMBER.findall(answer)) - set(_NUMBER.findall(known))
    return {
        **coverage(question=question, excerpts=excerpts),
        "word_support": _share(words, known_words),
        "pair_support": _share(set(pairwise(tokens)), set(pairwise(known_tokens))),
        "weak_sentences": _weak_share(answer, known_words),
        "invention": round(len(invented) / len(words), 4) if words else 0.0,
        "invented_words": _logarithmic(len(invented)) if words else 1.0,
        "unknown_facts": float(len(unknown_numbers) + len(unknown_names)),
        "citations": float(cited),
        "unsupported_citations": float(unsupported),
        "tool_calls": float(tool_calls),
        "tool_errors": float(tool_errors),
        "escalated": float(escalated),
        "hedged": float(bool(_HEDGES.search(answer))),
        "wants_person": float(bool(_WANTS_PERSON.search(question))),
        "repeated": float(repeated),
    }


def estimate(values: Mapping[str, Any]) -> float:
    """The probability in [0, 1], rounded to four places, that an answer with these inputs is right."""
    return CONFIDENCE.probability(values)


def terms(values: Mapping[str, Any]) -> list[Term]:
    """Every input that has a weight, what moves the estimate most first; `intercept()` and their sum make it."""
    found = [
        Term(name, float(values.get(name, 0.0)), CONFIDENCE.clipped(name, values), weight)
        for name, weight in CONFIDENCE.weights.items()
    ]
    return sorted(found, key=lambda term: -abs(term.adds))


def intercept() -> float:
    """Where the sum begins before any input is looked at."""
    return CONFIDENCE.intercept


def head_version() -> str:
    """Which head estimated; recorded with the inputs."""
    return str(_FILE["version"])


def _weak_share(answer: str, known: set[str]) -> float:
    """The share of the answer's words that stand in sentences of which `known` has less than half."""
    sentences = [words for words in map(_words, _SENTENCE_END.split(answer)) if len(words) >= STATEMENT]
    # A few words are a statement too where there is no other.
    sentences = sentences or [_words(answer)]
    weak = [len(words) for words in sentences if 2 * len(words & known) < len(words)]
    return round(sum(weak) / sum(map(len, sentences)), 4) if weak else float(not sentences[0])


def _logarithmic(count: int) -> float:
    return round(min(1.0, math.log1p(count) / math.log1p(MANY)), 4)


def _known(excerpts: Sequence[Excerpt]) -> str:
    return "\n".join(f"{excerpt.title}\n{excerpt.text}" for excerpt in excerpts)


def _words(text: str) -> set[str]:
    """The words that mean something, cut so that most forms of one word meet."""
    return {_stem(word) for word in _WORD.findall(text.lower()) if word not in _COMMON}


@functools.lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "edly", "ied", "ies", "ed", "es", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def _share(part: set[Any], known: set[Any]) -> float:
    return round(len(part & known) / len(part), 4) if part else 0.0
