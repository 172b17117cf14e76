"""An export: audited when it begins and when it ends, followed on its way, and few at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from conversations.records import progress
from conversations.records.files import Kind, written
from conversations.records.reading import how_many
from conversations.records.selection import Selection
from halo.errors import RateLimited
from orgs import audit
from orgs.models import User

# In one process: each holds a thread for as long as its client takes.
AT_ONCE = 4
_places = threading.BoundedSemaphore(AT_ONCE)


class Export:
    """A file on its way out; `close` gives its place back, whether all of it was read or not."""

    def __init__(self, *, kind: Kind, chosen: Selection, by: User | None, key: str = "") -> None:
        """Raises RateLimited where too many are under way here."""
        if not _places.acquire(blocking=False):
            raise RateLimited(
                retry_after=30, message="Too many exports are under way; try again when one of them has ended."
            )
        self._held, self.done = True, 0
        self.kind, self.chosen, self.by, self.key = kind, chosen, by, key
        try:
            audit.record(org=chosen.org, actor=by, action="conversations.exported", after=self._what())
            self.total = how_many(chosen, messages=kind.counts_messages)
        except BaseException:
            self.close()
            raise

    def pieces(self) -> Iterator[str]:
        """The file's text. When all of it was taken, the audit says how much that was."""
        follow = progress.follow(self.chosen.org.pk, self.key, total=self.total)

        def tell(number: int) -> None:
            self.done = number
            follow(number, False)

        yield from written(self.kind, self.chosen, tell=tell)
        follow(self.done, True)
        audit.record(
            org=self.chosen.org,
            actor=self.by,
            action="conversations.export_ended",
            after=self._what() | {"rows": self.done},
        )

    def close(self) -> None:
        if self._held:
            self._held = False
            _places.release()

    def _what(self) -> dict[str, object]:
        return {"what": self.kind.value, **self.chosen.described()}
