"""Which key stands for which turn or ticket. The unique constraint decides between twins; only hashes are stored."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import uuid
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from conversations.models import IdempotencyKey, Ticket
from halo.errors import HaloError, InvalidRequest
from orgs.models import Organization

KEPT = dt.timedelta(hours=24)
_SHAPE = re.compile(r"[\x20-\x7e]{16,255}\Z")

_INSERT = """
INSERT INTO conversations_idempotencykey
       (org_id, scope, key_hash, body_hash, turn_id, ticket_id, created_at, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, now(), now() + interval '1 second' * %s)
ON CONFLICT (org_id, scope, key_hash) DO UPDATE
   SET body_hash = excluded.body_hash, turn_id = excluded.turn_id, ticket_id = excluded.ticket_id,
       created_at = excluded.created_at, expires_at = excluded.expires_at
 WHERE conversations_idempotencykey.expires_at <= now()
RETURNING id
"""


class Mismatch(HaloError):
    """409: the key was used with another body."""

    status = 409

    def __init__(self) -> None:
        super().__init__("idempotency_mismatch", "This Idempotency-Key was already used with another body.")


def check_shape(key: str) -> str:
    """`key` if it is 16 to 255 printable characters, or empty; else InvalidRequest."""
    if key and not _SHAPE.match(key):
        raise InvalidRequest("Idempotency-Key must be 16 to 255 printable characters.", field="Idempotency-Key")
    return key


def hashed(text: str) -> str:
    """What is stored of a key or a scope."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def find(*, org: Organization, scope: str, key: str, body_hash: str) -> uuid.UUID | None:
    """The turn that this key stands for; raises Mismatch where it was used with another body, or for a ticket."""
    row = _look_up(org, scope, key, body_hash)
    if row is not None and row.turn_id is None:
        raise Mismatch
    return row.turn_id if row is not None else None


def find_ticket(*, org: Organization, scope: str, key: str, body_hash: str) -> Ticket | None:
    """The ticket that this key stands for; raises Mismatch where it was used with another body, or for a turn."""
    row = _look_up(org, scope, key, body_hash)
    if row is not None and row.ticket is None:
        raise Mismatch
    return row.ticket if row is not None else None


def _look_up(org: Organization, scope: str, key: str, body_hash: str) -> IdempotencyKey | None:
    row: IdempotencyKey | None = (
        IdempotencyKey.objects.for_org(org)
        .filter(scope=hashed(scope), key_hash=hashed(key), expires_at__gt=Now())
        .first()
    )
    if row is not None and row.body_hash != body_hash:
        raise Mismatch
    return row


def reserve(
    *,
    org: Organization,
    scope: str,
    key: str,
    body_hash: str,
    turn_id: uuid.UUID | None = None,
    ticket_id: uuid.UUID | None = None,
) -> bool:
    """Binds the key to a turn or ticket that is about to be made; False where a twin was first.

    Comes first in the transaction: the twin's insert waits here until that transaction has ended.
    """
    values: list[Any] = [org.pk, hashed(scope), hashed(key), body_hash, turn_id, ticket_id, KEPT.total_seconds()]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        return cursor.fetchone() is not None
