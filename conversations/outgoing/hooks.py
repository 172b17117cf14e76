"""Sending to webhooks: the shape and the signature of standardwebhooks.com, through the one door to the network."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import secrets
import time

from django.utils import timezone

from conversations.models import OutboxItem, Webhook
from halo.db import release_connection
from halo.errors import HaloError
from halo.outgoing.client import fetch

DEADLINE_SECONDS = 15.0
# Of an answer that nobody reads; receivers should say little.
MAX_BYTES = 64 * 1024
PREFIX = "whsec_"
GONE = 410


class NotTaken(HaloError):
    """The receiver's answer was not a 2xx."""

    def __init__(self, status: int) -> None:
        super().__init__("not_taken", f"The receiver answered {status}.")


def new_secret() -> str:
    """A signing secret: `whsec_` and 192 random bits in base64, as the specification has them."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def send(item: OutboxItem) -> bool:
    """One attempt; raises halo.outgoing.client.NotReached or NotTaken. False where the webhook is switched off.

    A receiver that answers 410 wants no more, and is switched off.
    """
    hook = item.webhook
    if hook is None or not hook.is_active:
        return False
    now = timezone.now()
    body = json.dumps(item.payload, ensure_ascii=False, separators=(",", ":")).encode()
    release_connection()
    answer = fetch(
        hook.url,
        method="POST",
        headers={"Content-Type": "application/json", **signed(hook, message_id=item.key, body=body, now=now)},
        body=body,
        deadline=time.monotonic() + DEADLINE_SECONDS,
        max_bytes=MAX_BYTES,
    )
    if answer.status == GONE:
        Webhook.objects.for_org(hook.org_id).filter(pk=hook.pk).update(is_active=False)
    if not 200 <= answer.status < 300:
        raise NotTaken(answer.status)
    return True


def signed(hook: Webhook, *, message_id: str, body: bytes, now: dt.datetime) -> dict[str, str]:
    """The headers that prove a call: by the secret, and by the one before it while its time runs."""
    at = str(int(now.timestamp()))
    keys = [hook.secret]
    if hook.old_secret and hook.old_secret_until is not None and hook.old_secret_until > now:
        keys.append(hook.old_secret)
    content = f"{message_id}.{at}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": at,
        "webhook-signature": " ".join(f"v1,{_signature(key, content)}" for key in keys),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
