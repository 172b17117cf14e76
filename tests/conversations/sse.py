"""Server-sent events as a client reads them, by the rules of the HTML standard that matter here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """One event that arrived whole."""

    id: str
    kind: str
    data: Any


def read_events(stream: bytes) -> list[Told]:
    """The events of a stream that may have been cut anywhere: what has no empty line behind it never happened."""
    told = []
    for block in stream.split(b"\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
        if fields:
            told.append(Told(fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return told


def text_of(events: Iterable[Told], *, so_far: str = "") -> str:
    """What a client shows that does as it is told."""
    for event in events:
        if event.kind == "reset":
            so_far = ""
        elif event.kind == "delta":
            so_far += event.data["text"]
    return so_far
