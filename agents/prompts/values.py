"""How values of strangers are written into the prompt: one a line, unable to leave it."""

from __future__ import annotations

import json
import re
from typing import Any

# Whatever ends a line for anyone: C0 and C1 controls, and the two Unicode separators.
_BREAKS_OUT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Never two neighbours that could share the same spaces: a visitor would make the search quadratic.
_FENCES = re.compile(r"<(?=\s*(?:/\s*)?(?:data|passage)\b)", re.IGNORECASE)


def one_line(value: Any) -> str:
    """`value` on one line: text as it is unless it could break out, everything else as JSON."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False) if _BREAKS_OUT.search(value) else value
        return _BREAKS_OUT.sub(_escaped, text)
    return _BREAKS_OUT.sub(_escaped, json.dumps(value, ensure_ascii=False, default=str))


def quoted(value: Any) -> str:
    """`value` in double quotes, on one line."""
    text = value if isinstance(value, str) else one_line(value)
    return _BREAKS_OUT.sub(_escaped, json.dumps(text, ensure_ascii=False))


def humanised(key: str) -> str:
    """`signed_up_at` -> `Signed up at`."""
    text = one_line(key).replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def unfenced(text: str) -> str:
    """`text` unable to open or close one of our blocks."""
    # SECURITY: a document that writes `</passage>` must not be able to speak outside its block.
    return _FENCES.sub("‹", text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"
