"""Answers without a model: quotes what the help articles say, says that it does, and asks for a person otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from agents import wishes
from agents.llm.base import Excerpt, ModelReply, ModelRequest, ToolRequest, Usage

ESCALATE = "escalate"  # the tool that asks for a person
# The kinds of answers that the last line declares, as models do (agents.answer_types, which is not known here).
ANSWERABLE, NEEDS_FACT, AMBIGUOUS = "answerable", "needs_fact", "ambiguous"
NOT_IN_KNOWLEDGE, NEEDS_PERSON = "not_in_knowledge", "needs_person"
SURE = 0.15  # this far above the threshold a passage fits without a word in common with the question
CLOSE = 0.08  # a second passage is quoted where it fits nearly as well
ALIKE = 0.02  # two articles that fit this equally well: a question of a word or two does not say which it means
FEW_WORDS = 2
MAX_QUOTES = 2
MAX_QUOTE = 600  # characters
MAX_CITED = 300

_WORD = re.compile(r"[^\W_]+")
_PARAGRAPH = re.compile(r"\S.*?(?=\n\s*\n|\s*\Z)", re.DOTALL)
_SENTENCE = re.compile(r"[^\s][^\n]*?(?:(?<!\d)[.!?](?=\s)|(?=\s*(?:\n|\Z)))")
_MARKUP = re.compile(r"([\\`*_\[\]<>#])")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP_WORDS = _words(
    "a about after all also am an and any are as at be been but by can could did do does for from get had has have how"
    " i if in into is it its just me my no not of on or our out please should so some that the their them then there"
    " they this to up us was we were what when where which who why will with would you your"
)
_ABOUT_ME = re.compile(
    r"\b(?:who|what) are you\b|\bare you (?:an? )?(?:(?:ro)?bot|human|person|real|ai|machine)\b|\bwhat can you do\b",
    re.IGNORECASE,
)

GREETING = "Hello! Ask me a question, and I will look for the answer in our help articles."
WELCOME = "You are welcome! Ask me whenever there is something else."
FAREWELL = "Goodbye, and thank you for stopping by!"
ABOUT = (
    "I am an automatic assistant: I look for the passages in our help articles that fit a question, and quote them "
    "word for word. What would you like to know?"
)
SAY_MORE = "Could you put your question into a few words? I will look for the answer in our help articles."
INTRODUCTION = "I answer with quotes from our help articles, word for word. This is what I found:"
WHICH = "Do you mean “{}” or “{}”?"
NOTHING = "I found nothing in our help articles that answers this."
REPHRASE = " Could you ask it in other words, or say more about it?"
AUTOMATIC = "I am an automatic assistant, not a person."
NOBODY = " I cannot call anybody from here; what is it about?"
ASKED = "I have asked for a person to look into this."


@dataclass(frozen=True, slots=True)
class _Quote:
    excerpt: Excerpt
    text: str  # the passage's own characters, as are those of
    cited: str  # the line of it that says most
    merit: float


class ExtractiveBackend:
    """Quotes the excerpts of a request; `threshold` is the cosine similarity from which on one fits.

    0.35 comes from MiniLM: questions that a help centre answers had 0.47 and more to their best passage, questions from
    anywhere else 0.27 and less. What an endpoint is set up with is taken, and of no use here.
    """

    verbatim = True

    def __init__(self, *, threshold: float = 0.35, **_endpoint: object) -> None:
        self._threshold = threshold

    def stream(
        self, request: ModelRequest, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """See Backend.stream. Deterministic, and done at once."""
        text, reason, kind = self._answer(request)
        requests: list[ToolRequest] = []
        if reason and _was_escalated(request):
            text = f"{text} {ASKED}"
        elif reason and any(tool.name == ESCALATE for tool in request.tools):
            requests.append(ToolRequest("call_escalate", ESCALATE, json.dumps({"reason": reason})))
        elif reason:
            text += REPHRASE if text == NOTHING else NOBODY
        if kind and not requests:
            text = f"{text}\n\n[type]: {kind}"
        if on_text:
            on_text(text)
        return ModelReply(text, requests, "tool_calls" if requests else "stop", "extractive", Usage())

    def _answer(self, request: ModelRequest) -> tuple[str, str, str]:
        """The text, why a person is wanted (empty: none is), and the kind of answer (empty: small talk has none)."""
        words = [word.lower() for word in _WORD.findall(request.question)]
        if not words:
            return SAY_MORE, "", NEEDS_FACT
        if wishes.is_small_talk(request.question):
            for known, reply in ((wishes.FAREWELLS, FAREWELL), (wishes.THANKS, WELCOME), (wishes.GREETINGS, GREETING)):
                if not known.isdisjoint(words):
                    return reply, "", ""
        if wishes.asks_for_person(request.question):
            return AUTOMATIC, "The visitor asks for a person.", NEEDS_PERSON
        stems = _stems(request.question)
        fitting = [excerpt for excerpt in request.excerpts if self._fits(excerpt, stems)]
        if not fitting:
            if _ABOUT_ME.search(request.question):
                return ABOUT, "", ANSWERABLE
            return NOTHING, "No help article answers the visitor's question.", NOT_IN_KNOWLEDGE
        best = max(excerpt.score for excerpt in fitting)
        quotes = [_best_quote(excerpt, stems) for excerpt in fitting if excerpt.score >= best - CLOSE]
        # The order of the numbers decides between equals, so that the same request has the same answer.
        quotes.sort(key=lambda quote: (-quote.merit, quote.excerpt.n))
        quotes = _without_repeats(quotes)
        which = _which_is_meant(quotes, stems)
        if which and not _asked_before(request):
            return which, "", AMBIGUOUS
        return _render(quotes[:MAX_QUOTES]), "", ANSWERABLE

    def _fits(self, excerpt: Excerpt, stems: frozenset[str]) -> bool:
        if not excerpt.text.strip() or excerpt.score < self._threshold:
            return False
        alike = not stems.isdisjoint(_stems(f"{excerpt.title} {excerpt.text}"))
        return alike or excerpt.score >= self._threshold + SURE


def _best_quote(excerpt: Excerpt, stems: frozenset[str]) -> _Quote:
    text, heading = excerpt.text, frozenset[str]()
    best, best_merit = (0, len(text)), -1.0
    paragraphs = [match.span() for match in _PARAGRAPH.finditer(text)]
    for number, (start, end) in enumerate(paragraphs):
        paragraph = text[start:end]
        if _is_heading(paragraph) and number + 1 < len(paragraphs):
            heading = _stems(paragraph)
            continue
        # A heading speaks for what stands below it, and what ends in a colon for what comes next.
        merit = len(stems & _stems(paragraph)) + len(stems & heading) / 2
        if paragraph.endswith(":"):
            if number + 1 < len(paragraphs):
                end = paragraphs[number + 1][1]
            else:
                merit /= 2
        if merit > best_merit:
            best, best_merit = (start, end), merit
    start, end = best
    sentences = [match.span() for match in _SENTENCE.finditer(text, start, end)] or [best]
    cited = max(sentences, key=lambda span: (_tells(text[slice(*span)], stems), -span[0]))
    if end - start > MAX_QUOTE:
        start = cited[0]
        end = max((to for _, to in sentences if start < to <= start + MAX_QUOTE), default=0)
        end = end or _word_end(text, start, start + MAX_QUOTE)
    line = text[cited[0] : _word_end(text, cited[0], min(cited[1], cited[0] + MAX_CITED))]
    return _Quote(excerpt, text[start:end], line, excerpt.score + best_merit / (10 * len(stems) or 1))


def _tells(sentence: str, stems: frozenset[str]) -> tuple[bool, int]:
    """How much a sentence tells by itself: headings, introductions, table rows and fences tell less."""
    return not (sentence.startswith(("#", "|", "```")) or sentence.endswith(":")), len(stems & _stems(sentence))


def _is_heading(paragraph: str) -> bool:
    return paragraph.startswith("#") and "\n" not in paragraph


def _word_end(text: str, start: int, end: int) -> int:
    """`end`, or the last end of a word before it where it is in the middle of one."""
    if end >= len(text) or text[end].isspace() or text[end - 1] in ".!?":
        return end
    space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
    return space if space > start else end


def _without_repeats(quotes: list[_Quote]) -> list[_Quote]:
    kept: list[_Quote] = []
    for quote in quotes:
        if not any(quote.text in other.text or other.text in quote.text for other in kept):
            kept.append(quote)
    return kept


def _which_is_meant(quotes: list[_Quote], stems: frozenset[str]) -> str:
    """A question back, where few words fit two articles alike; empty where one is meant more than the other."""
    if len(quotes) < 2 or not 0 < len(stems) <= FEW_WORDS:
        return ""
    first, second = quotes[:2]
    titles = [_name(quote.excerpt.title) for quote in (first, second)]
    if first.excerpt.article_id == second.excerpt.article_id or not all(titles) or titles[0] == titles[1]:
        return ""
    close = abs(first.excerpt.score - second.excerpt.score) <= ALIKE and first.merit - second.merit <= ALIKE
    # Both must know all of the words: else the one that knows more of them is meant.
    known = all(stems <= _stems(f"{quote.excerpt.title} {quote.excerpt.text}") for quote in (first, second))
    return WHICH.format(*titles) if close and known else ""


def _name(title: str) -> str:
    """A title as part of a sentence: the only question mark is to be the sentence's own."""
    name = " ".join(title.replace("?", " ").split()).rstrip(" .!:")
    return _MARKUP.sub(r"\\\1", name)


def _asked_before(request: ModelRequest) -> bool:
    """Whether what we said last was that question: whoever cannot say which is meant gets both."""
    begin = WHICH.split("{", 1)[0]
    said = [message.get("content") for message in request.messages if message["role"] == "assistant"]
    return bool(said) and isinstance(said[-1], str) and said[-1].startswith(begin)


def _render(quotes: list[_Quote]) -> str:
    parts = [INTRODUCTION]
    for quote in quotes:
        quoted = "\n".join(f"> {line}".rstrip() for line in quote.text.splitlines())
        title = _MARKUP.sub(r"\\\1", " ".join(quote.excerpt.title.split()))
        parts.append(f"{quoted}\n\n{title} [{quote.excerpt.n}]" if title else f"{quoted}\n\n[{quote.excerpt.n}]")
    parts.append("\n".join(f'[{quote.excerpt.n}]: "{quote.cited}"' for quote in quotes))
    return "\n\n".join(parts)


def _stems(text: str) -> frozenset[str]:
    """The words that mean something, cut so that most forms of one word meet."""
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in words if word not in _STOP_WORDS and (len(word) > 1 or word.isdigit()))


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "edly", "ied", "ies", "ed", "es", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _was_escalated(request: ModelRequest) -> bool:
    """Whether the tool has answered since the visitor last spoke."""
    asked: set[str] = set()
    answered = False
    for message in request.messages:
        if message["role"] == "user":
            asked, answered = set(), False
        elif message["role"] == "assistant":
            calls = message.get("tool_calls") or []
            asked |= {call["id"] for call in calls if call["function"]["name"] == ESCALATE}
        elif message["role"] == "tool":
            answered = answered or message.get("tool_call_id") in asked
    return answered
