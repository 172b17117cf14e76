"""What may leave of an answer while its model still writes: words that the finished answer will begin with.

The finished answer is `deciding.decide`'s, from the whole text. Here is what of it is certain before: nothing that may
turn out to be its citation block or its type, no marker of a passage that may not be confirmed, behind the guard whole
statements that something supports, and nothing behind a first question, where it may end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.answer_types import QUESTION, is_closing, may_become_closing, without_declarations
from agents.citations import MARKER, speaks_for_itself
from agents.guard import Judge, Known, is_foreign, is_loose, tidied, units
from agents.llm.base import Excerpt

# So many words tell the language of an answer.
WORDS_FOR_A_LANGUAGE = 12
# Text that may be the beginning of a marker, or a marker that may be a link's text.
_OPEN_MARKER = re.compile(r"[ \t]*\[\d{0,4}\]?\Z")


class Release:
    """One model reply on its way out; `text` is what has left."""

    def __init__(self, *, excerpts: Sequence[Excerpt], known: Known | None) -> None:
        """`known`: what statements are held against; None where the guard is off."""
        self.text = ""
        self._excerpts = {excerpt.n: excerpt for excerpt in excerpts}
        self._known = known
        self._judge: Judge | None = None
        self._raw = ""
        self._taken = 0  # of `_raw`, what is in `_kept` or was kept back
        self._kept = ""
        self._held = ""  # kept too, once more follows
        self._open = True

    def feed(self, piece: str) -> str:
        """Takes the next words of the reply; what may leave now, often nothing."""
        self._raw += piece
        if not self._open:
            return ""
        end = _settled(self._raw)
        if end <= self._taken:
            return ""
        if self._known is None:
            self._take(self._raw[self._taken : end])
        else:
            self._take_judged(end, self._known)
        return self._let_go()

    def _take(self, chunk: str) -> None:
        resolved = self._resolved(chunk)
        if resolved is None:
            self._open = False
            return
        self._taken += len(chunk)
        self._kept += resolved

    def _take_judged(self, end: int, known: Known) -> None:
        if self._judge is None:
            if len(self._raw[:end].split()) < WORDS_FOR_A_LANGUAGE:
                return
            self._judge = Judge(known, foreign=is_foreign(self._raw[:end], known))
        # The last one may go on.
        for unit in units(self._raw[self._taken : end])[:-1]:
            resolved = self._resolved(unit)
            if resolved is None:
                self._open = False
                return
            self._taken += len(unit)
            lost = len(self._judge.kept_back)
            verdict = self._judge.keeps(resolved)
            if verdict is not False:
                self._held += resolved
                # Nothing leaves before a statement that holds, and nothing that announces what may not come.
                if self._judge.claims and not is_loose(resolved):
                    self._kept, self._held = self._kept + self._held, ""
            elif not lost and lost == len(self._judge.kept_back):
                # Said before: it stays unless something is kept back later.
                self._open = False
                return

    def _resolved(self, chunk: str) -> str | None:
        """The chunk with the markers that stay, which follows `_taken`; None where one is not certain yet."""
        if not self._excerpts:
            return without_declarations(chunk)
        start, pieces, last = self._taken, [], self._taken
        end = start + len(chunk)
        for found in MARKER.finditer(self._raw, start, end):
            n = int(found.group(1))
            excerpt = self._excerpts.get(n)
            if excerpt is not None and not speaks_for_itself(n, self._raw[:end], excerpt):
                return None
            pieces.append(self._raw[last : found.end() if excerpt else found.start()])
            last = found.end()
        return without_declarations("".join([*pieces, self._raw[last:end]]))

    def _let_go(self) -> str:
        certain = self._kept.strip()
        if self._judge is not None and tidied(self._kept) != certain:
            # Whether gaps are closed depends on what comes.
            return ""
        question = QUESTION.search(certain)
        if question:
            certain, self._open = certain[: question.end()], False
        if not certain.startswith(self.text):
            self._open = False
            return ""
        more = certain[len(self.text) :]
        self.text = certain
        return more


def _settled(raw: str) -> int:
    """Up to where the text is part of the answer whatever follows."""
    end = len(raw)
    begin = raw.rfind("\n", 0, end) + 1
    if may_become_closing(raw[begin:end]):
        end = begin
    while end:
        begin = raw.rfind("\n", 0, end - 1) + 1
        if not is_closing(raw[begin:end].rstrip("\n")):
            break
        end = begin
    text = raw[:end].rstrip()
    marker = _OPEN_MARKER.search(text)
    return len(text[: marker.start()].rstrip() if marker else text)
