"""The Confidence page: what labels say, to whom, and what error budgets come to."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agents import publishing, services, thresholds
from agents.models import Agent, AgentVersion
from conversations import budgeting
from conversations.models import AnswerLabel, Conversation, Turn
from conversations.tasks import set_thresholds
from orgs.exports import safe_cell
from orgs.models import AuditEntry, User
from sessions.models import ChatSession
from tests.admin.furnished import audited, nobody
from tests.cast import Cast, House

URL, EXPORT, SET = "/admin/analytics/confidence/", "/admin/analytics/confidence/labels.csv", "confidence_thresholds"


def label(house: House, count: int, *, by: str = "teammate", right: float | None = None, comment: str = "") -> None:
    """`count` answers of rising confidence with labels: right more often than said, or with the probability `right`."""
    org, now = house.org, timezone.now()
    session = ChatSession.objects.create(org=org)
    conversation = Conversation.objects.create(org=org, session=session, agent=house.agent)
    said = np.linspace(0.02, 0.98, count)
    truth = np.random.default_rng(3).random(count) < (said * 1.5 if right is None else right)
    turns = Turn.objects.bulk_create(
        Turn(
            org=org, conversation=conversation, seq=n + 1, status="done", agent_version=house.agent.current_version,
            accepted_at=now, answer_by=now, finished_at=now, response={}, outcome="answered", confidence=float(p),
        )
        for n, p in enumerate(said)
    )  # fmt: skip
    AnswerLabel.objects.bulk_create(
        AnswerLabel(org=org, turn=turn, verdict="right" if good else "wrong", by=by, comment=comment)
        for turn, good in zip(turns, truth, strict=True)
    )


def with_budget(house: House, budget: float = 0.1) -> Agent:
    agent = Agent.objects.get(pk=house.agent.pk)
    agent.error_budget = budget
    services.change_agent(agent=agent, names=["error_budget"], by=None)
    return agent


@pytest.mark.parametrize("person", ["omar", "ada", "sue", "ana", "root"])
def test_every_role_reads_it_and_exporting_and_setting_follow_the_table(
    person: str, cast: Cast, as_: Callable[[User], Client]
) -> None:
    browser, org = as_(getattr(cast, person)), {"org": cast.acme.org.pk}
    with_budget(cast.acme)
    page = browser.get(URL, org)
    assert page.status_code == 200
    assert (b"Export as CSV" in page.content) == (person != "sue")
    assert browser.get(EXPORT, org).status_code == (403 if person == "sue" else 200)
    assert (b"Set thresholds now" in page.content) == (person != "ana")
    set_url = f"{reverse(f'admin:{SET}')}?org={cast.acme.org.pk}"
    assert browser.post(set_url).status_code == (403 if person == "ana" else 302)
    assert browser.get(set_url).status_code == 405 and browser.post(URL).status_code == 405
    assert URL.encode() in browser.get("/admin/").content


def test_a_stranger_gets_the_404_of_an_unknown_organisation_and_agent(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    label(cast.acme, 40, comment="Acme words")
    gus = as_(cast.gus)
    for query in ({"org": cast.acme.org.pk}, {"org": nobody()}, {"org": "x"}, {"agent": cast.acme.agent.pk},
                  {"agent": nobody()}, {"agent": "x"}):  # fmt: skip
        assert gus.get(URL, query).status_code == gus.get(EXPORT, query).status_code == 404, query
    assert gus.post(f"{reverse(f'admin:{SET}')}?org={cast.acme.org.pk}").status_code == 404
    own = gus.get(URL).content.decode()
    assert "Nobody has judged an answer yet" in own and "Acme" not in own
    assert b"Acme" not in b"".join(gus.get(EXPORT).streaming_content)
    assert Client().get(URL).status_code == 302


def test_whoever_has_several_organisations_is_asked_and_superusers_reads_are_audited(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    cast.ana.memberships.create(org=cast.globex.org, role="support")
    asked = as_(cast.ana).get(URL).content.decode()
    assert "For which organisation?" in asked and f"?org={cast.globex.org.pk}" in asked
    assert as_(cast.ana).get(EXPORT, {"org": cast.globex.org.pk}).status_code == 404
    as_(cast.root).get(URL, {"org": cast.acme.org.pk})
    assert audited(cast.acme.org, "operator.read").after["page"] == "confidence"
    assert not AuditEntry.objects.filter(actor=cast.ana, action="operator.read").exists()


def test_few_labels_show_no_figures_and_enough_do(cast: Cast, as_: Callable[[User], Client]) -> None:
    browser = as_(cast.ana)
    label(cast.acme, 29)
    few = browser.get(URL).content.decode()
    assert "29 judged answers: too few for figures" in few and "Reliability" not in few
    label(cast.acme, 60)
    page = browser.get(URL).content.decode()
    assert "Reliability" in page and page.count('role="img"') == 2 and "AUROC" in page
    assert "<script>" not in page and " style=" not in page.split("halo-analytics")[1]


def test_filters_choose_agent_period_and_whose_labels_count(cast: Cast, as_: Callable[[User], Client]) -> None:
    other = services.create_agent(org=cast.acme.org, name="Other", by=None)
    label(cast.acme, 40)
    label(cast.acme, 31, by="takeover", right=0.0)
    Turn.objects.filter(labels__by="takeover").update(accepted_at=timezone.now() - dt.timedelta(days=100))
    AnswerLabel.objects.filter(by="takeover").update(created_at=timezone.now() - dt.timedelta(days=100))
    browser = as_(cast.ana)

    def judged(**query: Any) -> int:
        return browser.get(URL, query).context["report"].judged

    assert judged() == 40
    assert judged(period="365") == judged(period="all") == 71
    assert judged(period="all", filtered="1", by=["takeover"]) == 31
    assert judged(period="all", filtered="1") == 0
    assert judged(period="nonsense", by="\x00") == 40
    assert judged(agent=other.pk) == 0 and judged(agent=cast.acme.agent.pk) == 40


def test_the_page_takes_as_many_queries_with_many_labels_as_with_few(cast: Cast, as_: Callable[[User], Client]) -> None:
    with_budget(cast.acme)
    browser = as_(cast.omar)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(URL).status_code == 200
        return len(captured)

    label(cast.acme, 40)
    few = queries()
    label(cast.acme, 400, by="visitor")
    assert queries() == few <= 20


def test_the_export_holds_a_row_a_label_and_no_formula(cast: Cast, as_: Callable[[User], Client]) -> None:
    label(cast.acme, 3, by="visitor", comment='=HYPERLINK("https://evil.example";"x")\nand, more')
    response = as_(cast.ana).get(EXPORT)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(response.streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert len(rows) == 3
    assert rows[0]["comment"] == '\'=HYPERLINK("https://evil.example";"x")\nand, more'
    assert {row["label_by"] for row in rows} == {"visitor"}
    assert sorted(float(row["confidence"]) for row in rows) == [0.02, 0.5, 0.98]
    assert audited(cast.acme.org, "labels.exported").actor == cast.ana
    assert [safe_cell(v) for v in ("=a", "+a", "-a", "@a", "\ta", "\ra", "a=", -0.5)] == [
        "'=a", "'+a", "'-a", "'@a", "'\ta", "'\ra", "a=", -0.5,
    ]  # fmt: skip


def test_a_budget_publishes_a_threshold_and_nobody_s_draft(cast: Cast, as_: Callable[[User], Client]) -> None:
    agent = with_budget(cast.acme)
    label(cast.acme, 400)
    Agent.objects.filter(pk=agent.pk).update(greeting="Not published yet")
    as_(cast.sue).post(reverse(f"admin:{SET}"))
    agent.refresh_from_db()
    version = agent.current_version
    assert version is not None and version.number == 3
    assert 0.2 < version.config["escalation_threshold"] == agent.escalation_threshold < 1
    assert version.note == f"Error budget 10 %: threshold {agent.escalation_threshold:.2f} from 400 judged answers"
    before = AgentVersion.objects.get(agent=agent, number=2)
    assert {**before.config, "escalation_threshold": agent.escalation_threshold} == version.config
    assert (agent.greeting, version.config["greeting"]) == ("Not published yet", "")
    assert (version.created_by, audited(cast.acme.org, "agent.threshold_set").actor) == (cast.sue, cast.sue)
    assert budgeting.set_thresholds() == [], "it does not move again"
    assert AgentVersion.objects.filter(agent=agent).count() == 3


def test_a_budget_that_cannot_be_kept_calls_people_to_everything(cast: Cast) -> None:
    agent = with_budget(cast.acme, 0.02)
    label(cast.acme, 250, right=0.5)
    set_thresholds(str(agent.pk))
    agent.refresh_from_db()
    assert agent.escalation_threshold == 1.0
    assert "every answer calls in a person" in agent.current_version.note  # type: ignore[union-attr]


def test_without_labels_a_budget_rests_on_the_answers_of_the_fit(cast: Cast) -> None:
    agent = with_budget(cast.acme, 0.1)
    (moved,) = budgeting.set_thresholds()
    assert moved.agent == agent and 0 < moved.verdict.threshold < 1
    assert budgeting.note_of(moved.verdict).endswith("from the answers Halo was fitted on")


def test_takeovers_count_for_a_budget_only_while_judgements_are_few(cast: Cast) -> None:
    agent = with_budget(cast.acme, 0.1)
    label(cast.acme, 20, by="takeover", right=0.0)
    (few,) = budgeting.set_thresholds()
    assert few.verdict.own == 20
    label(cast.acme, 200, right=1.0)
    (enough,) = budgeting.set_thresholds()
    assert (enough.agent, enough.verdict.own, enough.verdict.threshold) == (agent, 200, 0.0)


def test_agents_without_a_budget_and_those_that_are_not_active_are_left_alone(cast: Cast) -> None:
    agent = with_budget(cast.globex)
    services.set_status(agent=agent, status="paused", by=None)
    assert budgeting.set_thresholds() == []
    assert Agent.objects.filter(escalation_threshold__isnull=False).count() == 0


def test_a_budget_that_was_only_drafted_or_changed_meanwhile_changes_nothing(cast: Cast) -> None:
    Agent.objects.filter(pk=cast.acme.agent.pk).update(error_budget=0.05)
    assert budgeting.set_thresholds() == []
    agent = with_budget(cast.acme, 0.1)
    assert publishing.put_in_force(agent=agent, budget=0.05, threshold=0.9, note="", by=None) is None
    assert publishing.put_in_force(agent=agent, budget=0.1, threshold=0.9, note="", by=None) is not None
    assert publishing.put_in_force(agent=agent, budget=0.1, threshold=0.91, note="", by=None) is None


def test_publishing_a_budget_asks_for_its_threshold(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(thresholds.current_app, "send_task", lambda name, args, **rest: asked.append((name, *args)))
    with django_capture_on_commit_callbacks(execute=True):
        agent = with_budget(cast.acme)
        services.change_agent(agent=agent, names=["greeting"], by=None)
    assert asked == [("conversations.tasks.set_thresholds", str(agent.pk))]
