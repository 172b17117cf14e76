"""The one retry policy for model calls."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from agents.llm.base import Backend, ModelError, ModelReply, ModelRequest

RETRIES = 2
FIRST_PAUSE = 0.25  # seconds; doubled for the second retry, and shortened by a random part of it
_RETRIED = ("rate_limited", "unavailable", "cut")


def call(
    backend: Backend,
    request: ModelRequest,
    *,
    deadline: float,
    on_text: Callable[[str], None] | None = None,
    on_retry: Callable[[ModelError, float], object] | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> ModelReply:
    """Ask the model once, and at most twice more where it refused or dropped the call before any text.

    A pause is never shorter than the endpoint's Retry-After, and never ends after `deadline` (a time.monotonic()
    value): where it would, the failure stands. `on_retry` is told of each failure that is followed by another try, and
    how many seconds lie between them. Raises ModelError.
    """
    for retries_left in range(RETRIES, -1, -1):
        if time.monotonic() >= deadline:
            raise ModelError("timeout", "There was no time left to ask the model.")
        try:
            return backend.stream(request, deadline=deadline, on_text=on_text)
        except ModelError as error:
            if error.started or error.kind not in _RETRIED or not retries_left:
                raise
            jitter = random.uniform(0.5, 1)  # noqa: S311  # guards no secret
            backoff = FIRST_PAUSE * 2 ** (RETRIES - retries_left) * jitter
            # Jitter is added to Retry-After as well: all the callers that were turned away would come back at once.
            pause = backoff + (error.retry_after or 0)
            if time.monotonic() + pause >= deadline:
                raise
            if on_retry:
                on_retry(error, pause)
            sleep(pause)
    raise AssertionError("the last attempt returns or raises")
