"""Which of the turns that this process waits for are worth a look at their rows: one statement asks for all of them.

Whoever has waited for some seconds must look whether the tape was lost. With a thousand waiting, each for itself, that
was two hundred statements a second.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from django.db import InterfaceError, OperationalError

from halo import db

# An answer of the database serves all who ask within this time; one that is older says nothing any more.
FRESH_SECONDS, STALE_SECONDS = 1.0, 3.0

# What will be due before the next time counts as due.
# SECURITY: of turns of all organisations, and only whether to look; the look itself is held to its own one.
_WORTH_IT = """
SELECT id FROM conversations_turn
 WHERE id = ANY(%(turns)s::uuid[])
   AND (status NOT IN ('queued', 'running') OR merged_into_id IS NOT NULL
        OR answer_by <= now() + interval '1 second' * %(fresh)s
        OR status = 'queued' AND accepted_at <= now() - interval '1 second' * (%(patience)s - %(fresh)s))
"""


class _Seen(NamedTuple):
    """What was found at a time.monotonic(): of the `known` turns, those that are worth a look."""

    at: float
    known: frozenset[uuid.UUID]
    worth_it: frozenset[uuid.UUID]


class Lookout:
    """The turns that are waited for in this process."""

    def __init__(self, *, patience: float) -> None:
        """`patience`: for how many seconds a turn may be queued before somebody looks what is in its way."""
        self._patience = patience
        self._waiting: Counter[uuid.UUID] = Counter()
        self._counting = threading.Lock()
        self._asking = threading.Lock()
        self._seen = _Seen(-STALE_SECONDS, frozenset(), frozenset())

    @contextmanager
    def waiting_for(self, turn_id: uuid.UUID) -> Iterator[None]:
        """While the block lasts, the turn is asked for with the others."""
        with self._counting:
            self._waiting[turn_id] += 1
        try:
            yield
        finally:
            with self._counting:
                self._waiting[turn_id] -= 1
                if not self._waiting[turn_id]:
                    del self._waiting[turn_id]

    def is_worth_a_look(self, turn_id: uuid.UUID) -> bool:
        """False where the row says nothing new, as far as the last seconds tell.

        True where nobody knows: whoever looks learns that the database is away.
        """
        now = time.monotonic()
        if now - self._seen.at > FRESH_SECONDS and self._asking.acquire(blocking=False):
            try:
                with suppress(OperationalError, InterfaceError):
                    self._ask(now)
            finally:
                self._asking.release()
        seen = self._seen
        return now - seen.at > STALE_SECONDS or turn_id not in seen.known or turn_id in seen.worth_it

    def _ask(self, now: float) -> None:
        with self._counting:
            known = frozenset(self._waiting)
        turns = "{" + ",".join(map(str, known)) + "}"
        rows = db.run(_WORTH_IT, {"turns": turns, "patience": self._patience, "fresh": FRESH_SECONDS})
        self._seen = _Seen(now, known, frozenset(row[0] for row in rows))
