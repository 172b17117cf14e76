"""This process's name among those that answer turns, and the lock that proves it is alive.

A process holds a PostgreSQL session advisory lock on a number it made up, over one connection outside the pool. When
the process dies, however it dies, the server drops the lock, and the sweep sees which turns are orphans. The thread
that holds the lock also runs the sweep every two seconds, one process at a time by another advisory lock.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from conversations import sweep
from halo import metrics
from orgs import traffic

log = structlog.get_logger(__name__)
TICK_SECONDS = 2.0
RETRY_SECONDS = 0.3
# After a restart of the database every process must have had time to take its lock again.
SWEEPER_MIN_AGE_SECONDS = 5.0
SWEEPER_LOCK = 0x48616C6F  # "Halo"


class _Process:
    """One per operating system process; a fork starts anew."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        # 62 random bits: unlike a pid it is never used again.
        self.id = secrets.randbits(62) | 1 << 61
        self.holds_lock = threading.Event()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=_keep_lock, args=(self,), name="halo-process-lock", daemon=True)


_process: _Process | None = None
_start = threading.Lock()


def start() -> None:
    """Announces this process; harmless where it is announced already."""
    global _process
    with _start:
        if _process is None or _process.pid != os.getpid():
            _process = _Process()
            _process.thread.start()


def current_id(*, wait_seconds: float = 2.0) -> int | None:
    """The number of this process while its lock is held; None where it could not be had in time, or is stopping.

    Without the lock a claim would look like that of a dead process and be swept away at once.
    """
    start()
    process = _process
    assert process is not None
    if process.stopping.is_set() or not process.holds_lock.wait(wait_seconds):
        return None
    return process.id


def stop_claiming() -> None:
    """From now on this process claims nothing; what it has claimed it may still finish."""
    if _process is not None:
        _process.stopping.set()


def _connect() -> psycopg.Connection[Any]:
    params = connection.get_connection_params()
    for django_only in ("pool", "cursor_factory", "context"):
        params.pop(django_only, None)
    if settings.HALO_LOCK_DATABASE_URL:
        # A session lock cannot live behind a pooler that shares sessions.
        params = {"conninfo": settings.HALO_LOCK_DATABASE_URL}
    params |= {
        "autocommit": True,
        "connect_timeout": 3,
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "application_name": "halo-process-lock",
    }
    return psycopg.connect(**params)


def _keep_lock(process: _Process) -> None:
    held: psycopg.Connection[Any] | None = None
    connected_at = 0.0
    while True:
        try:
            if held is None:
                held = _connect()
                connected_at = time.monotonic()
                if not _try_lock(held, process.id):
                    raise psycopg.OperationalError("the lock is still held by this process's last connection")
                process.holds_lock.set()
            metrics.flush()
            traffic.flush()
            sweep.free_orphans(process.id)
            if _try_lock(held, SWEEPER_LOCK):
                try:
                    sweep.run(may_free=time.monotonic() - connected_at >= SWEEPER_MIN_AGE_SECONDS)
                finally:
                    held.execute("SELECT pg_advisory_unlock(%s)", [SWEEPER_LOCK])
            pause = TICK_SECONDS
        except (psycopg.Error, DatabaseError, OSError) as error:
            if isinstance(error, psycopg.Error) or (held is not None and held.closed):
                process.holds_lock.clear()
                if held is not None:
                    held.close()
                held = None
            pause = RETRY_SECONDS
        except Exception:
            # A defect in the sweep must not cost this process its lock.
            log.exception("sweep_failed")
            pause = TICK_SECONDS
        finally:
            connection.close()
        time.sleep(pause)


def _try_lock(held: psycopg.Connection[Any], number: int) -> bool:
    row = held.execute("SELECT pg_try_advisory_lock(%s)", [number]).fetchone()
    return bool(row and row[0])
