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

from tests.fake_model import Received, Reply
from tests.product import Stack

GIVE_UP_SECONDS = 90.0
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

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(next(iter(self.answers)))) if self.answers else {}


class Client(threading.Thread):
    """A visitor in one session, who writes one message after the other until told to stop."""

    def __init__(self, stack: Stack, name: str) -> None:
        super().__init__(name=name, daemon=True)
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
        gives_up_at = time.monotonic() + GIVE_UP_SECONDS
        while not self._ask(body, key, said) and time.monotonic() < gives_up_at:
            time.sleep(PAUSE_SECONDS)
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
        said.refused += 1
        if status not in REFUSALS or b'"code"' not in raw:
            said.flaws.append(f"{status} {raw[:200]!r}")
        return False

    def _post(self, body: dict[str, Any], key: str) -> tuple[int, bytes]:
        connection = self._connection = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=70)
        try:
            headers = {
                "Authorization": f"Bearer {self.stack.org['widget_key']}",
                "Content-Type": "application/json",
                "Idempotency-Key": key,
            }
            connection.request("POST", "/api/sdk/chat", json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


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
    return Reply(delay=0.3)
