"""Views of transcripts that people keep under a name, for themselves or for everybody who reads transcripts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Lower

from conversations.models import SavedView
from conversations.transcripts.filters import Filters
from halo.api.strict_json import storable
from halo.errors import HaloError, InvalidRequest, NotFound
from orgs import audit
from orgs.models import Organization, User

LONGEST_NAME, LONGEST_QUERY = 80, 2000
MOST_SHOWN = 100


class NameTaken(HaloError):
    """409: the person has a view of that name."""

    status = 409

    def __init__(self) -> None:
        super().__init__("conflict", "You have a view of that name already: choose another, or delete it first.")


@dataclass(frozen=True, slots=True)
class Views:
    """What a person is offered: their own views, and those that others share."""

    own: list[SavedView]
    shared: list[SavedView]


def views_for(*, org: Organization, person: User) -> Views:
    """The views in `org` that this person may open."""
    # SECURITY: what is somebody's own is seen by nobody else.
    visible = SavedView.objects.for_org(org).filter(Q(owner=person) | Q(is_shared=True))
    rows = list(visible.select_related("owner").order_by(Lower("name"), "pk")[:MOST_SHOWN])
    own = [row for row in rows if row.owner_id == person.pk]
    return Views(own=own, shared=[row for row in rows if row.owner_id != person.pk])


def save_view(*, filters: Filters, name: str, is_shared: bool, by: User) -> SavedView:
    """Keeps what is asked for under a name; raises NameTaken and InvalidRequest."""
    name = " ".join(storable(name).split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidRequest(f"The name of a view is 1 to {LONGEST_NAME} characters.", field="name")
    if filters.is_empty:
        raise InvalidRequest("Search or filter first: a view keeps what you looked for.", field="name")
    view = SavedView(org=filters.org, owner=by, name=name, query=filters.query, is_shared=is_shared)
    if len(view.query) > LONGEST_QUERY:
        raise InvalidRequest("That is too long to be kept.", field="name")
    try:
        with transaction.atomic():
            view.save(force_insert=True)
            # SECURITY: the audit outlives transcripts, and a search may name a person; it keeps the name of the view.
            told = {"shared": "yes" if is_shared else ""}
            audit.record(org=view.org_id, actor=by, action="view.saved", target=view, after=told)
    except IntegrityError as error:
        raise NameTaken from error
    return view


@transaction.atomic
def delete_view(*, org: Organization, view_id: uuid.UUID, by: User) -> str:
    """Removes a view of `by`'s own and returns its name; raises NotFound."""
    # SECURITY: others' views look as if they were not there, shared ones too.
    view = SavedView.objects.for_org(org).filter(owner=by, pk=view_id).first()
    if view is None:
        raise NotFound("There is no such view of yours.")
    audit.record(org=org, actor=by, action="view.deleted", target=view)
    view.delete()
    return str(view.name)
