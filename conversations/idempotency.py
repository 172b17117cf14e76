"""Which key stands for which turn. The unique constraint decides between twins; only hashes are stored."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import uuid

from django.db import connection
from django.db.models.functions import Now

from conversations.models import IdempotencyKey
from halo.errors import HaloError, InvalidRequest
from orgs.models import Organization

KEPT = dt.timedelta(hours=24)
_SHAPE = re.compile(r"[\x20-\x7e]{16,255}\Z")

_INSERT = """
INSERT INTO conversations_idempotencykey (org_id, scope, key_hash, body_hash, turn_id, created_at, expires_at)
VALUES (%s, %s, %s, %s, %s, now(), now() + interval '1 second' * %s)
ON CONFLICT (org_id, scope, key_hash) DO UPDATE
   SET body_hash = excluded.body_hash, turn_id = excluded.turn_id, ticket_id = NULL,
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
    """The turn that this key stands for; raises Mismatch where it was used with another body."""
    row = (
        IdempotencyKey.objects.for_org(org)
        .filter(scope=hashed(scope), key_hash=hashed(key), expires_at__gt=Now())
        .values_list("turn_id", "body_hash")
        .first()
    )
    if row is None:
        return None
    turn_id, known_hash = row
    if turn_id is None or known_hash != body_hash:
        raise Mismatch
    return turn_id


def reserve(*, org: Organization, scope: str, key: str, body_hash: str, turn_id: uuid.UUID) -> bool:
    """Binds the key to a turn that is about to be made; False where a twin was first.

    Comes first in accept's transaction: the twin's insert waits here until that transaction has ended.
    """
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [org.pk, hashed(scope), hashed(key), body_hash, turn_id, KEPT.total_seconds()])
        return cursor.fetchone() is not None
