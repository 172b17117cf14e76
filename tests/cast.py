"""The people and organisations of the tests: Acme, and Globex, whose gus is the stranger in every test database."""

from __future__ import annotations

from dataclasses import dataclass

from agents.models import Agent
from agents.services import create_agent, make_default
from orgs.members import add_member
from orgs.models import IdentitySecret, Organization, User, WidgetKey
from orgs.services import create_identity_secret, create_organization, create_widget_key

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class House:
    """An organisation with what it needs to answer."""

    org: Organization
    agent: Agent
    key: WidgetKey
    secret: IdentitySecret
    secret_plain: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Acme's four roles, Globex's owner, and a superuser who belongs to neither."""

    acme: House
    globex: House
    omar: User  # Acme's owner
    ada: User  # Acme's admin
    sue: User  # Acme's support
    ana: User  # Acme's analyst
    gus: User  # Globex's owner: the stranger
    root: User


def build_cast() -> Cast:
    """Everybody, in an empty database."""
    acme, globex = _house("Acme"), _house("Globex")
    return Cast(
        acme=acme,
        globex=globex,
        omar=_person("omar@acme.example", "Omar", acme, "owner"),
        ada=_person("ada@acme.example", "Ada", acme, "admin"),
        sue=_person("sue@acme.example", "Sue", acme, "support"),
        ana=_person("ana@acme.example", "Ana", acme, "analyst"),
        gus=_person("gus@globex.example", "Gus", globex, "owner"),
        root=User.objects.create_superuser("root@halo.example", PASSWORD, name="Root"),
    )


def _house(name: str) -> House:
    org = create_organization(name=name)
    secret, plain = create_identity_secret(org=org, label="Server", by=None)
    return House(
        org=org,
        agent=make_default(agent=create_agent(org=org, name=f"{name} assistant", by=None), by=None),
        key=create_widget_key(org=org, label=f"{name} website", by=None),
        secret=secret,
        secret_plain=plain,
    )


def _person(email: str, name: str, house: House, role: str) -> User:
    user = User.objects.create_user(email, PASSWORD, name=name)
    add_member(org=house.org, user=user, role=role, by=None)
    return user
