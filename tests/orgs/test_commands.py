"""The commands that operators and scripts use."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from agents.models import Agent
from orgs.models import IdentitySecret, Membership, Organization, User, WidgetKey
from tests.cast import Cast


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_create_org_prints_one_line_that_names_everything_it_made() -> None:
    said = run("create_org", "Acme", "--verify-identity", "--backend", "extractive", "--json")
    assert said.count("\n") == 1
    made = json.loads(said)
    assert list(made) == ["org_id", "widget_key", "identity_secret", "agent_id"]
    org = Organization.objects.get(pk=made["org_id"])
    assert (org.name, org.slug, org.verify_identity, org.model_backend) == ("Acme", "acme", True, "extractive")
    key = WidgetKey.objects.get(org=org)
    assert (key.value, key.origins, key.is_active(now=timezone.now())) == (made["widget_key"], [], True)
    assert IdentitySecret.objects.get(org=org).secret == made["identity_secret"]
    agent = Agent.objects.get(pk=made["agent_id"])
    assert agent.is_default and agent.status == "active" and agent.current_version is not None


@pytest.mark.django_db
def test_create_org_for_people_says_the_same_and_a_bad_slug_is_a_sentence() -> None:
    said = run("create_org", "Acme")
    assert "ab_live_" in said and "ha_secret_" in said and "not shown again" in said
    with pytest.raises(CommandError, match="taken"):
        run("create_org", "Other", "--slug", "acme")
    with pytest.raises(CommandError, match="1 to 200"):
        run("create_org", " ")
    assert Organization.objects.count() == 1


def test_create_staff_prints_a_login_that_works(cast: Cast) -> None:
    for where in (cast.acme.org.slug, str(cast.acme.org.pk)):
        said = run("create_staff", "Bob@Acme.example", "--org", where, "--role", "support", "--json")
        assert said.count("\n") == 1
        made = json.loads(said)
        assert list(made) == ["email", "password"] and made["email"] == "bob@acme.example"
        assert User.objects.get(email=made["email"]).check_password(made["password"])
    assert Membership.objects.get(user__email="bob@acme.example").role == "support"
    assert "Password" in run("create_staff", "bob@acme.example", "--org", "acme", "--role", "owner")


def test_create_staff_refuses_what_makes_no_sense_in_a_sentence(cast: Cast) -> None:
    with pytest.raises(CommandError, match="no organisation"):
        run("create_staff", "bob@acme.example", "--org", "nowhere", "--role", "owner")
    with pytest.raises(CommandError, match="not an e-mail"):
        run("create_staff", "bob", "--org", "acme", "--role", "owner")
    with pytest.raises(CommandError, match="needs an owner"):
        run("create_staff", "omar@acme.example", "--org", "acme", "--role", "analyst")
