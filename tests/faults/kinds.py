"""The faults, as they happen to a running product: each calls `in_force` as soon as it has struck."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from halo.embedded import locate
from tests.faults.clients import Client
from tests.product import Stack, until

DEPLOY = "deploy"
FROZEN_SECONDS = 3.0
InForce = Callable[[], None]


@dataclass(frozen=True)
class Kind:
    """A fault, and within how many seconds somebody new must be answered after it."""

    name: str
    strike: Callable[[Stack, Sequence[Client], InForce], None]
    within: float


def _kill(stack: Stack, *pids: int, how: signal.Signals = signal.SIGKILL) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, how)
    until(lambda: not any(_runs(pid) for pid in pids), seconds=10, what="the process is dead")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_worker(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    _kill(stack, stack.pid("worker"))
    in_force()


def kill_web(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    """All of it at once: whoever was waiting is cut off."""
    master = stack.pid("web")
    _kill(stack, master, *_children(master))
    in_force()


def kill_one_web_process(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    _kill(stack, _children(stack.pid("web"))[0])
    in_force()


def kill_redis(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    _kill(stack, stack.pid("valkey"))
    in_force()


def freeze_redis(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    pid = stack.kill("valkey", signal.SIGSTOP)
    try:
        in_force()
        time.sleep(FROZEN_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)


def flush_redis(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    """Bells, tapes and limits are gone in mid-turn."""
    with redis.Redis(unix_socket_path=str(locate(stack.data_dir).valkey_socket)) as client:
        client.flushall()
    in_force()


def restart_postgres(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    """As `pg_ctl -m immediate`: no farewells, and recovery from the log."""
    _kill(stack, stack.pid("postgres"), how=signal.SIGQUIT)
    in_force()


def deploy(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    """Everything stops in order, and starts again."""
    stack.stop()
    in_force()
    stack.start()


def hang_up(stack: Stack, clients: Sequence[Client], in_force: InForce) -> None:
    """All clients lose their connections at once."""
    for client in clients:
        client.hang_up()
    in_force()


# The times are those that are promised in docs/reliability.md.
KINDS = [
    Kind("worker killed", kill_worker, 30),
    Kind("web killed", kill_web, 5),
    Kind("one web process killed", kill_one_web_process, 5),
    Kind("Redis killed", kill_redis, 10),
    Kind("Redis frozen for 3 s", freeze_redis, 10),
    Kind("Redis flushed", flush_redis, 10),
    Kind("PostgreSQL restarted", restart_postgres, 5),
    Kind("clients hang up", hang_up, 5),
    Kind(DEPLOY, deploy, 10),
]
