"""What each kind of process does once, right after it was started (after any fork)."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from typing import Any

from celery.signals import setup_logging, worker_init, worker_process_init, worker_shutting_down
from django.db import connections

from agents import languages
from conversations import door, in_hand, leaving, processes, waiting
from halo import metrics, wire
from halo.embedded.processes import give_way
from orgs import services, traffic
from orgs.secrets import WrongKey

# Celery waits for its threads for as long as their models take; by then their turns belong to others.
LAST_WORDS_SECONDS = 0.5
# To load the languages takes a second of a processor, which a worker that has just started has for those who waited.
LANGUAGES_AFTER_SECONDS = 10.0


# The collector looks through all that was made since it looked last once so many objects are left over; Python's own
# 700 are gone with every query, and a full pass walks all that was imported.
COLLECT_AFTER = 20_000
# A request is refused where it gets no connection within the pool's three seconds. What a model has answered is paid
# for already: with a thousand answers at once, most would give up, and begin again, while none got on.
PATIENCE_SECONDS = 20.0
# Web processes go first, so that what is too much is refused at once; with 5 a fifth less was answered.
NICENESS = 2


def calm_collector() -> None:
    """Lets the garbage collector come less often, and never to what was loaded at the start."""
    # Nothing is collected first: that would write to every page that forked processes share.
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def web_started() -> None:
    """A gunicorn worker: it may answer turns itself while Redis is away, so it announces its process too."""
    calm_collector()
    wire.forget_connections()
    services.check_keys()
    in_hand.set_room(waiting.HANDS)
    processes.start()


# What a gunicorn worker may answer before it takes a thread.
at_once = door.refuse_at_once


def web_stopped() -> None:
    """A gunicorn worker that has served its last request."""
    metrics.flush()
    traffic.flush()


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Celery would install handlers of its own; Django's LOGGING is the one set-up for every process."""


@worker_init.connect
def worker_started(sender: Any = None, **_: object) -> None:
    """A Celery worker; only one that takes turns announces its process."""
    try:
        services.check_keys()
    except WrongKey as error:
        # Celery logs what its hooks raise and carries on; only this ends the process.
        sys.exit(str(error))
    calm_collector()
    if "llm" in sender.app.amqp.queues.consume_from:
        connections["default"].pool.timeout = PATIENCE_SECONDS  # type: ignore[attr-defined]
        give_way(NICENESS)
        # `auto` is resolved later, and meant for other pools than that of threads.
        in_hand.set_room(sender.concurrency if isinstance(sender.concurrency, int) else 0)
        processes.start()
        later = threading.Timer(LANGUAGES_AFTER_SECONDS, languages.prepare)
        later.daemon = True
        later.start()


@worker_shutting_down.connect
def worker_leaves(**_: object) -> None:
    """SIGTERM: turns are finished within their grace or returned to the queue, and then the process is gone."""

    def leave() -> None:
        if leaving.leave():
            time.sleep(LAST_WORDS_SECONDS)
            os._exit(0)

    threading.Thread(target=leave, name="halo-leaving", daemon=True).start()


@worker_process_init.connect
def worker_child_started(**_: object) -> None:
    """A prefork child must not share its parent's sockets."""
    wire.forget_connections()
    for connection in connections.all(initialized_only=True):
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
