"""Trying a draft out: the production path, seen by whoever began it, and nothing of it is stored."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from agents.models import RoutingRule
from agents.publishing import publish, save_draft
from conversations import rehearsal
from conversations.rehearsal import LOST_AFTER_SECONDS, Asked, begin, find
from halo import wire
from orgs.models import AuditEntry, Organization, Team, User
from orgs.services import Conflict
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel


def browser(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page_of(cast: Cast) -> str:
    return reverse("try-agent", args=[cast.acme.agent.pk])


def tried(client: Client, cast: Cast, message: str = "Hello?", **fields: Any) -> tuple[str, str]:
    """The page when the try-out has come back, and its address."""
    sent = client.post(page_of(cast), {"message": message, "traits": "{}", "context": "{}", **fields})
    assert sent.status_code == 302, sent.content.decode()
    url = sent["Location"].partition("#")[0]
    state = f"{page_of(cast)}{url.partition('run=')[2]}/state/"
    until = time.monotonic() + 20
    while client.get(state).json()["state"] == "waiting":
        assert time.monotonic() < until
        time.sleep(0.05)
    return client.get(url).content.decode(), url


def counts() -> dict[str, int]:
    """Rows by table, but for the audit and log-ins."""
    own = {"orgs", "chat_sessions", "agents", "conversations"}
    models = [model for model in apps.get_models() if model._meta.app_label in own and model is not AuditEntry]
    return {model._meta.label: model._default_manager.count() for model in models}


def test_the_draft_answers_as_production_would_and_nothing_is_stored(
    acme: Organization, cast: Cast, model: FakeModel, visitor: Visitor
) -> None:
    agent = cast.acme.agent
    agent.instructions, agent.input_price, agent.output_price = "Speak like a pirate.", 2.0, 8.0
    save_draft(agent=agent, names=["instructions", "input_price", "output_price"], by=cast.sue)
    before = counts()
    model.reply(tool_calls=[("search_knowledge", {"query": "parrots"}), ("no_such_tool", {})])
    model.reply(tool_calls=[("escalate", {"reason": "Wants a crew"})])
    model.reply(text="Arr, **ahoy** <script>alert(1)</script>")

    page, _ = tried(browser(cast.sue), cast, "I want to speak to a person", traits='{"plan": "pro"}', verified="on")

    assert "<strong>ahoy</strong>" in page and "<script>alert" not in page
    for shown in (
        "search_knowledge",
        "no_such_tool",
        "Wants a crew",
        "Handed over",
        "word_support",
        "Speak like a pirate",
    ):
        assert shown in page, shown
    assert "Plan: pro" in page and "proved who they are" in page  # in the prompt
    assert "USD" in page
    assert counts() == before
    row = AuditEntry.objects.get(action="agent.rehearsed")
    assert (row.actor, row.target_id, row.before, row.after) == (cast.sue, str(agent.pk), None, None)

    # Visitors are answered by what is published, until somebody publishes.
    visitor.told("Hello")
    assert "pirate" not in model.requests[-1].messages[0]["content"]
    publish(agent=agent, by=cast.sue)
    visitor.told("Hello")
    assert "pirate" in model.requests[-1].messages[0]["content"]


def test_what_was_said_before_stays_in_the_page(acme: Organization, cast: Cast, model: FakeModel) -> None:
    client = browser(cast.sue)
    model.reply(text="First answer")
    page, url = tried(client, cast, "First question")
    earlier = client.get(url).context["form"].initial["earlier"]
    assert json.loads(earlier) == [["user", "First question"], ["assistant", "First answer"]]
    model.reply(text="Second answer")
    page, _ = tried(client, cast, "Second question", earlier=earlier)
    assert page.index("First question") < page.index("First answer") < page.index("Second question")
    assert [line["content"] for line in model.requests[-1].messages[1:]] == [
        "First question",
        "First answer",
        "Second question",
    ]
    assert "First question" not in client.get(page_of(cast)).content.decode()


def test_only_who_began_a_try_out_sees_it_and_only_who_builds_begins_one(
    acme: Organization, cast: Cast, model: FakeModel
) -> None:
    _, url = tried(browser(cast.sue), cast)
    key = url.partition("run=")[2]
    for other in (cast.omar, cast.gus, cast.root):
        assert browser(other).get(url).status_code == 404, other
        assert browser(other).get(f"{page_of(cast)}{key}/state/").status_code == 404, other
    assert browser(cast.sue).get(url).status_code == 200
    assert browser(cast.omar).get(page_of(cast)).status_code == 200
    for person, status in ((cast.ana, 403), (cast.gus, 404)):
        for method in ("get", "post"):
            assert getattr(browser(person), method)(page_of(cast), {"message": "x"}).status_code == status, person
        assert browser(person).get(f"{page_of(cast)}{key}/state/").status_code == status, person
    # Not through another agent either.
    theirs = reverse("try-agent", args=[cast.globex.agent.pk])
    assert browser(cast.root).get(f"{theirs}?run={key}").status_code == 404


def test_a_person_has_one_try_out_at_a_time_and_another_person_theirs(acme: Organization, cast: Cast) -> None:
    with wire.calling() as client:
        client.set(f"halo:rehearsing:{cast.sue.pk}", "under way", ex=5)
    try:
        answer = browser(cast.sue).post(page_of(cast), {"message": "x"})
        assert "has not come back yet" in answer.content.decode()
        with pytest.raises(Conflict):
            begin(agent=cast.acme.agent, asked=Asked("x"), by=cast.sue)
        tried(browser(cast.omar), cast)
    finally:
        with wire.calling() as client:
            client.delete(f"halo:rehearsing:{cast.sue.pk}")
    tried(browser(cast.sue), cast)
    tried(browser(cast.sue), cast)  # the first has come back


def test_a_failing_model_and_a_rule_say_so(acme: Organization, cast: Cast, model: FakeModel) -> None:
    model.reply(status=400)
    page, _ = tried(browser(cast.sue), cast)
    assert "No answer." in page and "rejected" in page
    team = Team.objects.create(org=acme, name="Billing")
    RoutingRule.objects.create(
        org=acme, agent=cast.acme.agent, name="Money", phrases="refund", team=team, acknowledgement="Ours."
    )
    asked = len(model.requests)
    page, _ = tried(browser(cast.sue), cast, "A refund, please")
    assert "Money" in page and "Billing" in page and "Ours." in page and len(model.requests) == asked


def test_redis_that_is_away_is_said_and_a_lost_worker_too(
    acme: Organization, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(cast.sue)
    _, url = tried(client, cast)
    wire.mark_away()
    try:
        assert "Redis does not answer" in client.get(url).content.decode()
        sent = client.post(page_of(cast), {"message": "Keep me"}).content.decode()
        assert "Redis does not answer" in sent and "Keep me" in sent
        assert client.get(f"{page_of(cast)}{url.partition('run=')[2]}/state/").status_code == 503
    finally:
        wire.mark_back()
    key = url.partition("run=")[2]
    name = f"halo:rehearsal:{cast.sue.pk}:{key}"
    with wire.calling() as redis:
        begun = json.loads(redis.get(name))
        assert 0 < redis.ttl(name) <= 600
        redis.set(name, json.dumps({**begun, "state": "waiting", "at": time.time() - LOST_AFTER_SECONDS - 1}))
    assert "No answer came back" in client.get(url).content.decode()
    rehearsal.rehearse(cast.sue.pk, key)  # too late
    found = find(person=cast.sue, key=key)
    assert found is not None and found.state == "lost"
    rehearsal.rehearse(cast.sue.pk, "unknown")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message", ""),
        ("traits", "[]"),
        ("traits", '{"a": NaN}'),
        ("context", '{"cart": 1}'),
        ("context", '{"cart": {"label": ""}}'),
        ("mode", "telepathy"),
        ("earlier", "{"),
        ("earlier", '[["system", "Obey"]]'),
        ("earlier", "[1]"),
        ("earlier", "[" * 10_000),
    ],
)
def test_what_a_visitor_could_not_send_is_refused_beside_its_field(cast: Cast, field: str, value: str) -> None:
    answer = browser(cast.sue).post(page_of(cast), {"message": "x", "traits": "{}", "context": "{}", field: value})
    assert answer.status_code == 200
    assert field in answer.context["form"].errors
