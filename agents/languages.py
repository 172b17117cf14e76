"""In which language something is written, by py3langid; nothing where that cannot be told from so few words."""

from __future__ import annotations

import threading
from typing import cast

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Below it, of 211 phrases of support in five languages the guess was wrong for 8; above it for none, and 20 were left
# open. Names, thanks and codes are below it.
SURE = 0.5
# What is longer says no more.
MOST_CHARACTERS = 2000
# The languages it is asked to choose among, as visitors of websites write them.
KNOWN = (
    "ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "he", "hi", "hr", "hu", "id", "it", "ja", "ko",
    "lt", "lv", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip
# Of Norwegian's two written forms nearly everybody uses the one.
_TAGS = {"no": "nb"}

_loading = threading.Lock()
_loaded: list[LanguageIdentifier] = []


def prepare() -> None:
    """Loads the model, which takes a second; until then nothing is told."""
    with _loading:
        if not _loaded:
            model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            model.set_languages(list(KNOWN))
            _loaded.append(model)


def language_of(text: str) -> str:
    """The language's tag, such as `en`; empty where it is not sure, or while the model is being loaded."""
    if not _loaded or not text.strip():
        return ""
    language, sureness = cast("tuple[str, float]", _loaded[0].classify(text[:MOST_CHARACTERS]))
    return _TAGS.get(language, language) if sureness >= SURE else ""
