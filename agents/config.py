"""What a published version of an agent fixes, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class AgentConfig:
    """What a published version fixes. A field that is added later needs a default, for the versions before it."""

    name: str
    instructions: str = ""
    greeting: str = ""
    backend: str = ""
    base_url: str = ""
    url_trusted: bool = False
    model: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    deadline_seconds: int = 30
    takeover_text: str = ""
    on_failure: str = "error"
    failure_text: str = ""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AgentConfig:
        """The configuration in a version's JSON; keys of a newer release are ignored, as two may run side by side."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: item for key, item in value.items() if key in known})
