"""Who belongs to an organisation, as what; an organisation that has an owner always keeps one."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from halo.errors import HaloError, InvalidRequest
from orgs import audit
from orgs.models import Membership, Organization, Team, User
from orgs.permissions import Action, may, org_ids
from orgs.services import Conflict, lock_org

OWNER = Membership.Role.OWNER
ACCOUNT = ("email", "name", "is_active", "is_superuser")


class Forbidden(HaloError):
    """403: the person's role does not allow it."""

    status = 403

    def __init__(self, message: str) -> None:
        super().__init__("forbidden", message)


@transaction.atomic
def add_member(*, org: Organization, user: User, role: str, by: User | None) -> Membership:
    """Raises Conflict where `user` is a member already, Forbidden where `by` may not give that role."""
    _check_may_manage(by, org, role)
    lock_org(org)
    if Membership.objects.for_org(org).filter(user=user).exists():
        raise Conflict(f"{user.email} is a member already.")
    membership = Membership(org=org, user=user, role=_known(role))
    membership.save(force_insert=True)
    audit.record(org=org, actor=by, action="member.added", target=user, after={"role": membership.role})
    return membership


@transaction.atomic
def invite_member(
    *, org: Organization, email: str, role: str, name: str = "", by: User | None
) -> tuple[Membership, bool]:
    """The membership, and whether its account was made just now (then it has no password yet)."""
    _check_may_manage(by, org, role)
    email = _clean_email(email)
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        user = User.objects.create_user(email, None, name=name)
        return add_member(org=org, user=user, role=role, by=by), True
    # SECURITY: whoever made the account elsewhere may hold its password, as nothing here proved whose address it is.
    # Only an operator, or somebody who knows the account from an organisation of theirs, may let it in.
    if by is not None and not by.is_superuser and not _known_to(by, user):
        raise Conflict(f"{email} has an account outside your organisations. Ask an operator of Halo to add it.")
    return add_member(org=org, user=user, role=role, by=by), False


@transaction.atomic
def change_role(*, membership: Membership, role: str, by: User | None) -> Membership:
    """Raises Conflict where the last owner would be lost, Forbidden where `by` may not touch either role."""
    lock_org(membership.org_id)
    stored = Membership.objects.for_org(membership.org_id).select_related("user").get(pk=membership.pk)
    _check_may_manage(by, stored.org, stored.role, role)
    if stored.role == role:
        return stored
    if stored.role == OWNER:
        _check_another_owner(stored)
    before, stored.role = stored.role, _known(role)
    stored.save(update_fields=["role"])
    audit.record(
        org=stored.org_id,
        actor=by,
        action="member.role_changed",
        target=stored.user,
        before={"role": before},
        after={"role": stored.role},
    )
    return stored


@transaction.atomic
def remove_member(*, membership: Membership, by: User | None) -> None:
    """Ends the membership and leaves the organisation's teams; the account and what it did stay."""
    lock_org(membership.org_id)
    stored = Membership.objects.for_org(membership.org_id).select_related("user").get(pk=membership.pk)
    _check_may_manage(by, stored.org, stored.role)
    if stored.role == OWNER:
        _check_another_owner(stored)
    for team in Team.objects.for_org(stored.org_id).filter(members=stored.user):
        team.members.remove(stored.user)
    stored.delete()
    audit.record(
        org=membership.org_id, actor=by, action="member.removed", target=stored.user, before={"role": stored.role}
    )


def may_reset_password(*, by: User, user: User) -> bool:
    """Whether `by` may hand out a link that sets `user`'s password."""
    if by.is_superuser:
        return True
    # SECURITY: a password opens everything its account may do, so `by` must be above it in all its organisations.
    memberships = list(Membership.objects.filter(user=user).select_related("org"))
    return (
        user.is_active
        and not user.is_superuser
        and bool(memberships)
        and all(may(by, _needed(membership.role), membership.org) for membership in memberships)
    )


@transaction.atomic
def create_staff(*, email: str, org: Organization, role: str) -> tuple[User, str]:
    """For the command line: the account with this e-mail, a member with this role, and its new password."""
    email = _clean_email(email)
    password = secrets.token_urlsafe(15)
    user = User.objects.filter(email__iexact=email).first() or User.objects.create_user(email)
    user.set_password(password)
    user.is_staff = user.is_active = True
    user.save(update_fields=["password", "is_staff", "is_active"])
    audit.record(org=org, actor=None, action="member.password_set", target=user)
    membership = Membership.objects.for_org(org).filter(user=user).first()
    if membership:
        change_role(membership=membership, role=role, by=None)
    else:
        add_member(org=org, user=user, role=role, by=None)
    return user, password


@transaction.atomic
def save_account(*, user: User, names: Iterable[str], by: User) -> User:
    """Stores a new account, or the named columns of one; raises Conflict where `by` would lock themselves out."""
    names = [name for name in names if name in ACCOUNT]
    if user == by and not (user.is_active and user.is_superuser):
        raise Conflict("You cannot deactivate your own account, nor stop being a superuser. Ask another one.")
    if user._state.adding:
        user.email = _clean_email(user.email)
        user.set_unusable_password()
        user.save(force_insert=True)
        audit.record(org=None, actor=by, action="account.added", target=user, after=audit.state(user, ACCOUNT))
    elif names:
        before = audit.state(User.objects.get(pk=user.pk), names)
        user.email = _clean_email(user.email)
        user.save(update_fields=names)
        was, now_is = audit.changes(before, audit.state(user, names))
        audit.record(org=None, actor=by, action="account.changed", target=user, before=was, after=now_is)
    return user


def _known_to(by: User, user: User) -> bool:
    mine = org_ids(by, Action.MANAGE_MEMBERS)
    return Membership.objects.filter(user=user, org_id__in=mine).exists()


def _check_may_manage(by: User | None, org: Organization, *roles: str) -> None:
    if by is None:  # the command line
        return
    for role in roles:
        if not may(by, _needed(role), org):
            raise Forbidden(
                "Only an owner may add, change or remove owners."
                if role == OWNER and may(by, Action.MANAGE_MEMBERS, org)
                else "Your role does not allow you to manage members."
            )


def _needed(role: str) -> Action:
    return Action.MANAGE_OWNERS if role == OWNER else Action.MANAGE_MEMBERS


def _check_another_owner(membership: Membership) -> None:
    owners = Membership.objects.for_org(membership.org_id).filter(role=OWNER, user__is_active=True)
    if not owners.exclude(pk=membership.pk).exists():
        raise Conflict("An organisation needs an owner: make somebody else an owner first.")


def _known(role: str) -> str:
    if role not in Membership.Role.values:
        raise InvalidRequest(f"A role is one of {', '.join(Membership.Role.values)}.", field="role")
    return role


def _clean_email(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise InvalidRequest(f"“{email}” is not an e-mail address.", field="email") from None
    return email
