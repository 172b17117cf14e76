"""Visitors who do what a good client does: every message has a key, and is sent again with it until it is answered."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.conversations.sse import read_events, text_of
from tests.fake_model import Received, Reply
from tests.product import Stack

# Longer than the slowest start of the product: what nobody asks for any more cannot be told from what was lost.
GIVE_UP_SECONDS = 300.0
PAUSE_SECONDS = 0.1
# Neither of them is stored as an answer: the client is to come again.
REFUSALS = (429, 503, 504)
PAY, TICKET = "pay", "create_ticket"


@dataclass
class Said:
    """One message, and what its client was told."""

    text: str
    refused: int = 0
    cut: int = 0
    # Whatever no client should ever be told.
    flaws: list[str] = field(default_factory=list)
    # What every 200 held; one if all is well.
    answers: set[bytes] = field(default_factory=set)
    # When the attempt began that brought the first answer, and when that came (time.monotonic()).
    asked_at: float = 0.0
    answered_at: float = 0.0

    def note_refusal(self, status: int, raw: bytes) -> None:
        self.refused += 1
        if status not in REFUSALS or b'"code"' not in raw:
            self.flaws.append(f"{status} {raw[:200]!r}")

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(next(iter(self.answers)))) if self.answers else {}


class Client(threading.Thread):
    """A visitor in one session, who writes one message after the other until told to stop."""

    def __init__(self, stack: Stack, name: str, *, longest_pause: float = 1.0) -> None:
        super().__init__(name=name, daemon=True)
        self.longest_pause = longest_pause
        self.stack = stack
        self.said: list[Said] = []
        self.session_id = ""
        self.stopping = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._dice = random.Random(name)

    def run(self) -> None:
        while not self.stopping.is_set():
            self._say(wish_of(len(self.said)))
            time.sleep(self._dice.uniform(0, 0.1))

    def hang_up(self) -> None:
        """Cuts the connection in the middle of whatever it is used for."""
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

    def answered_since(self, moment: float) -> float | None:
        """When this client got the first answer that it asked for after `moment`."""
        return next((said.answered_at for said in list(self.said) if said.answers and said.asked_at >= moment), None)

    def _say(self, wish: str) -> None:
        said = Said(f"{self.name}-{len(self.said)} {wish}")
        self.said.append(said)
        body = {"message": said.text, **({"session_id": self.session_id} if self.session_id else {})}
        key = str(uuid.uuid4())
        gives_up_at, pause = time.monotonic() + GIVE_UP_SECONDS, PAUSE_SECONDS
        while not self._ask(body, key, said) and time.monotonic() < gives_up_at:
            time.sleep(pause)
            pause = min(self.longest_pause, pause * 2)
        if said.answers and self._dice.random() < 0.2:
            # As a client does whose answer was lost on the way: it must read the very same again.
            self._ask(body, key, said)
        self.session_id = said.body.get("session_id", self.session_id)

    def _ask(self, body: dict[str, Any], key: str, said: Said) -> bool:
        began = time.monotonic()
        try:
            status, raw = self._post(body, key)
        except (OSError, http.client.HTTPException):
            said.cut += 1
            return False
        if status == 200:
            if not said.answers:
                said.asked_at, said.answered_at = began, time.monotonic()
            said.answers.add(raw)
            return True
        said.note_refusal(status, raw)
        return False

    def _post(self, body: dict[str, Any], key: str) -> tuple[int, bytes]:
        connection = self._connect()
        try:
            headers = self._headers() | {"Idempotency-Key": key}
            connection.request("POST", "/api/sdk/chat", json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=70)
        return self._connection

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.stack.org['widget_key']}", "Content-Type": "application/json"}


class Streamer(Client):
    """Reads its answers as they are written, loses the connection now and then, and reads on from where it was."""

    def _ask(self, body: dict[str, Any], key: str, said: Said) -> bool:
        began = time.monotonic()
        self._text, self._last_id, self._turn = "", "", None
        try:
            done = self._stream(said, "POST", "/api/sdk/chat/stream", json.dumps(body), {"Idempotency-Key": key})
            gives_up_at = began + GIVE_UP_SECONDS
            while done is None and self._turn and time.monotonic() < gives_up_at:
                # What is known of the turn is enough to read on; the message itself need not be sent again.
                turn_id, session_id = self._turn
                headers = {"X-Session-Id": session_id, "Last-Event-ID": self._last_id}
                done = self._stream(said, "GET", f"/api/sdk/chat/turns/{turn_id}/stream", None, headers)
                time.sleep(0 if done else PAUSE_SECONDS)
        except _Refused:
            return False
        if done is None:
            return False
        if self._text != done["text"]:
            said.flaws.append(f"read {self._text!r}, stored {done['text']!r}")
        if not said.answers:
            said.asked_at, said.answered_at = began, time.monotonic()
        said.answers.add(json.dumps(done).encode())
        return True

    def _stream(
        self, said: Said, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> dict[str, Any] | None:
        """The data of `done`, or None where the connection was lost before; raises _Refused."""
        connection = self._connect()
        # Not at an event's end, but anywhere.
        enough = self._dice.randrange(1500) if self._dice.random() < 0.4 else None
        read = b""
        try:
            connection.request(method, path, body, self._headers() | {"Accept": "text/event-stream"} | headers)
            response = connection.getresponse()
            if response.status != 200:
                said.note_refusal(response.status, response.read())
                raise _Refused
            self._turn = response.headers["X-Turn-Id"], response.headers["X-Session-Id"]
            while (enough is None or len(read) < enough) and (more := response.read1(200)):
                read += more
        except (OSError, http.client.HTTPException):
            said.cut += 1
        finally:
            connection.close()
        events = read_events(read[:enough])
        self._text = text_of(events, so_far=self._text)
        for event in events:
            self._last_id = event.id
            if event.kind == "done":
                return dict(event.data)
            if event.kind == "error":
                said.note_refusal(503, json.dumps(event.data).encode())
                raise _Refused
        return None


class _Refused(Exception):
    """The client is to come again with its key."""


def wish_of(number: int) -> str:
    """What the message is to bring about: now and then a ticket, now and then a call of the shop's own tool."""
    return {1: TICKET, 3: PAY}.get(number % 5, "talk")


def model_that_grants(request: Received) -> Reply:
    """Asks for what the last message wishes, then echoes it; not so fast that nothing is ever in the middle."""
    *_, asked = (place for place, message in enumerate(request.messages) if message["role"] == "user")
    wish = str(request.messages[asked]["content"]).rpartition(" ")[2]
    if asked == len(request.messages) - 1 and wish == TICKET:
        return Reply("", tool_calls=[(TICKET, {"subject": "Refund", "message": "It came broken."})], delay=0.1)
    if asked == len(request.messages) - 1 and wish == PAY:
        return Reply("", tool_calls=[(PAY, {"order_id": "A1"})], delay=0.1)
    return Reply(delay=0.2, chunk_delay=0.03)
