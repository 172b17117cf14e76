"""kombu's Redis transport with one client a channel, where kombu makes one for every message taken or confirmed."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """A client is only a pool with methods, safe for any thread; making one took a third of a confirmation's time."""

    _shared: tuple[Any, Any] | None = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        # Clients that block hold a connection of their own.
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # its stubs name none
        pool = self.pool
        shared = self._shared
        if shared is None or shared[0] is not pool:
            shared = self._shared = (pool, super()._create_client())  # type: ignore[misc]
        return shared[1]


class Transport(kombu_redis.Transport):
    """What the schemes `redis` and `rediss` of a broker's address stand for."""

    Channel = Channel


def install() -> None:
    """Puts this transport in the place of kombu's, whatever broker address is given."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
