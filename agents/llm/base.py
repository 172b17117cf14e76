"""What a model backend is given, what it returns and how it fails; every backend is a `Backend`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from halo.errors import HaloError

FailureKind = Literal["rate_limited", "unavailable", "rejected", "cut", "blank", "timeout", "broken"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that the model may ask for; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool that the model asks for; `arguments` is JSON text as the model wrote it, valid or not."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage under the number that we gave it; `score` is a cosine similarity, 0 to 1.

    `lead`: how much the score is above those of the passages that come next.
    """

    n: int
    title: str
    text: str
    url: str
    score: float
    article_id: str
    lead: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One round with a model. `messages` have OpenAI's chat shape; `question` and `excerpts` serve `extractive`."""

    messages: list[dict[str, Any]]
    tools: list[ToolSpec]
    question: str
    excerpts: list[Excerpt]
    language: str = ""
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counted them; 0 where it did not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model answered, free of control characters; `truncated`: our own cap on the text ended it."""

    text: str
    tool_requests: list[ToolRequest]
    finish_reason: str
    model: str
    usage: Usage
    truncated: bool = False


class ModelError(HaloError):
    """The model did not answer. The message holds no key, no address and nothing that was said.

    kind: `rate_limited` (429), `unavailable` (5xx, no connection, dropped), `rejected` (any other refusal, or a
    backend that is set up wrongly), `cut` (the answer ended before its end), `blank`, `timeout` (the deadline),
    `broken` (not what the protocol says, or too much of it). `started`: text had arrived and been passed on.
    `retry_after`: seconds, as the endpoint said.
    """

    retry_after: float | None  # type: ignore[assignment]  # what an endpoint asks for may be a fraction

    def __init__(
        self, kind: FailureKind, message: str, *, retry_after: float | None = None, started: bool = False
    ) -> None:
        late = kind == "timeout"
        super().__init__("model_timeout" if late else "unavailable", message, status=504 if late else 503)
        self.kind: FailureKind = kind
        self.retry_after = retry_after
        self.started = started


class Backend(Protocol):
    """Anything that can answer; one object serves many threads at once.

    `verbatim`: its answers are passages word for word, with nothing of its own.
    """

    verbatim: bool

    def stream(
        self, request: ModelRequest, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """The whole reply, its text passed to `on_text` piece by piece as it comes.

        `deadline` is a time.monotonic() value. Raises ModelError; what `on_text` raises ends the call, passes through.
        """
        ...
