"""Who among the staff looks at a conversation or a ticket, and who writes: in Redis, for some seconds at a time."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from conversations import live
from halo import wire
from orgs.models import User

# Browsers say it again every 10 and every 3 seconds.
LOOKING_SECONDS, WRITING_SECONDS = 25, 8


@dataclass(frozen=True, slots=True)
class Here:
    """A teammate who is there."""

    id: str
    name: str
    writes: bool = False


def be_here(*, org_id: uuid.UUID, about: uuid.UUID, by: User, writes: bool = False) -> None:
    """`by` looks at it, and writes; others are told where that is new. Without effect where Redis is away."""
    now, member = time.time(), f"{by.pk} {by}"
    looking, writing = _keys(org_id, about)
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        pipe = client.pipeline(transaction=False)
        for key in (looking, writing):
            pipe.zremrangebyscore(key, "-inf", now)
        pipe.zadd(looking, {member: now + LOOKING_SECONDS})
        if writes:
            pipe.zadd(writing, {member: now + WRITING_SECONDS})
        else:
            pipe.zrem(writing, member)
        pipe.expire(looking, LOOKING_SECONDS)
        pipe.expire(writing, WRITING_SECONDS)
        _, _, came, changed, *_ = pipe.execute()
        if came or changed:
            live.tell_staff(org_id, about, live.HERE)


def leave(*, org_id: uuid.UUID, about: uuid.UUID, by: User) -> None:
    """`by` looks elsewhere."""
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        pipe = client.pipeline(transaction=False)
        for key in _keys(org_id, about):
            pipe.zrem(key, f"{by.pk} {by}")
        pipe.execute()
        live.tell_staff(org_id, about, live.HERE)


def who_is_at(org_id: uuid.UUID, abouts: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Here]]:
    """Who is at each of them; nobody where Redis is away."""
    if not abouts:
        return {}
    now = time.time()
    try:
        with wire.calling() as client:
            pipe = client.pipeline(transaction=False)
            for about in abouts:
                for key in _keys(org_id, about):
                    pipe.zrangebyscore(key, now, "+inf")
            found = pipe.execute()
    except wire.WireAway:
        return {}
    return {
        about: [_read(member, writes=member in found[place * 2 + 1]) for member in found[place * 2]]
        for place, about in enumerate(abouts)
        if found[place * 2]
    }


def _read(member: str, *, writes: bool) -> Here:
    key, _, name = member.partition(" ")
    return Here(key, name, writes=writes)


def _keys(org_id: uuid.UUID, about: uuid.UUID) -> tuple[str, str]:
    # SECURITY: the organisation is part of the key, so that an id of another one's leads nowhere.
    return f"halo:here:{org_id}:{about}", f"halo:writes:{org_id}:{about}"
