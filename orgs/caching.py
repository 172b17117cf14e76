"""What the chat path keeps in memory, valid for exactly one `config_version` of its organisation.

Every request reads the version with its key, and every answer with its turn; triggers bump it on whatever is cached
here. So a change is seen by the very next request in every process, without a channel between them.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from orgs.models import Organization

MAX_ENTRIES = 4096
T = TypeVar("T")

_lock = threading.Lock()
_entries: OrderedDict[tuple[uuid.UUID, str], tuple[int, Any]] = OrderedDict()


def per_version(org_id: uuid.UUID, version: int, name: str, build: Callable[[], T]) -> T:
    """`build()` once per organisation, name and version; the least recently used entries are dropped."""
    key = (org_id, name)
    with _lock:
        found = _entries.get(key)
        if found is not None and found[0] == version:
            _entries.move_to_end(key)
            return found[1]
    value = build()
    with _lock:
        # What was built may be newer than `version`, never older: the next request then builds once more.
        _entries[key] = (version, value)
        _entries.move_to_end(key)
        while len(_entries) > MAX_ENTRIES:
            _entries.popitem(last=False)
    return value


def organization_of(org_id: uuid.UUID, *, version: int) -> Organization:
    """The organisation as of this `config_version`; its `ticket_counter` is whatever it was then.

    Shared by the threads of a process, which read it only.
    """

    def load() -> Organization:
        org = Organization.objects.get(pk=org_id)
        # What else is cached goes by the version that was asked for, even where the row is newer already.
        org.config_version = version
        return org

    return per_version(org_id, version, "organization", load)


def clear() -> None:
    """Forgets everything (tests that roll back reuse versions)."""
    with _lock:
        _entries.clear()
