"""What each kind of process does once, right after it was started (after any fork)."""

from __future__ import annotations

from typing import Any

from celery.signals import setup_logging, worker_init, worker_process_init
from django.db import connections

from conversations import processes
from halo import wire


def web_started() -> None:
    """A gunicorn worker: it may answer turns itself while Redis is away, so it announces its process too."""
    wire.forget_connections()
    processes.start()


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Celery would install handlers of its own; Django's LOGGING is the one set-up for every process."""


@worker_init.connect
def worker_started(sender: Any = None, **_: object) -> None:
    """A Celery worker; only one that takes turns announces its process."""
    if "llm" in sender.app.amqp.queues.consume_from:
        processes.start()


@worker_process_init.connect
def worker_child_started(**_: object) -> None:
    """A prefork child must not share its parent's sockets."""
    wire.forget_connections()
    for connection in connections.all(initialized_only=True):
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
