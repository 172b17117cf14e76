"""Who may do what: one table, deny by default."""

from __future__ import annotations

import enum
import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from orgs.models import Membership, Organization, User

OWNER, ADMIN, SUPPORT, ANALYST = (
    Membership.Role.OWNER,
    Membership.Role.ADMIN,
    Membership.Role.SUPPORT,
    Membership.Role.ANALYST,
)


class Action(enum.Enum):
    """Something a person does in an organisation."""

    RUN_INSTALLATION = "make organisations and manage everybody's accounts"
    SEE_SETTINGS = "see the organisation's settings and members"
    CHANGE_SETTINGS = "change settings, verification, retention and budget"
    MANAGE_MEMBERS = "add, change and remove members"
    MANAGE_OWNERS = "add, change and remove owners"
    MANAGE_WIDGET_KEYS = "see and manage widget keys"
    MANAGE_SECRETS = "manage identity secrets, API keys and webhooks"
    BUILD = "edit and publish agents, knowledge, tools, routing and teams"
    SEE_BUILD = "see agents, knowledge, tools, routing and teams"
    READ_TRANSCRIPTS = "read transcripts, analytics, labels and traces"
    EXPORT = "export"
    WORK_INBOX = "take over, reply, and work on tickets"
    WRITE_NOTES = "write notes"
    SEE_PEOPLE = "see end users and companies"
    EDIT_PEOPLE = "edit end users and companies"
    ERASE = "erase and export a person"
    READ_AUDIT = "read the audit log"


# SECURITY: this table is the whole of it; an action that is missing here is refused.
MAY: dict[Action, frozenset[str]] = {
    Action.RUN_INSTALLATION: frozenset(),  # superusers only
    Action.SEE_SETTINGS: frozenset({OWNER, ADMIN}),
    Action.CHANGE_SETTINGS: frozenset({OWNER}),
    Action.MANAGE_MEMBERS: frozenset({OWNER, ADMIN}),
    Action.MANAGE_OWNERS: frozenset({OWNER}),
    Action.MANAGE_WIDGET_KEYS: frozenset({OWNER, ADMIN, SUPPORT}),
    Action.MANAGE_SECRETS: frozenset({OWNER, ADMIN}),
    Action.BUILD: frozenset({OWNER, ADMIN, SUPPORT}),
    Action.SEE_BUILD: frozenset({OWNER, ADMIN, SUPPORT, ANALYST}),
    Action.READ_TRANSCRIPTS: frozenset({OWNER, ADMIN, SUPPORT, ANALYST}),
    Action.EXPORT: frozenset({OWNER, ADMIN, ANALYST}),
    Action.WORK_INBOX: frozenset({OWNER, ADMIN, SUPPORT}),
    Action.WRITE_NOTES: frozenset({OWNER, ADMIN, SUPPORT, ANALYST}),
    Action.SEE_PEOPLE: frozenset({OWNER, ADMIN, SUPPORT, ANALYST}),
    Action.EDIT_PEOPLE: frozenset({OWNER, ADMIN, SUPPORT}),
    Action.ERASE: frozenset({OWNER, ADMIN}),
    Action.READ_AUDIT: frozenset({OWNER, ADMIN}),
}

_ROLES = "_roles_by_org"
Person = AbstractBaseUser | AnonymousUser


def may(user: Person, action: Action, org: Organization | uuid.UUID | None) -> bool:
    """Whether `user` may do `action` in `org`; superusers may do everything, also outside every organisation."""
    if not isinstance(user, User) or not user.is_active:
        return False
    if user.is_superuser:
        return True
    org_id = org.pk if isinstance(org, Organization) else org
    return org_id is not None and roles_of(user).get(org_id, "") in MAY.get(action, frozenset())


def may_somewhere(user: Person, action: Action) -> bool:
    """Whether there is an organisation in which `user` may do `action`."""
    if not isinstance(user, User) or not user.is_active:
        return False
    return user.is_superuser or any(role in MAY.get(action, frozenset()) for role in roles_of(user).values())


def orgs_of(user: Person, action: Action | None = None) -> QuerySet[Organization]:
    """The organisations that `user` belongs to, or those in which they may do `action`; all of them for superusers."""
    if not isinstance(user, User) or not user.is_active:
        return Organization.objects.none()
    if user.is_superuser:
        return Organization.objects.all()
    return Organization.objects.filter(pk__in=org_ids(user, action))


def org_ids(user: User, action: Action | None = None) -> list[uuid.UUID]:
    """Ids of the organisations where `user`, as a member, may do `action` (None: of all memberships)."""
    return [org for org, role in roles_of(user).items() if action is None or role in MAY.get(action, frozenset())]


def roles_of(user: User) -> dict[uuid.UUID, str]:
    """Role by organisation: one query, kept on the user object, which lives as long as the request."""
    known: dict[uuid.UUID, str] | None = user.__dict__.get(_ROLES)
    if known is None:
        known = dict(Membership.objects.filter(user=user).values_list("org_id", "role"))
        user.__dict__[_ROLES] = known
    return known
