"""Making and changing end users and companies, as the customer's site and servers say; safe against twins.

Rows are locked while they are merged, so that two requests at once lose nothing of each other. Whoever locks several
does it in the order end user, company, session, and users by their own ids.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from orgs.models import Organization
from sessions import profile, traits
from sessions.identity import Identity
from sessions.models import Company, EndUser
from sessions.traits import Said

BATCH = 200


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a batch did."""

    created: int
    updated: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Row:
    """One user of a batch."""

    user_id: str
    said: Said


def see_user(*, org: Organization, identity: Identity, now: dt.datetime, said: Said = traits.NOTHING) -> EndUser:
    """The named user, locked, made where new; `last_seen`, what is said and verified claims are written.

    Claims win over what is said. Inside a transaction.
    """
    users = EndUser.objects.for_org(org).select_related("company").select_for_update(of=("self",), no_key=True)
    user: EndUser | None = users.filter(external_id=identity.user_id).first()
    if user is None:
        _make(EndUser(org=org, external_id=identity.user_id, first_seen=now, last_seen=now))
        user = users.get(external_id=identity.user_id)
    user.last_seen = now
    changed = [*traits.apply(user, said), *profile.apply_claims(user, identity.claims)]
    user.save(update_fields=list(dict.fromkeys(["last_seen", "updated_at", *changed])))
    return user


def link_company(user: EndUser, company: Company) -> None:
    """Makes the locked `user` one of the company's."""
    if user.company_id != company.pk:
        user.company = company
        user.save(update_fields=["company", "updated_at"])


def find_company(*, org: Organization, external_id: str, now: dt.datetime) -> Company:
    """The company of this id, locked, made where new. Inside a transaction."""
    companies = Company.objects.for_org(org).select_for_update(of=("self",), no_key=True)
    company: Company | None = companies.filter(external_id=external_id).first()
    if company is None:
        _make(Company(org=org, external_id=external_id, created_at=now))
        company = companies.get(external_id=external_id)
    return company


def change_company(company: Company, said: Said) -> None:
    """Merges what is said into the locked `company`."""
    changed = traits.apply(company, said)
    if changed:
        company.save(update_fields=[*changed, "updated_at"])


@transaction.atomic
def write_users(*, org: Organization, rows: Iterable[Row], update_only: bool, now: dt.datetime) -> Backfill:
    """Users as the customer's own records have them; when one was seen is left alone where it exists."""
    wanted: dict[str, list[Said]] = {}
    for row in rows:
        wanted.setdefault(row.user_id, []).append(row.said)
    # In one order everywhere, so that two batches wait for each other instead of both failing.
    users = EndUser.objects.for_org(org).filter(external_id__in=wanted).order_by("external_id")
    locked = users.select_for_update(no_key=True)
    there = {user.external_id: user for user in locked}
    missing = [key for key in wanted if key not in there]
    made: set[str] = set()
    if missing and not update_only:
        fresh = [EndUser(org=org, external_id=key, first_seen=now, last_seen=now) for key in sorted(missing)]
        EndUser.objects.bulk_create(fresh, ignore_conflicts=True)
        own = {user.pk for user in fresh}
        there = {user.external_id: user for user in locked.all()}
        # Those that somebody else made in this very moment exist already.
        made = {user.external_id for user in there.values() if user.pk in own}
    changed: dict[str, list[EndUser]] = {}
    for key, user in there.items():
        names: set[str] = set()
        for said in wanted[key]:
            names |= {*traits.apply(user, said)}
        if names:
            user.updated_at = now
            changed.setdefault(",".join(sorted(names)), []).append(user)
    for columns, those in changed.items():
        EndUser.objects.bulk_update(those, [*columns.split(","), "updated_at"], batch_size=BATCH)
    return Backfill(created=len(made), updated=len(there) - len(made), skipped=len(wanted) - len(there))


def _make(row: EndUser | Company) -> None:
    """Inserts `row` unless a twin was first: the unique constraint decides, without an error."""
    manager: Any = type(row).objects
    manager.bulk_create([row], ignore_conflicts=True)
