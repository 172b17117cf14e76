"""How likely an answer is right and grounded, from what can be seen of it. No model call, well under 20 ms."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from agents.llm.base import Excerpt

_HEAD = json.loads(resources.files("agents").joinpath("confidence.json").read_text(encoding="utf-8"))
_WORD = re.compile(r"[^\W\d_]{3,}")
_FACT = re.compile(r"\d[\d.,:/-]*\d|\d")
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
_COMMON = frozenset(
    """the and for you your are can with that this have has not but from was were will would there their they then than
    what when where which who how our out its also into more any all may one some about other only over under such each
    very just does did been being these those here please""".split()
)


def inputs(
    *,
    question: str,
    answer: str,
    excerpts: Sequence[Excerpt],
    cited: int,
    unsupported: int,
    tool_calls: int,
    tool_errors: int,
    escalated: bool,
    repeated: bool,
) -> dict[str, float]:
    """Everything the head looks at, by name; recorded on the turn. Shares and similarities are 0 to 1."""
    scores = sorted((excerpt.score for excerpt in excerpts), reverse=True)
    known = " ".join(f"{excerpt.title} {excerpt.text}" for excerpt in excerpts)
    known_words, known_facts = _words(known), set(_FACT.findall(known))
    words, facts = _words(answer), set(_FACT.findall(answer))
    return {
        "best_similarity": round(scores[0], 4) if scores else 0.0,
        "mean_similarity": round(sum(scores[:5]) / len(scores[:5]), 4) if scores else 0.0,
        "similarity_gap": round(scores[0] - scores[1], 4) if len(scores) > 1 else 0.0,
        "word_support": round(len(words & known_words) / len(words), 4) if words else 0.0,
        "fact_support": round(len(facts & known_facts) / len(facts), 4) if facts else 1.0,
        "citations": float(cited),
        "unsupported_citations": float(unsupported),
        "tool_calls": float(tool_calls),
        "tool_errors": float(tool_errors),
        "escalated": float(escalated),
        "hedged": float(bool(_HEDGES.search(answer))),
        "wants_person": float(bool(_WANTS_PERSON.search(question))),
        "repeated": float(repeated),
    }


def estimate(values: dict[str, Any]) -> float:
    """The probability in [0, 1], rounded to four places, that an answer with these inputs is right."""
    caps = _HEAD["caps"]
    terms = (
        weight * min(float(values.get(name, 0.0)), caps.get(name, 1.0)) for name, weight in _HEAD["weights"].items()
    )
    return round(1 / (1 + math.exp(-(_HEAD["intercept"] + sum(terms)))), 4)


def head_version() -> str:
    """Which head estimated; recorded with the inputs."""
    return str(_HEAD["version"])


def _words(text: str) -> set[str]:
    return {word for word in (found.lower() for found in _WORD.findall(text)) if word not in _COMMON}
