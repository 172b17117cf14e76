"""The claims that this process is working on right now."""

from __future__ import annotations

import threading
import uuid

from conversations.turns import Claim

_lock = threading.Lock()
_claims: dict[uuid.UUID, Claim] = {}


def took(held: Claim) -> None:
    """Notes a claim of this process, until `put_down`."""
    with _lock:
        _claims[held.turn_id] = held


def put_down(held: Claim) -> None:
    """The attempt is over, however it ended."""
    with _lock:
        if _claims.get(held.turn_id) == held:
            del _claims[held.turn_id]


def claims() -> list[Claim]:
    """What is being worked on."""
    with _lock:
        return list(_claims.values())


def turn_ids() -> list[uuid.UUID]:
    """The turns that are being worked on."""
    with _lock:
        return list(_claims)
