"""What is counted about answers and the models that gave them."""

from __future__ import annotations

from conversations.models import Turn
from conversations.thinking import Progress
from halo import metrics


def count_answer(outcome: Turn.Outcome, *, seconds: float | None = None) -> None:
    """A turn has ended with an answer, `seconds` after it was accepted; failures are counted where turns are closed."""
    metrics.count("halo_turns_total", outcome.value)
    if seconds is not None:
        metrics.observe("halo_turn_seconds", seconds)


def count_merged(number: int) -> None:
    """So many turns have ended with the answer of another one, which is counted by itself."""
    if number:
        metrics.count("halo_turns_total", "merged", by=number)


def count_model_calls(progress: Progress) -> None:
    """The calls of an attempt, answered or not, with their tokens."""
    for call in progress.model_calls:
        # "timeout: The model did not answer in time."
        result = call["error"].partition(":")[0] if "error" in call else "ok"
        metrics.observe("halo_model_seconds", call.get("ms", 0) / 1000, result)
        if retries := call.get("retries"):
            metrics.count("halo_model_retries_total", by=len(retries))
    for phase in progress.timings.get("phases", ()):
        if "first_text_ms" in phase:
            metrics.observe("halo_model_first_text_seconds", phase["first_text_ms"] / 1000)
    if progress.prompt_tokens or progress.completion_tokens:
        metrics.count("halo_tokens_total", "prompt", by=progress.prompt_tokens)
        metrics.count("halo_tokens_total", "completion", by=progress.completion_tokens)
