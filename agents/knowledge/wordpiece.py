"""BERT's uncased WordPiece tokenizer: text to the ids that MiniLM was trained on.

`vocab.txt` is that of google-bert/bert-base-uncased (Apache-2.0, 30,522 lines), sha256
07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3; a token's id is its line, counted from 0.
Differs from the reference in one point, on purpose: "[SEP]" written by a visitor is text, never the special token.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path

UNKNOWN, CLS, SEP = 100, 101, 102
MAX_TOKENS = 256
MAX_WORD = 100
# The reference's table, its gap between 2B81F and 2B920 included.
_CJK = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


def tokenize(text: str, limit: int = MAX_TOKENS) -> list[int]:
    """The ids of `text` between [CLS] and [SEP], `limit` of them at most."""
    words = unicodedata.normalize("NFD", text).translate(_CHARACTERS).split()
    # A word is one id at least, so words past the limit need not be looked at.
    pieces = chain.from_iterable([UNKNOWN] if len(word) > MAX_WORD else _pieces(word) for word in words[: limit - 2])
    return [CLS, *list(pieces)[: limit - 2], SEP]


@cache
def _vocabulary() -> dict[str, int]:
    lines = Path(__file__).with_name("vocab.txt").read_text(encoding="utf-8").split("\n")
    return {token: number for number, token in enumerate(lines[:-1])}


@lru_cache(maxsize=50_000)
def _pieces(word: str) -> tuple[int, ...]:
    """Greedy longest match from the left; a word with a part that is in no vocabulary is unknown as a whole."""
    vocabulary, pieces, start = _vocabulary(), [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            if (piece := vocabulary.get(prefix + word[start:end])) is not None:
                break
        else:
            return (UNKNOWN,)
        pieces.append(piece)
        start = end
    return tuple(pieces)


class _Characters(dict[int, str | None]):
    """What becomes of a decomposed character: dropped, a space, a word by itself, or its lower case."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        category = unicodedata.category(character)
        result: str | None
        if character in "\t\n\r" or category[0] == "Z":
            result = " "
        elif code == 0xFFFD or category in ("Cc", "Cf", "Co", "Cs", "Mn"):
            result = None
        elif category[0] == "P" or (33 <= code < 127 and not character.isalnum()) or _is_cjk(code):
            result = f" {character} "
        else:
            result = character.lower()
        if len(self) < 20_000:  # text by strangers must not grow it to all of Unicode
            self[code] = result
        return result


def _is_cjk(code: int) -> bool:
    return any(first <= code <= last for first, last in _CJK)


_CHARACTERS = _Characters()
