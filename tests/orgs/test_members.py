"""Members and accounts: who may make whom what."""

from __future__ import annotations

import pytest

from halo.errors import InvalidRequest
from orgs.members import (
    Forbidden,
    add_member,
    change_role,
    create_staff,
    invite_member,
    may_reset_password,
    remove_member,
)
from orgs.models import Membership, Team, User
from orgs.services import Conflict
from tests.cast import Cast


def of(user: User, cast: Cast) -> Membership:
    return Membership.objects.get(org=cast.acme.org, user=user)


def test_an_organisation_keeps_an_owner_and_one_of_two_may_go(cast: Cast) -> None:
    with pytest.raises(Conflict):
        change_role(membership=of(cast.omar, cast), role="admin", by=cast.omar)
    with pytest.raises(Conflict):
        remove_member(membership=of(cast.omar, cast), by=None)
    change_role(membership=of(cast.ada, cast), role="owner", by=cast.omar)
    User.objects.filter(pk=cast.ada.pk).update(is_active=False)
    with pytest.raises(Conflict):  # an owner who cannot log in is none
        remove_member(membership=of(cast.omar, cast), by=cast.omar)
    User.objects.filter(pk=cast.ada.pk).update(is_active=True)
    remove_member(membership=of(cast.omar, cast), by=cast.omar)
    assert Membership.objects.get(org=cast.acme.org, role="owner").user == cast.ada


def test_admins_manage_members_but_owners(cast: Cast) -> None:
    for role in ("admin", "analyst"):
        assert change_role(membership=of(cast.sue, cast), role=role, by=cast.ada).role == role
    for forbidden in (
        lambda: change_role(membership=of(cast.ada, cast), role="owner", by=cast.ada),
        lambda: change_role(membership=of(cast.omar, cast), role="analyst", by=cast.ada),
        lambda: remove_member(membership=of(cast.omar, cast), by=cast.ada),
        lambda: invite_member(org=cast.acme.org, email="o@acme.example", role="owner", by=cast.ada),
        lambda: invite_member(org=cast.globex.org, email="o@acme.example", role="analyst", by=cast.ada),
    ):
        with pytest.raises(Forbidden):
            forbidden()


def test_supporters_and_analysts_manage_nobody(cast: Cast) -> None:
    for by in (cast.sue, cast.ana, cast.gus):
        with pytest.raises(Forbidden):
            add_member(org=cast.acme.org, user=cast.gus, role="analyst", by=by)
    assert add_member(org=cast.acme.org, user=cast.gus, role="analyst", by=cast.root).role == "analyst"


def test_whoever_is_removed_leaves_the_teams_of_that_organisation_only(cast: Cast) -> None:
    acme = Team.objects.create(org=cast.acme.org, name="A")
    globex = Team.objects.create(org=cast.globex.org, name="G")
    for team in (acme, globex):
        team.members.add(cast.sue)
    remove_member(membership=of(cast.sue, cast), by=cast.omar)
    assert list(acme.members.all()) == [] and list(globex.members.all()) == [cast.sue]


def test_an_invitation_makes_an_account_without_a_password(cast: Cast) -> None:
    membership, is_new = invite_member(org=cast.acme.org, email=" New@Acme.example ", role="support", by=cast.ada)
    assert is_new and membership.user.email == "new@acme.example"
    assert not membership.user.has_usable_password()
    with pytest.raises(Conflict):
        invite_member(org=cast.acme.org, email="NEW@acme.example", role="support", by=cast.ada)
    with pytest.raises(InvalidRequest):
        invite_member(org=cast.acme.org, email="nonsense", role="support", by=cast.ada)
    with pytest.raises(InvalidRequest):
        invite_member(org=cast.acme.org, email="x@acme.example", role="king", by=cast.omar)


def test_an_account_made_elsewhere_comes_in_through_somebody_who_knows_it(cast: Cast) -> None:
    with pytest.raises(Conflict):
        invite_member(org=cast.acme.org, email="gus@globex.example", role="analyst", by=cast.omar)
    add_member(org=cast.globex.org, user=cast.omar, role="admin", by=None)
    omar = User.objects.get(pk=cast.omar.pk)
    _, is_new = invite_member(org=cast.acme.org, email="gus@globex.example", role="analyst", by=omar)
    assert not is_new


def test_nobody_hands_out_the_password_of_somebody_above_them_anywhere(cast: Cast) -> None:
    assert may_reset_password(by=cast.ada, user=cast.sue)
    assert not may_reset_password(by=cast.ada, user=cast.omar)
    assert not may_reset_password(by=cast.omar, user=cast.gus)
    assert not may_reset_password(by=cast.omar, user=cast.root)
    add_member(org=cast.acme.org, user=cast.root, role="analyst", by=None)
    assert not may_reset_password(by=cast.omar, user=cast.root)
    assert may_reset_password(by=cast.root, user=cast.omar)


def test_create_staff_makes_a_login_and_later_changes_role_and_password(cast: Cast) -> None:
    user, first = create_staff(email="Bob@Acme.example", org=cast.acme.org, role="support")
    assert user.email == "bob@acme.example" and user.check_password(first)
    again, second = create_staff(email="BOB@acme.example", org=cast.acme.org, role="admin")
    assert again == user and again.check_password(second) and not again.check_password(first)
    assert of(user, cast).role == "admin"
    create_staff(email="bob@acme.example", org=cast.globex.org, role="analyst")
    assert user.memberships.count() == 2
