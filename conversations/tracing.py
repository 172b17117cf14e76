"""What is kept of how an answer came about, or failed to: prompt, passages, calls of the model, timings."""

from __future__ import annotations

from typing import Any

from conversations.loading import Reading
from conversations.models import TurnTrace
from conversations.thinking import Progress


def write(reading: Reading, progress: Progress) -> None:
    """Stores the turn's trace, over that of an earlier attempt; inside a transaction."""
    values = {
        "prompt": _without_bytes(progress.prompt),
        "passages": [
            {"n": e.n, "title": e.title, "article_id": e.article_id, "score": round(e.score, 4), "text": e.text}
            for e in progress.excerpts
        ],
        "timings": progress.timings,
        "model_calls": progress.model_calls,
    }
    trace = TurnTrace(org_id=reading.turn.org_id, turn=reading.turn, **values)
    TurnTrace.objects.bulk_create([trace], update_conflicts=True, unique_fields=["turn"], update_fields=list(values))


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
