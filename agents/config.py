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
    suggested_messages: tuple[str, ...] = ()
    live_help_label: str = "Talk to a person"
    primary_colour: str = "#2f5bea"
    dark_primary_colour: str = "#8fabff"
    theme: str = "auto"
    position: str = "right"
    avatar: str = ""
    voice: str = ""
    voice_language: str = ""
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
    input_price: float | None = None
    output_price: float | None = None
    # Ids of sources (none: all of the organisation's) and of custom tools.
    sources: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    may_open_tickets: bool = True
    may_guide: bool = True
    guard: bool = True
    escalation: str = "always"
    escalation_threshold: float | None = None
    error_budget: float | None = None
    escalation_attempts: int = 2
    escalation_phrases: str = ""
    audience: tuple[dict[str, Any], ...] = ()
    priority: tuple[dict[str, Any], ...] = ()
    escalation_team: str = ""
    handover_text: str = "I have passed this on to our team. A person will get back to you."
    unknown_text: str = "I don't have reliable information about that, so I would rather not guess."

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AgentConfig:
        """The configuration in a version's JSON; keys of a newer release are ignored, as two may run side by side."""
        known = {field.name for field in dataclasses.fields(cls)}
        # JSON has no tuples.
        values: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.items() if key in known
        }
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """What a version stores."""
        return {key: list(item) if isinstance(item, tuple) else item for key, item in dataclasses.asdict(self).items()}
