"""Erasing a person: asked for by a teammate, done by a worker, proved by a receipt that holds nothing of the person."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable

import structlog
from django.db import IntegrityError, transaction
from django.http import QueryDict
from django.utils import timezone
from django.utils.crypto import salted_hmac

from conversations import bell
from conversations.forgetting import SESSIONS, forget_events, forget_sessions
from conversations.models import Erasure, SavedView, Ticket
from orgs import audit
from orgs.models import Organization, User
from orgs.services import Conflict
from sessions.models import ChatSession, EndUser, Event

# Shorter ones would be found in words that mean nobody.
SHORTEST_NAME = 3

log = structlog.get_logger(__name__)


def request_erasure(*, person: EndUser, by: User | None) -> Erasure:
    """Has `person` erased with everything of theirs; raises Conflict where that is under way already."""
    try:
        with transaction.atomic():
            made: Erasure = Erasure.objects.create(
                org_id=person.org_id,
                end_user=person,
                proofs=proofs(org=person.org_id, words=(person.external_id, person.email)),
                requested_by=by,
            )
            audit.record(org=person.org_id, actor=by, action="person.erasure_requested", target=made)
            transaction.on_commit(lambda: bell.ring_erasure(made.pk))
    except IntegrityError as error:
        raise Conflict("This person is being erased already.") from error
    return made


def carry_out(erasure_id: uuid.UUID) -> None:
    """Erases the person, in steps that may be broken off and taken up again; done already: nothing happens."""
    asked = Erasure.objects.select_related("org").filter(pk=erasure_id, finished_at=None).first()
    while asked is not None and not _finish(asked):
        # SECURITY: of nobody would be of everybody who has no name.
        assert asked.end_user is not None
        sessions = _sessions_of(asked)
        removed = forget_sessions(org=asked.org, sessions=sessions) if sessions else Counter[str]()
        removed["events"] += forget_events(Event.objects.for_org(asked.org).filter(end_user=asked.end_user))
        # What is done is noted as it is done: a worker that dies loses no count.
        asked.removed = dict(Counter(asked.removed) + removed)
        asked.save(update_fields=["removed"])


def carry_out_rest() -> None:
    """What was asked for and not done, because a bell was lost or a worker died."""
    for pk in Erasure.objects.filter(finished_at=None).order_by("requested_at").values_list("pk", flat=True)[:100]:
        carry_out(pk)


def proofs(*, org: Organization | uuid.UUID, words: Iterable[str]) -> list[str]:
    """Hashes of a person's id and e-mail address, by which their receipt is found again."""
    # SECURITY: keyed, as ids and addresses can be guessed; another organisation's are other hashes.
    org_id = org.pk if isinstance(org, Organization) else org
    kept = sorted({word.strip().lower() for word in words if word.strip()})
    return [salted_hmac("halo.erasure", f"{org_id}:{word}", algorithm="sha256").hexdigest() for word in kept]


def _sessions_of(asked: Erasure) -> list[uuid.UUID]:
    theirs = ChatSession.objects.for_org(asked.org).filter(end_user=asked.end_user).order_by("pk")
    return list(theirs.values_list("pk", flat=True)[:SESSIONS])


def _forget_views(person: EndUser) -> int:
    """Deletes saved searches that name the person, and says how many."""
    known = (str(person.pk), person.external_id, person.email, person.name)
    names = [name.casefold() for name in known if len(name) >= SHORTEST_NAME]
    naming = []
    for pk, name, query in SavedView.objects.for_org(person.org_id).values_list("pk", "name", "query"):
        asked = QueryDict(query)
        said = " ".join((name, asked.get("q", ""), asked.get("person", ""))).casefold()
        if any(one in said for one in names):
            naming.append(pk)
    SavedView.objects.for_org(person.org_id).filter(pk__in=naming).delete()
    return len(naming)


@transaction.atomic
def _finish(asked: Erasure) -> bool:
    """Deletes the person and writes the receipt, if nothing else is left of them; True where there is nothing to do."""
    found = EndUser.objects.for_org(asked.org).select_for_update()
    person = found.filter(pk=asked.end_user_id).first() if asked.end_user_id else None
    # The lock keeps a message that they send now waiting: it will be that of somebody whom nobody knows.
    if person is not None and (
        ChatSession.objects.for_org(asked.org).filter(end_user=person).exists()
        or Event.objects.for_org(asked.org).filter(end_user=person).exists()
    ):
        return False
    stored = Erasure.objects.select_for_update().get(pk=asked.pk)
    if stored.finished_at is not None:
        return True
    removed = Counter(asked.removed)
    if person is not None:
        removed["tickets"] += (
            Ticket.objects.for_org(asked.org).filter(requester=person).delete()[1].get(Ticket._meta.label, 0)
        )
        removed["people"] += 1
        removed["views"] += _forget_views(person)
    stored.end_user, stored.finished_at = None, timezone.now()
    stored.removed = {what: count for what, count in removed.items() if count}
    stored.save(update_fields=["end_user", "finished_at", "removed"])
    if person is not None:
        person.delete()
    audit.record(
        org=stored.org_id, actor=stored.requested_by, action="person.erased", target=stored, after=stored.removed
    )
    return True
