"""The parts of a trace as a page shows them. Plain data in, plain data and escaped HTML out; old and odd data too.

SECURITY: all of it is what visitors, documents and models wrote. HTML is only made by format_html, which escapes.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from agents import confidence
from agents.prompts.layers import PLATFORM_RULES

LONGEST = 40_000  # characters of one text; what is longer is in the download
MOST_WORDS = 1000  # that are compared; what is longer is shown as it was
WIDTH = 1000  # of the time line, in units of its own

_WORD = re.compile(r"\S+\s*")
_LAYER = re.compile(r"^(?=# |\[Knowledge\]|The visitor (?:proved|has not proved) who they are)", re.MULTILINE)
_PHASES = {"search": "Search", "model": "Model", "tools": "Tools"}
INPUTS = {
    "answerability": "The search found what the question asks",
    "hedged": "The answer says that it does not know",
    "pair_support": "Neighbouring words that stand so in the passages",
    "weak_sentences": "Sentences that the passages hardly support",
    "invented_words": "Words that come from nowhere",
    "unknown_facts": "Numbers and names that no passage contains",
    "citations": "Quotes that were checked and held",
    "unsupported_citations": "Citations that did not hold",
    "tool_errors": "Tool calls that failed",
    "escalated": "The model asked for a person",
    "wants_person": "The visitor asks for a person",
    "repeated": "The visitor has asked this before",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time: `x` and `width` of WIDTH, and what to say of it."""

    kind: str
    label: str
    note: str
    duration: str
    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of the prompt: who says it, what it is called, its text."""

    role: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Shares:
    """What the confidence was made of; `terms` is empty where the weights of then are not those of now."""

    version: str
    terms: list[dict[str, Any]] = field(default_factory=list)
    intercept: float = 0.0
    total: float = 0.0
    others: list[tuple[str, Any]] = field(default_factory=list)


def duration(ms: float) -> str:
    """Milliseconds as people read them."""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def readable(value: object) -> str:
    """JSON, or text that holds JSON, with line breaks; other text as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return cut(str(value))
        if isinstance(value, str):
            return cut(value)
    return cut(json.dumps(value, indent=2, ensure_ascii=False))


def cut(text: str) -> str:
    """The beginning of a very long text."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} more characters"


def number(value: object) -> float:
    """A number that may be anything else; 0 then."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a JSON list that may be anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def bars(timings: object, *, waited_ms: float | None, took_ms: float | None) -> list[Bar]:
    """Where the time went, from acceptance to the end: the queue, each phase, and what was left for the record."""
    known: dict[str, Any] = timings if isinstance(timings, dict) else {}
    begin = max(waited_ms or 0.0, 0.0)
    stretches: list[tuple[str, str, str, float, float]] = []
    if waited_ms is not None:
        stretches.append(("queue", "Waiting", "from acceptance until a process took it", 0.0, begin))
    end = 0.0
    for phase in objects(known.get("phases")) or _sums(known):
        what, at, ms = str(phase.get("what", "")), number(phase.get("at_ms")), number(phase.get("ms"))
        stretches.append((what if what in _PHASES else "other", _label(phase, what), _note(phase), begin + at, ms))
        end = max(end, at + ms)
    total = number(known.get("total_ms")) or end
    if took_ms is not None and took_ms > total > 0:
        stretches.append(("record", "Recording", "writing down what came of it", begin + total, took_ms - total))
    span = max((at + ms for *_, at, ms in stretches), default=0.0)
    return [
        Bar(kind, label, note, duration(ms), *_place(at, ms, span))
        for kind, label, note, at, ms in stretches
        if span > 0
    ]


def _sums(known: dict[str, Any]) -> list[dict[str, Any]]:
    """Phases of a trace from before phases were noted: one after the other, as they were."""
    at, found = 0.0, []
    for what in ("search", "model"):
        if f"{what}_ms" in known:
            found.append({"what": what, "at_ms": at, "ms": number(known[f"{what}_ms"])})
            at += number(known[f"{what}_ms"])
    return found


def _label(phase: dict[str, Any], what: str) -> str:
    label = _PHASES.get(what, what or "Other")
    return f"{label}, round {phase['round']}" if "round" in phase else label


def _note(phase: dict[str, Any]) -> str:
    if "first_text_ms" in phase:
        return f"first words after {duration(number(phase['first_text_ms']))}"
    names = phase.get("names")
    return ", ".join(map(str, names))[:200] if isinstance(names, list) else ""


def _place(at: float, ms: float, span: float) -> tuple[int, int]:
    x = min(round(at / span * WIDTH), WIDTH - 4)
    return x, max(4, min(round(ms / span * WIDTH), WIDTH - x))


def marked(text: str, quotes: Iterable[str]) -> SafeString:
    """`text`, escaped, with the first occurrence of each quote marked."""
    spans = sorted((text.find(quote), len(quote)) for quote in quotes if quote and quote in text)
    parts, done = [], 0
    for start, length in spans:
        if start < done:
            continue
        parts.append(format_html("{}<mark>{}</mark>", text[done:start], text[start : start + length]))
        done = start + length
    return format_html("{}{}", format_html_join("", "{}", ((part,) for part in parts)), text[done:])


def difference(said: str, sent: str) -> SafeString | None:
    """What the model said against what was sent: struck out and added. None where they are the same, or too long."""
    before, after = _WORD.findall(said.strip()), _WORD.findall(sent.strip())
    if said.strip() == sent.strip() or max(len(before), len(after)) > MOST_WORDS:
        return None
    html = []
    # Words that are everywhere begin no match (`autojunk`), which also bounds the time that hostile texts take.
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, _bare(before), _bare(after)).get_opcodes():
        if tag == "equal":
            html.append(escape("".join(after[j1:j2])))
            continue
        if i2 > i1:
            html.append(format_html("<del>{}</del>", "".join(before[i1:i2])))
        if j2 > j1:
            html.append(format_html("<ins>{}</ins>", "".join(after[j1:j2])))
    return format_html_join("", "{}", ((part,) for part in html))


def _bare(words: Sequence[str]) -> list[str]:
    return [word.strip() for word in words]


def layers(prompt: object) -> list[Layer]:
    """The prompt as it was sent, the system message taken apart at its headings."""
    found: list[Layer] = []
    for message in objects(prompt):
        role, text = str(message.get("role", "")), _text(message.get("content"))
        asked = [
            f"{call.get('function', {}).get('name', '')}({call.get('function', {}).get('arguments', '')})"
            for call in objects(message.get("tool_calls"))
            if isinstance(call.get("function"), dict)
        ]
        if role == "system":
            parts = [part for part in _LAYER.split(text) if part.strip()]
            found += [Layer(role, _title(part), cut(part.strip())) for part in parts]
            if found and text.startswith(PLATFORM_RULES):
                found[0] = replace(found[0], title="Rules of the platform")
        else:
            whole = "\n".join(filter(None, [text, *asked]))
            found.append(Layer(role, " ".join(whole.split())[:80] or "(nothing)", cut(whole)))
    return found


def _title(part: str) -> str:
    first = part.strip().split("\n", 1)[0].lstrip("# ").strip("[]")
    return first[:80]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = []
    for part in objects(content):
        if part.get("type") == "image_url":
            address = part.get("image_url")
            parts.append(f"[Image: {address.get('url', '') if isinstance(address, dict) else ''}]")
        else:
            parts.append(str(part.get("text", "")))
    return "\n".join(parts)


def shares(inputs: object) -> Shares | None:
    """What each input added to the confidence; None where none was kept."""
    if not isinstance(inputs, dict) or not inputs:
        return None
    values = {name: value for name, value in inputs.items() if name != "head"}
    version = str(inputs.get("head", ""))
    if version != confidence.head_version():
        return Shares(version=version, others=list(values.items()))
    numbers = {name: number(value) for name, value in values.items()}
    terms = confidence.terms(numbers)
    most = max((abs(term.adds) for term in terms), default=0.0) or 1.0
    return Shares(
        version=version,
        intercept=confidence.intercept(),
        total=confidence.intercept() + sum(term.adds for term in terms),
        terms=[
            {
                "name": term.name,
                "label": INPUTS.get(term.name, term.name),
                "value": term.value,
                "is_capped": term.value != term.counted,
                "weight": term.weight,
                "adds": term.adds,
                # Half of the bar is for what lowers it.
                "width": round(abs(term.adds) / most * WIDTH / 2),
                "x": WIDTH // 2 - round(abs(term.adds) / most * WIDTH / 2) if term.adds < 0 else WIDTH // 2,
            }
            for term in terms
        ],
        others=[(name, value) for name, value in values.items() if name not in {term.name for term in terms}],
    )
