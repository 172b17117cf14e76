"""Loads the application once and becomes each of Halo's processes by forking: `python -m halo.fork_server FD`.

Loading takes seconds of a processor, which a start, a deploy and each process that was killed would otherwise wait for;
and what is loaded before a fork is in memory once. Started by halo/embedded/forking.py, which says what to become.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import socket
import sys
import time
from typing import NamedTuple

import django

from halo.embedded.forking import READY
from halo.embedded.processes import die_with_us, name_process

# What web, workers and beat import by themselves, beside the application.
_OF_PROCESSES = (
    "celery.apps.beat", "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork",
    "celery.concurrency.thread", "django.core.management", "gunicorn.app.wsgiapp", "halo.web_worker", "halo.wsgi",
)  # fmt: skip
REQUEST_BYTES = 65_536


class Life(NamedTuple):
    """What a fork is to be."""

    name: str
    argv: list[str]
    output: int


def main() -> None:
    name_process("fork-server")
    wire, supervisor = socket.socket(fileno=int(sys.argv[1])), os.getppid()
    # As the masters of web processes do: no thread and no connection may come to be here.
    gc.disable()
    django.setup()
    # The models are there, so migrations are under way while the rest is loaded.
    life = _serve(wire, supervisor=supervisor, wait=False)
    if life is None:
        _load()
        wire.send(READY)
        life = _serve(wire, supervisor=supervisor, wait=True)
    if life is not None:
        _live(life)


def _load() -> None:
    for name in _OF_PROCESSES:
        importlib.import_module(name)
    importlib.import_module("halo.celery").app.loader.import_default_modules()
    # The collector would write to every page that the forks share.
    gc.freeze()


def _serve(wire: socket.socket, *, supervisor: int, wait: bool) -> Life | None:
    """Forks as often as it is asked to; returns in each fork what that is to be.

    None where nobody will ask any more, or, without `wait`, where nobody has asked yet.
    """
    while wait or select.select([wire], [], [], 0)[0]:
        request, (*outputs,), _, _ = socket.recv_fds(wire, REQUEST_BYTES, 1)
        if not request:
            return None
        (output,) = outputs
        pid = _fork_away(supervisor)
        if not pid:
            wire.close()
            return Life(**json.loads(request), output=output)
        os.close(output)
        wire.send(str(pid).encode())
    return None


def _fork_away(supervisor: int) -> int:
    """Forks a child of the supervisor's and returns its id; 0 in the child."""
    reading, writing = os.pipe()
    between = os.fork()
    if between:
        os.close(writing)
        pid = int(os.read(reading, 32))
        os.close(reading)
        # Only when the one between has gone the supervisor, who adopts orphans, is the parent.
        os.waitpid(between, 0)
        return pid
    between = os.getpid()
    if pid := os.fork():
        os.write(writing, str(pid).encode())
        os._exit(0)
    os.close(reading)
    os.close(writing)
    while os.getppid() == between:
        time.sleep(0.001)
    os.setsid()
    die_with_us(supervisor)
    return 0


def _live(life: Life) -> None:
    """Becomes what `python -m module arguments` is; ends as that ends."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stands_for in ((nothing, 0), (life.output, 1), (life.output, 2)):
        os.dup2(number, stands_for)
    os.close(nothing)
    os.close(life.output)
    name_process(life.name)
    gc.enable()
    sys.argv = life.argv
    runpy.run_module(life.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
