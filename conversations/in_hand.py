"""The claims that this process is working on right now, and what it takes on beside them.

No organisation can occupy a process: each may have four times as many turns in hand as there is room left. One alone
gets four fifths of the threads, two that want everything four ninths each, and somebody new always finds room.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter

from conversations.turns import Claim
from halo.lanes import Lanes

SHARE = 4
# So many attempts at once are between the bell and the model. While the processor is busy, turns wait where they are
# seen, in the queue, instead of all half-way through; those that have their answer come first.
BEGINNING = 4

_lock = threading.Lock()
_claims: dict[uuid.UUID, Claim] = {}
# Organisations whose turns may wait because of their share here.
_held_back: set[uuid.UUID] = set()
_room = 0
beginning = Lanes(BEGINNING)


def set_room(threads: int) -> None:
    """How many turns this process can have in hand; 0: it is not known, and organisations have no shares."""
    global _room
    _room = threads


def took(held: Claim) -> None:
    """Notes a claim of this process, until `put_down`."""
    with _lock:
        _claims[held.turn_id] = held


def put_down(held: Claim) -> bool:
    """The attempt is over, however it ended; True where turns of its organisation were held back."""
    with _lock:
        if _claims.get(held.turn_id) == held:
            del _claims[held.turn_id]
        return held.org_id in _held_back


def full_orgs() -> list[uuid.UUID]:
    """Organisations that have their share of this process."""
    with _lock:
        return _full()


def hold_back(org_ids: list[uuid.UUID]) -> None:
    """A turn was left in the queue, of one of these."""
    with _lock:
        _held_back.update(org_ids)


def nothing_waits(org_id: uuid.UUID) -> None:
    """All that was held back of this organisation has been taken."""
    with _lock:
        _held_back.discard(org_id)


def claims() -> list[Claim]:
    """What is being worked on."""
    with _lock:
        return list(_claims.values())


def turn_ids() -> list[uuid.UUID]:
    """The turns that are being worked on."""
    with _lock:
        return list(_claims)


def _full() -> list[uuid.UUID]:
    if not _room:
        return []
    most = SHARE * max(0, _room - len(_claims))
    # Nothing to count while nobody can have that many.
    if len(_claims) < most:
        return []
    return [org_id for org_id, number in Counter(held.org_id for held in _claims.values()).items() if number >= most]
