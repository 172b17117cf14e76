"""Has documents read by a process of their own, within a time: parsers are other people's, documents hostile."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from agents.knowledge.documents.drafts import Draft, Page, Undecipherable, Unreadable

FILE_SECONDS = 60.0
PAGE_SECONDS = 20.0
START_SECONDS = 30.0
TICK_SECONDS = 5.0
_ROOT = Path(__file__).resolve().parents[3]
_TOO_SLOW = "It takes longer to read than a document may."
_DIED = "It could not be read: its reader ended."


Tick = Callable[[], None]


def _nothing() -> None: ...


class DocumentReader:
    """The process is started with the first document, ended when one takes too long, and started again."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read_file(
        self, name: str, data: bytes, *, tick: Tick = _nothing, seconds: float = FILE_SECONDS
    ) -> list[Draft | Unreadable]:
        """The articles in a file and notes about it; raises Undecipherable. `tick` is called every few seconds."""
        said = self._ask({"what": "file", "name": name}, data, tick, seconds)
        return [*(Draft(**item) for item in said["drafts"]), *(Unreadable(**item) for item in said["notes"])]

    def read_page(self, data: bytes, *, url: str, charset: str = "", tick: Tick = _nothing) -> Page:
        """The page's text, links and wishes; raises Undecipherable."""
        return Page(**self._ask({"what": "page", "url": url, "charset": charset}, data, tick, PAGE_SECONDS)["page"])

    def read_sitemap(self, data: bytes, *, tick: Tick = _nothing) -> tuple[list[str], list[str]]:
        """The pages and the further sitemaps that it names; raises Undecipherable."""
        said = self._ask({"what": "sitemap"}, data, tick, PAGE_SECONDS)
        return said["pages"], said["sitemaps"]

    def _ask(self, request: dict[str, Any], data: bytes, tick: Tick, seconds: float) -> dict[str, Any]:
        with self._lock:
            was_there = self._process is not None
            answer = self._answer(request, data, tick, seconds)
            if not answer and was_there:
                # It had nothing to do for a while and ended in this very moment.
                answer = self._answer(request, data, tick, seconds)
        if not answer:
            raise Undecipherable(_DIED)
        said: dict[str, Any] = json.loads(answer)
        if "error" in said:
            raise Undecipherable(said["error"])
        return said

    def _answer(self, request: dict[str, Any], data: bytes, tick: Tick, seconds: float) -> bytes:
        """A line of JSON; nothing where the process ended. Raises Undecipherable past the time."""
        deadline = time.monotonic() + seconds + (START_SECONDS if self._process is None else 0.0)
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        question = json.dumps({**request, "size": len(data)}).encode() + b"\n" + data
        # From a thread: a process that reads nothing must not hold us.
        threading.Thread(target=_send, args=(process.stdin, question), daemon=True).start()
        answer = bytearray()
        while not answer.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                self._end()
                raise Undecipherable(_TOO_SLOW)
            if not select.select([process.stdout], [], [], min(left, TICK_SECONDS))[0]:
                try:
                    tick()
                except BaseException:
                    self._end()  # its answer would be taken for the next one's
                    raise
                continue
            piece = os.read(process.stdout.fileno(), 1 << 20)
            if not piece:
                self._end()
                return b""
            answer += piece
        return bytes(answer)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agents.knowledge.documents.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
                # SECURITY: none of our environment, where keys and the database's address are.
                env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"},
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what it did not take
                        pipe.close()
            self._process = None


def shared_reader() -> DocumentReader:
    """This process's own (a fork gets another): starting one takes a second, and it ends by itself when idle."""
    return _reader_of(os.getpid())


@cache
def _reader_of(pid: int) -> DocumentReader:
    return DocumentReader()


def _send(pipe: Any, question: bytes) -> None:
    try:
        pipe.write(question)
        pipe.flush()
    except (OSError, ValueError):
        return  # it was ended, and whoever waits for its answer knows
