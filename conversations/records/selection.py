"""Which conversations are taken away, as an address or a command says it: by what transcripts are found by."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from conversations.models import Conversation
from conversations.transcripts import search
from conversations.transcripts.filters import Filters, read_filters
from conversations.transcripts.words import Wanted, parse
from halo.errors import InvalidRequest
from orgs.models import Organization

# SECURITY: the audit outlives transcripts, and these may name a person; it is told that there were any.
UNTOLD = ("person", "company")


@dataclass(frozen=True, slots=True)
class Selection:
    """One organisation's conversations that fit what was asked for when this was made."""

    filters: Filters
    wanted: Wanted
    fitting: QuerySet[Conversation]
    is_open: bool

    @property
    def org(self) -> Organization:
        return self.filters.org

    def conversations(self) -> QuerySet[Conversation]:
        """Those that fit, in no order; where the selection is open, `having` says which of them have the words."""
        return self.fitting

    def having(self, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """Those of these conversations that are chosen after all."""
        return search.having(self.filters, self.wanted, ids) if self.is_open else set(ids)

    def described(self) -> dict[str, Any]:
        """The choice as the audit keeps it."""
        told = {one.name: "yes" if one.name in UNTOLD else one.value for one in self.filters.chosen}
        return {**told, "words": "yes"} if self.filters.text else told


def read_selection(org: Organization, asked: Mapping[str, Any]) -> Selection:
    """The selection that an address asks for; raises InvalidRequest, or NotFound for what is another's.

    A filter that makes no sense is refused, where a page leaves it out: nobody looks at a file and sees that it holds
    too much.
    """
    filters = read_filters(org, asked)
    values = {one.name: one.value for one in filters.chosen}
    for field in filters.fields:
        if str(asked.get(field.name, "")).strip() and field.name not in values:
            raise InvalidRequest(_means_nothing(field.kind, field.title), field=field.name)
    if values.get("since", "") > values.get("until", "9999"):
        raise InvalidRequest("The first day is after the last one.", field="since")
    wanted = parse(filters.text)
    fitting, is_open = search.narrow(filters, wanted)
    return Selection(filters=filters, wanted=wanted, fitting=fitting, is_open=is_open)


def _means_nothing(kind: str, title: str) -> str:
    return "A day is written as 2026-11-27." if kind == "date" else f"“{title}” has no such value."
