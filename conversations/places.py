"""How many may watch at once in this web process: each holds a thread for as long as they do."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from conversations import admission
from halo import metrics
from halo.errors import RateLimited, Unavailable


@dataclass(slots=True)
class Places:
    """Places of one kind."""

    per_reader: int
    _taken: Counter[Any] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, *, most: int, org_id: uuid.UUID, reader: Any) -> Place:
        """One of `most`, of which an organisation has half at most; raises RateLimited or Unavailable."""
        names = (None, org_id, reader)
        with self._lock:
            of_all, of_org, of_reader = (self._taken[name] for name in names)
            if of_all < most and of_org < max(1, most // 2) and of_reader < self.per_reader:
                self._taken.update(names)
                admission.hold()
                return Place(self, names)
        metrics.count("halo_shed_total", "watchers")
        if of_reader >= self.per_reader:
            raise RateLimited(retry_after=30, message="This is being watched often enough.")
        raise Unavailable("Too many are watching at the moment; please read the messages now and then.", retry_after=30)

    def give_back(self, names: tuple[Any, ...]) -> None:
        """Frees a place."""
        admission.doorman.let_go()
        with self._lock:
            self._taken.subtract(names)
            for name in names:
                if not self._taken[name]:
                    del self._taken[name]


@dataclass(slots=True)
class Place:
    """A place that somebody has until it is left."""

    places: Places
    names: tuple[Any, ...]
    is_had: bool = True

    def leave(self) -> None:
        """Gives the place back, once."""
        if self.is_had:
            self.is_had = False
            self.places.give_back(self.names)
