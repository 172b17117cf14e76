"""A mail server of the tests, which can be slow, or die in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class Mailbox(BaseEmailBackend):
    """Django's `EMAIL_BACKEND`; what was sent is noted by its Message-ID before `before` is called with it."""

    sent: list[str] = []
    delay = 0.0
    before: Callable[[], object] = staticmethod(lambda: None)
    _lock = threading.Lock()

    @classmethod
    def empty(cls) -> None:
        cls.sent, cls.delay, cls.before = [], 0.0, staticmethod(lambda: None)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            with self._lock:
                self.sent.append(message.extra_headers["Message-ID"])
            time.sleep(self.delay)
            self.before()
        return len(email_messages)
