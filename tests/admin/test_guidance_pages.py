"""Guidance is in every prompt of its organisation, in order, from the moment it is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client

from agents import guidance
from agents.models import Guidance
from orgs.models import Organization, User
from tests.cast import Cast

ADD = "/admin/agents/guidance/add/"


def text(cast: Cast, house: str = "acme") -> str:
    return guidance.text_of(Organization.objects.get(pk=getattr(cast, house).org.pk))


def test_what_is_in_use_is_shown_in_order_below_the_organisation_s_own(cast: Cast) -> None:
    org = cast.acme.org
    Organization.objects.filter(pk=org.pk).update(guidance="We are Acme.")
    assert text(cast) == "We are Acme."
    for position, title in ((2, "Second"), (1, "First"), (0, "Off")):
        Guidance.objects.create(org=org, title=title, text=f"{title} text.", position=position, is_active=position > 0)
    assert text(cast) == "We are Acme.\n\n## First\nFirst text.\n\n## Second\nSecond text."
    Guidance.objects.filter(title="First").update(text="Changed.")
    assert "## First\nChanged." in text(cast)
    Guidance.objects.filter(title="Second").delete()
    assert "Second" not in text(cast)
    assert text(cast, "globex") == ""


def test_support_adds_guidance_up_to_a_limit_and_an_analyst_reads_it(cast: Cast, as_: Callable[[User], Client]) -> None:
    asked: dict[str, Any] = {"title": "Tone", "text": "Be kind.", "is_active": "on", "position": "0"}
    assert as_(cast.sue).post(ADD, asked).status_code == 302
    row = Guidance.objects.get()
    assert row.org == cast.acme.org and "Be kind." in text(cast)
    for number in range(4):
        Guidance.objects.create(org=cast.acme.org, title=str(number), text="x" * 4000)
    refused = as_(cast.sue).post(ADD, {**asked, "text": "x" * 4000})
    assert refused.status_code == 200 and b"3,992 characters are left" in refused.content
    assert as_(cast.sue).post(ADD, {**asked, "text": "x" * 4000, "is_active": ""}).status_code == 302
    assert as_(cast.ana).get(f"/admin/agents/guidance/{row.pk}/change/").status_code == 200
    assert as_(cast.ana).post(ADD, asked).status_code == 403
