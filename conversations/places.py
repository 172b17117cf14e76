"""How many may watch at once in this web process: each holds a thread for as long as they do."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
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
    _counted: set[Place] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, *, most: int, org_id: uuid.UUID, reader: Any, is_gone: Callable[[], bool]) -> Place:
        """One of `most`, of which an organisation has half at most; raises RateLimited or Unavailable.

        `is_gone`: whether who reads has hung up.
        """
        place = Place(self, (None, org_id, reader), is_gone)
        with self._lock:
            if not self._has_room(place, most):
                self._forget_gone()
            if self._has_room(place, most):
                self._taken.update(place.names)
                self._counted.add(place)
                admission.hold()
                return place
            is_the_reader = self._taken[reader] >= self.per_reader
        metrics.count("halo_shed_total", "watchers")
        if is_the_reader:
            raise RateLimited(retry_after=30, message="This is being watched often enough.")
        raise Unavailable("Too many are watching at the moment; please read the messages now and then.", retry_after=30)

    def give_back(self, place: Place) -> None:
        """Frees a place."""
        admission.doorman.let_go()
        with self._lock:
            self._discount(place)

    def _has_room(self, place: Place, most: int) -> bool:
        of_all, of_org, of_reader = (self._taken[name] for name in place.names)
        return of_all < most and of_org < max(1, most // 2) and of_reader < self.per_reader

    def _forget_gone(self) -> None:
        # Who clicks from page to page hangs up at each, which a thread notices no sooner than it next writes.
        for place in [place for place in self._counted if place.is_gone()]:
            self._discount(place)

    def _discount(self, place: Place) -> None:
        if place not in self._counted:
            return
        self._counted.remove(place)
        self._taken.subtract(place.names)
        for name in place.names:
            if not self._taken[name]:
                del self._taken[name]


@dataclass(slots=True, eq=False)
class Place:
    """A place that somebody has until it is left."""

    places: Places
    names: tuple[Any, ...]
    is_gone: Callable[[], bool]
    is_had: bool = True

    def leave(self) -> None:
        """Gives the place back, once."""
        if self.is_had:
            self.is_had = False
            self.places.give_back(self)
