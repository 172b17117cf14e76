"""Who looks, for all that wait in a process, whether what they wait for has happened without their being told.

A word on the tape may be lost, with the process that was about to say it or with Redis. If each who waits looked now
and then, a thousand would ask two hundred times a second; one thread asks for all of them with one statement, and
writes on the tapes of those that are to look.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import InterfaceError, OperationalError

from conversations import tape
from halo import db
from halo.companion import Companion
from halo.db import release_connection

LOOK_SECONDS = 2.0

# SECURITY: of turns of all organisations, and only whether to look; the look itself is held to its own one.
_WORTH_IT = """
SELECT id FROM conversations_turn
 WHERE id = ANY(%(turns)s::uuid[])
   AND (status NOT IN ('queued', 'running') OR merged_into_id IS NOT NULL
        OR answer_by <= now() OR status = 'queued' AND accepted_at <= now() - interval '1 second' * %(patience)s)
"""


class Lookout:
    """The turns that are waited for in this process."""

    def __init__(self, *, patience: float) -> None:
        """`patience`: for how many seconds a turn may be queued before somebody looks what is in its way."""
        self._patience = patience
        self._waiting: Counter[uuid.UUID] = Counter()
        self._lock = threading.Lock()
        self._companion = Companion("halo-lookout", self._look_if_possible, pause=lambda: LOOK_SECONDS)

    @contextmanager
    def waiting_for(self, turn_id: uuid.UUID) -> Iterator[None]:
        """While the block lasts, a `look` comes on the turn's tape, within some seconds, where its row says more."""
        with self._lock:
            self._waiting[turn_id] += 1
        try:
            with self._companion.looking():
                yield
        finally:
            with self._lock:
                self._waiting[turn_id] -= 1
                if not self._waiting[turn_id]:
                    del self._waiting[turn_id]

    def look(self) -> list[uuid.UUID]:
        """Looks once, tells those concerned, and returns which turns these are."""
        with self._lock:
            turns = list(self._waiting)
        try:
            rows = db.run(_WORTH_IT, {"turns": "{" + ",".join(map(str, turns)) + "}", "patience": self._patience})
        finally:
            release_connection()
        found = [turn_id for (turn_id,) in rows]
        for turn_id in found:
            tape.append(turn_id, attempt=0, kind="look")
        return found

    def _look_if_possible(self) -> None:
        # A database that is away tells nothing now, and will.
        with suppress(OperationalError, InterfaceError):
            self.look()
