"""The door to the network: resolves a host, checks where it leads, and connects to the very address it checked."""

from __future__ import annotations

import ipaddress
import math
import os
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

CONNECT_SECONDS = 5.0  # for one address; a host that does not take a connection by then is away
FRESH_SECONDS = 5.0  # for which an answer of the resolver is used again

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

# What is_global calls global, and is not a place on the internet.
_V4_REFUSED = [ipaddress.ip_network(net) for net in ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/3")]
# All that is routed, and in it what stands for another address (Teredo, 6to4) or is set aside. IPv4-mapped and NAT64
# addresses (::ffff:0:0/96, 64:ff9b::/96) lie outside.
_V6_ROUTED = ipaddress.ip_network("2000::/3")
_V6_REFUSED = [ipaddress.ip_network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]


class Refused(Exception):
    """The door does not open for this address."""


@dataclass(frozen=True, slots=True)
class Door:
    """`public_only`: https and public addresses only, but for the hosts in `exempt`; otherwise anywhere."""

    public_only: bool = False
    exempt: frozenset[str] = frozenset()

    def connect(self, host: str, port: int, *, tls: ssl.SSLContext | None, deadline: float) -> socket.socket:
        """A connected socket, with TLS where a context is given; `deadline` is a time.monotonic() value.

        Raises Refused, TimeoutError or another OSError (ssl.SSLError and socket.gaierror are ones).
        """
        guarded = self.public_only and host.lower() not in self.exempt
        if guarded and tls is None:
            raise Refused("only https is allowed")
        addresses = resolve(host, port, deadline=deadline)
        # SECURITY: one address in private space condemns the host, and what was checked is what is connected to: a
        # second look-up could give another answer.
        if guarded and not all(is_public(str(address[0])) for _, address in addresses):
            raise Refused("the host does not lead to a public address")
        sock = _first_that_answers(addresses, deadline)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                sock.settimeout(_left(deadline, CONNECT_SECONDS))  # of the whole handshake, in CPython
                sock = tls.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        return sock


def is_public(address: str) -> bool:
    """Whether an IP address, as getaddrinfo writes it, is a place on the internet that anybody may reach."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not any(ip in net for net in _V4_REFUSED)
    return ip in _V6_ROUTED and ip.scope_id is None and not any(ip in net for net in _V6_REFUSED)


def resolve(host: str, port: int, *, deadline: float) -> list[Address]:
    """The host's addresses in the resolver's order, at least one; raises OSError (TimeoutError past the deadline)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return _look_up(host, port)  # nobody is asked
    # Who is killed by a fork is not waited for, hence the process id.
    key, fresh = (os.getpid(), host, port), _LookUp()
    found = _look_ups.setdefault(key, fresh)
    if found.is_stale():
        found = _look_ups[key] = fresh
    if found is fresh:
        # getaddrinfo knows no time-out (a dead name server holds it for half a minute), so another thread waits for it:
        # one for all who ask, as a thousand calls may begin at once.
        threading.Thread(target=found.run, args=(host, port), daemon=True, name="resolve").start()
    return found.result(_left(deadline))


class _LookUp(Future[list[Address]]):
    """The answer of the resolver, now or soon; a failure is for those only who were waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._fresh_until = math.inf

    def run(self, host: str, port: int) -> None:
        try:
            addresses = _look_up(host, port)
        except OSError as error:
            self._fresh_until = 0.0
            self.set_exception(error)
        else:
            self._fresh_until = time.monotonic() + FRESH_SECONDS
            self.set_result(addresses)

    def is_stale(self) -> bool:
        return time.monotonic() >= self._fresh_until


_look_ups: dict[tuple[int, str, int], _LookUp] = {}


def _look_up(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of 64 characters
        raise OSError("the host's name is not one") from error
    return [(family, address) for family, _, _, _, address in found]


def _first_that_answers(addresses: list[Address], deadline: float) -> socket.socket:
    failure: OSError | None = None
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(_left(deadline, CONNECT_SECONDS))
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure or OSError("the host has no address")


def _left(deadline: float, at_most: float = threading.TIMEOUT_MAX) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("past the deadline")
    return min(left, at_most)
