"""`GET /config`: what everybody may know of an agent, and nothing else."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from agents.appearance import readable_on
from agents.models import Agent
from agents.services import change_agent, set_status
from orgs.models import Organization
from tests.cast import Cast


def ask(client: Client, org_id: object, **headers: str) -> Any:
    return client.get(f"/api/sdk/config?org_id={org_id}", headers=headers)


def test_the_active_agent_introduces_itself_without_a_key(client: Client, cast: Cast) -> None:
    agent = cast.acme.agent
    agent.greeting, agent.suggested_messages, agent.primary_colour = "Hi!", ["Where is my order?"], "#ffd000"
    change_agent(agent=agent, names=["greeting", "suggested_messages", "primary_colour"], by=None)

    answer = ask(client, cast.acme.org.pk)

    assert answer.status_code == 200 and answer["Access-Control-Allow-Origin"] == "*"
    assert answer.json() == {
        "agent": {
            "id": str(agent.pk),
            "status": "active",
            "name": "Acme assistant",
            "skills": ["highlight", "navigate", "create_ticket", "escalate"],
            "avatar_config": {"text": "A"},
            "voice_config": {"voice": "", "language": ""},
            "style": {
                "theme": "auto",
                "position": "right",
                "primary_color": "#ffd000",
                "on_primary_color": "#000000",
                "dark_primary_color": "#8fabff",
                "dark_on_primary_color": "#000000",
            },
            "greeting": "Hi!",
            "suggested_messages": ["Where is my order?"],
            "live_help_label": "Talk to a person",
        },
        "organization": {"name": "Acme", "settings": {"verify_identity": False}},
    }


def test_nothing_that_is_nobodys_business_is_in_it_and_no_draft_either(client: Client, cast: Cast) -> None:
    agent = cast.acme.agent
    agent.instructions, agent.model, agent.base_url, agent.api_key = (
        "SECRET-1",
        "SECRET-2",
        "https://SECRET-3",
        "SECRET-4",
    )
    agent.escalation_phrases, agent.escalation_threshold = "SECRET-5", 0.123
    agent.save()
    change_agent(agent=agent, names=["instructions", "model", "escalation_phrases", "escalation_threshold"], by=None)
    Organization.objects.update(guidance="SECRET-6", model_api_key="SECRET-7", model_name="SECRET-8")
    Agent.objects.filter(pk=agent.pk).update(greeting="DRAFT")

    text = ask(client, cast.acme.org.pk).content.decode()

    assert "SECRET" not in text and "0.123" not in text and "DRAFT" not in text


def test_a_client_that_knows_it_already_is_told_so_until_something_is_published(client: Client, cast: Cast) -> None:
    first = ask(client, cast.acme.org.pk)
    assert first["Cache-Control"] == "public, max-age=60"

    for tag in (first["ETag"], f"W/{first['ETag']}", f'"other", {first["ETag"]}', "*"):
        again = ask(client, cast.acme.org.pk, **{"If-None-Match": tag})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])

    cast.acme.agent.greeting = "New"
    change_agent(agent=cast.acme.agent, names=["greeting"], by=None)
    assert ask(client, cast.acme.org.pk, **{"If-None-Match": first["ETag"]}).json()["agent"]["greeting"] == "New"


def test_an_organisation_that_is_unknown_or_has_no_active_agent_is_not_found(client: Client, cast: Cast) -> None:
    assert ask(client, uuid.uuid4()).status_code == 404
    set_status(agent=cast.globex.agent, status="paused", by=None)
    assert ask(client, cast.globex.org.pk).status_code == 404
    for bad in ("", "acme", "%00", "1"):
        refused = ask(client, bad)
        assert (refused.status_code, refused.json()["field"]) == (400, "org_id")


def test_it_is_limited_by_address(client: Client, cast: Cast, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "key=1"
    answers = [client.get(f"/api/sdk/config?org_id={cast.acme.org.pk}", REMOTE_ADDR="192.0.2.77") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert client.get(f"/api/sdk/config?org_id={cast.acme.org.pk}", REMOTE_ADDR="192.0.2.78").status_code == 200


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#777777", "#ff0000", "#00ff00", "#2f5bea", "#8fabff"])
def test_what_is_written_on_a_colour_can_be_read(colour: str) -> None:
    def luminance(text: str) -> float:
        parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted([luminance(colour), luminance(readable_on(colour))], reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_every_body_is_the_same_json_however_often_it_is_asked(client: Client, cast: Cast) -> None:
    bodies = {json.dumps(ask(client, cast.acme.org.pk).json()) for _ in range(3)}
    assert len(bodies) == 1
