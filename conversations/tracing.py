"""What is kept of how an answer came about, or failed to: prompt, passages, calls of the model, timings."""

from __future__ import annotations

from typing import Any

from conversations.loading import Reading
from conversations.models import TurnTrace
from conversations.redacting import redactor_for
from conversations.thinking import Progress

# Calls of a model that a trace tells of: eight rounds and an answer are nine, and a turn may be retried often.
MOST_CALLS = 60
_KEPT = ("prompt", "passages", "timings", "model_calls")


def trace_of(reading: Reading, progress: Progress) -> TurnTrace:
    """The trace of this attempt, not stored yet, with what earlier attempts asked a model.

    SECURITY: it is made of what brain.think built, which knows neither keys nor headers; what visitors, sites and tools
    brought into it is searched for secrets all the same.
    """
    case, turn = reading.case, reading.turn
    redactor = redactor_for(org=case.org, agent=case.agent)
    calls = redactor.json([{"attempt": turn.attempt, **call} for call in progress.model_calls])
    passages = [
        {
            "n": excerpt.n,
            "title": excerpt.title,
            "article_id": excerpt.article_id,
            "url": excerpt.url,
            "score": round(excerpt.score, 4),
            "lead": round(excerpt.lead, 4),
            "text": excerpt.text,
        }
        for excerpt in progress.excerpts
    ]
    return TurnTrace(
        org_id=turn.org_id,
        turn=turn,
        prompt=redactor.json(_without_bytes(progress.prompt)),
        passages=redactor.json(passages),
        timings=redactor.json(progress.timings),
        model_calls=[*reading.earlier_model_calls, *calls][-MOST_CALLS:],
    )


def write(trace: TurnTrace) -> None:
    """Stores a trace, over that of an earlier attempt: one statement."""
    TurnTrace.objects.bulk_create([trace], update_conflicts=True, unique_fields=["turn"], update_fields=_KEPT)


def _without_bytes(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The prompt as sent, but for the bytes of images, which the transcript holds already."""

    def part(value: dict[str, Any]) -> dict[str, Any]:
        url = value.get("image_url", {}).get("url", "")
        return {"type": "image_url", "image_url": {"url": url[:40] + "…"}} if url.startswith("data:") else value

    return [
        {**message, "content": [part(value) for value in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in messages
    ]
