"""Keeps back what an answer states and nothing that the agent was shown supports: sentence by sentence, by words alone.

No model is asked and nothing is looked up: a statement is held against every sentence of the passages, with the words
that are rare among them counting most. Its numbers have to stand together with what it says of them.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agents.citations import MARKER

# The weighted share of a statement that one place of the passages has to hold. Chosen on inventions of a small model
# and on answers that people judged (docs/quality.md): lower lets inventions through, higher keeps back paraphrases.
ENOUGH = 0.5
ENOUGH_WITH_NUMBERS = 0.6
# Where most statements before were supported, one without numbers may put things in its own words.
ENOUGH_FOLLOWING = 0.25
# A statement whose citation was checked has a place that it claims to come from.
ENOUGH_CITED = 0.35
# What a number weighs beside words; a word in every passage weighs 0.4, one that is in none of nine 2.9.
NUMBER_WEIGHT = 1.0
ADDRESS_WEIGHT = 12.0
# The share of what a statement repeats of the question that the same place has to hold: what it says must be said there
# of what was asked about.
SUBJECT = 0.6
# So many sentences together are one place; numbers stand with their own sentence only.
SPAN = 3
# Fewer words that mean something than this, and no number or name: there is nothing to hold against anything.
MIN_WORDS = 2
MAX_UNITS = 400

_UNIT = re.compile(r"```.*?(?:```|\Z)|[^\n]+", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)*_]{0,3}\s+(?=[\"“‘(*_\[]{0,3}[A-ZÀ-ÞА-Я0-9\[])|(?<=[。！？])")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<=[a-zà-ÿ0-9,;:'’)] )[A-ZÀ-Þ][\w-]+")
_ADDRESS = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}|(?:https?://|www\.)[^\s)>\]]{1,2000}"
)
_LIST_MARK = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_ONLY_A_MARK = re.compile(r"\s*(?:[-*+•#>]+|\(?\w{1,3}[.)])[ \t]*")
_SPELT = dict(
    zip(
        "one two three four five six seven eight nine ten eleven twelve".split(),
        "1 2 3 4 5 6 7 8 9 10 11 12".split(),
        strict=True,
    )
)
# Words that hold sentences together; English, like the search. Of other languages every word counts.
_FORM = frozenset(
    """a about above after again all also although always am among an and any are around as at be because been before
    being below between both but by can could did do does doing down during each either else etc even ever every few for
    from further get gets getting go goes had has have having he her here hers him his how however i if in instead into
    is it its itself just kind last let like made make makes many may me means might mine more most much must my need
    needs neither next no nor not of off often on once only onto or other others our ours out over own per please quite
    rather same several shall she should simply since so some sometimes still such sure take takes than that the their
    theirs them then there therefore these they thing things this those though through thus to too typically under
    until up upon us use used using usually various very via want was way ways we well were what when where whether
    which while who whom whose why will with within without would yes yet you your yours yourself example including
    following based vary varies depending different certain specific general greatly overall
    important o'clock""".split()
)
_COURTESY = re.compile(
    r"\b(?:thank(?:s| you)|welcome|glad|happy to|hope (?:this|that)|let me know|feel free|have a (?:great|nice|good)"
    r"|hello|hi\b|hey\b|good (?:morning|afternoon|evening)|dear|you can ask|any (?:other|more) questions"
    r"|here to help|how (?:can|may) i help|great question|of course|certainly|sure\b|here(?:'s| is| are) (?:how|the)"
    r"|in short|to summari[sz]e)\b",
    re.IGNORECASE,
)
_DECLINE = re.compile(
    r"\b(?:sorry|apologi[sz]e|unfortunately|afraid|unable|not (?:sure|certain|aware)"
    r"|(?:do not|don't|does not|doesn't|did not|didn't|cannot|can't|can not|could not|couldn't|won't be able to)"
    r" (?:\w+ ){0,2}(?:know|have|find|see|say|answer|help|provide|assist|hold|contain|mention|tell"
    r"|specify|state|include)"
    r"|no (?:information|details|mention|record)"
    r"|not (?:mentioned|specified|stated|covered|provided|listed|available in)|nothing (?:in|about)"
    r"|(?:ask|contact|reach|pass|hand|connect|speak|talk|forward|refer)\w*\b.{0,60}?"
    r"\b(?:team|person|support|colleague|teammate|human|someone|agent)s?)\b",
    re.IGNORECASE,
)
_YES_OR_NO = re.compile(r"\W*(?:yes|no)\b", re.IGNORECASE)
_ENDINGS = ("ations", "ation", "ings", "ing", "edly", "ied", "ies", "ed", "es", "s", "y", "e")


@dataclass(frozen=True, slots=True)
class Guarded:
    """What may leave: `text`; what may not: `kept_back`. `claims`: statements of `text` that something supports."""

    text: str
    kept_back: list[str] = field(default_factory=list)
    claims: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """A few sentences with their heading: the words that stand together there, and the numbers of the first."""

    words: frozenset[str]
    numbers: frozenset[str]


class Known:
    """All that the agent was shown and may state."""

    def __init__(self, *, passages: Sequence[tuple[str, str]], told: Iterable[str], asked: Iterable[str]) -> None:
        """`passages`: (title, text). `told`: what the organisation and the site say: instructions, profile, tools.

        `asked`: the visitor's own words, the question last, whose numbers may be repeated, and which support nothing.
        """
        self._places = [place for title, text in passages for place in _places(title, text)]
        self._places += [place for text in told for place in _places("", text)]
        own = list(asked)
        self._said = frozenset(number for text in own for number in _numbers(text))
        self._question = _words(own[-1]) if own else frozenset()
        counts = Counter(word for _, text in passages for word in _words(text))
        total = len(passages) + 1
        self._weights = {word: math.log(1 + total / (count + 0.5)) for word, count in counts.items()}
        self._unknown = math.log(1 + total / 0.5)
        self.is_english = _looks_english(" ".join(text for _, text in passages))

    def supports(self, statement: str, *, cited: bool, follows: bool, foreign: bool) -> bool:
        """Whether some place holds enough of the statement, and all of its numbers that the visitor did not bring."""
        numbers = _numbers(statement) - self._said
        # "Yes." says what was asked.
        words = _words(statement) or (self._question if _YES_OR_NO.match(statement) else frozenset())
        if foreign:
            # Words of another language cannot be held against these; numbers can.
            everywhere = {number for place in self._places for number in place.numbers}
            return numbers <= everywhere
        figures = sum(NUMBER_WEIGHT if _NUMBER.fullmatch(found) else ADDRESS_WEIGHT for found in numbers)
        total = figures + sum(self._weight(word) for word in words)
        enough = ENOUGH_WITH_NUMBERS if numbers else ENOUGH_FOLLOWING if follows else ENOUGH
        if cited:
            enough = min(enough, ENOUGH_CITED)
        anchors = words & self._question
        needed = SUBJECT * sum(self._weight(word) for word in anchors)
        return not total or any(
            figures + sum(self._weight(word) for word in words & place.words) >= enough * total
            and sum(self._weight(word) for word in anchors & place.words) >= needed
            for place in self._places
            if numbers <= place.numbers
        )

    def _weight(self, word: str) -> float:
        return self._weights.get(word, self._unknown)


class Judge:
    """Goes through the units of one answer in their order: what becomes of one depends on those before."""

    def __init__(self, known: Known, *, foreign: bool) -> None:
        """`foreign`: the answer is in another language than the passages."""
        self.claims = 0
        self.kept_back: list[str] = []
        self._known = known
        self._foreign = foreign
        self._seen: set[str] = set()

    def keeps(self, unit: str) -> bool | None:
        """True for a statement that something supports, None for words that state nothing, False for what has to go.

        False also for one that was made before, which goes only where others are kept back.
        """
        statement = MARKER.sub("", unit).strip()
        folded = " ".join(statement.casefold().split())
        if not _is_claim(statement):
            verdict = None
        elif folded in self._seen:
            # A model that says the same again is in a loop.
            return False
        else:
            verdict = self._known.supports(
                statement,
                cited=bool(MARKER.search(unit)),
                follows=self.claims > len(self.kept_back),
                foreign=self._foreign,
            )
        if verdict:
            self.claims += 1
        elif verdict is False:
            self.kept_back.append(statement)
        self._seen.add(folded)
        return verdict


def check(answer: str, known: Known) -> Guarded:
    """`answer` without the statements that nothing supports."""
    judge = Judge(known, foreign=is_foreign(answer, known))
    judged = [(unit, judge.keeps(unit)) for unit in units(answer)]
    if not judge.kept_back:
        return Guarded(answer, [], judge.claims)
    kept = [(unit, bool(verdict)) for unit, verdict in judged if verdict is not False]
    claims = judge.claims
    # What announced a list that is gone announces nothing, and a sentence that was cut off says nothing.
    while kept and is_loose(kept[-1][0]):
        claims -= kept.pop()[1]
    return Guarded(tidied("".join(unit for unit, _ in kept)), judge.kept_back, claims)


def is_foreign(answer: str, known: Known) -> bool:
    """Whether the answer is in another language than the passages, as far as its words tell."""
    return known.is_english != _looks_english(answer)


def is_loose(unit: str) -> bool:
    """Whether it says nothing if nothing follows: it announces something, or was cut off."""
    bare = unit.strip().rstrip("*_ ")
    if not bare or bare.endswith((":", "-", "•")):
        return True
    # A line of its own may end without a stop.
    return not unit.startswith("\n") and bare[-1] not in ".!?…)]\"'”’`|>。！？"


def states_something(answer: str) -> bool:
    """Whether there is anything in it that could be wrong."""
    return any(_is_claim(unit.strip()) for unit in units(answer))


def units(text: str) -> list[str]:
    """The text cut behind each sentence, line and block of code; joined again they are the text."""
    cut_units: list[str] = []
    end = 0
    for found in _UNIT.finditer(text):
        if text.startswith("```", found.start()):
            cuts = [found.end()]
        else:
            cuts = [match.end() for match in _SENTENCE_END.finditer(text, found.start(), found.end())] + [found.end()]
        for cut in cuts:
            if len(cut_units) < MAX_UNITS:
                cut_units.append(text[end:cut])
            else:
                cut_units[-1] += text[end:cut]
            end = cut
    if end < len(text) and cut_units:
        cut_units[-1] += text[end:]
    return _with_their_marks(cut_units)


def _with_their_marks(units: list[str]) -> list[str]:
    """A list's number or bullet belongs to what stands behind it."""
    joined: list[str] = []
    for unit in units:
        if joined and _ONLY_A_MARK.fullmatch(joined[-1]):
            joined[-1] += unit
        else:
            joined.append(unit)
    return joined


def _is_claim(statement: str) -> bool:
    bare = _LIST_MARK.sub("", statement).strip('*_# >|`"“”')
    if not bare or bare.endswith(("?", ":")):
        return False
    numbers, names = _numbers(bare), _NAME.findall(bare)
    if not numbers and not names and not _ADDRESS.search(bare):
        if _DECLINE.search(bare) or _COURTESY.search(bare):
            return False
        return len(_words(bare)) >= MIN_WORDS or bool(_YES_OR_NO.match(bare))
    return True


def _places(title: str, text: str) -> list[_Place]:
    """Each sentence or line, alone and with those that follow: a paraphrase draws on several."""
    parts = [unit for unit in units(text) if unit.strip()]
    heading = _words(title)
    words, numbers = [_words(part) for part in parts], [_numbers(part) for part in parts]
    places = []
    for first in range(len(parts)):
        for last in range(first + 1, min(first + SPAN, len(parts)) + 1):
            together = heading.union(*words[first:last])
            places.append(_Place(together, numbers[first]))
    return places


# Popular passages are read for many answers; in Python, which this is, that was a quarter of a turn's time.
@functools.lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    # "I'm", "don't" and "shop's" are the words before their apostrophe.
    words = (word.lower().replace("’", "'").partition("'")[0] for word in _WORD.findall(_ADDRESS.sub(" ", text)))
    return frozenset(_stem(word) for word in words if len(word) > 1 and word not in _FORM and word not in _SPELT)


@functools.lru_cache(maxsize=16_384)
def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


@functools.lru_cache(maxsize=4096)
def _numbers(text: str) -> frozenset[str]:
    """Numbers as they are meant (9:00 is 9, 1,000 is 1000), spelt ones too, and addresses."""
    text = _LIST_MARK.sub("", text) if _LIST_MARK.match(text) else text
    addresses = {_bare(found) for found in _ADDRESS.findall(text)}
    text = _ADDRESS.sub(" ", text)
    found = {_plain(number) for number in _NUMBER.findall(text)}
    spelt = {_SPELT[word] for word in _WORD.findall(text.lower()) if word in _SPELT and word != "one"}
    return frozenset(found | spelt | addresses)


def _bare(address: str) -> str:
    return re.sub(r"\A(?:https?://)?(?:www\.)?|[/.,;:!?]*\Z", "", address.lower())


def _plain(number: str) -> str:
    number = re.sub(r"[:.,]00?$", "", number)
    return re.sub(r",(?=\d{3}(?:\D|$))", "", number).lstrip("0") or "0"


def _looks_english(text: str) -> bool:
    words = [word.lower() for word in _WORD.findall(text[:20_000])]
    return not words or sum(word in _FORM for word in words) >= 0.15 * len(words)


def tidied(text: str) -> str:
    """Without the gaps that sentences leave which are gone."""
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip()
