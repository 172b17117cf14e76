"""Which agent answers, and which version of it."""

from __future__ import annotations

from agents.models import Agent
from agents.services import create_agent, make_default, publish, set_status
from conversations.models import Turn
from tests.cast import Cast
from tests.conversations.conftest import Visitor


def test_a_pinned_agent_answers_else_the_active_one_else_the_oldest_active(visitor: Visitor, cast: Cast) -> None:
    first = cast.acme.agent
    second = create_agent(org=cast.acme.org, name="Second", by=None)

    assert visitor.told()["agent_id"] == str(first.pk)
    assert visitor.told(agent_id=str(second.pk))["agent_id"] == str(second.pk)
    assert visitor.told(agent_id=str(second.pk).upper())["agent_id"] == str(second.pk)

    make_default(agent=second, by=None)
    assert visitor.told()["agent_id"] == str(second.pk)

    Agent.objects.update(is_default=False)
    assert visitor.told()["agent_id"] == str(first.pk)


def test_unknown_paused_retired_and_foreign_agents_are_one_and_the_same_404(visitor: Visitor, cast: Cast) -> None:
    paused = create_agent(org=cast.acme.org, name="Paused", by=None)
    set_status(agent=paused, status="paused", by=None)
    retired = create_agent(org=cast.acme.org, name="Retired", by=None)
    set_status(agent=retired, status="retired", by=None)
    ids = ["nonsense", "00000000-0000-7000-8000-000000000000", str(paused.pk), str(retired.pk),
           str(cast.globex.agent.pk), str(paused.pk).replace("-", "")]  # fmt: skip

    answers = {(r.status_code, r.json()["error"], r.json()["code"]) for r in (visitor.say(agent_id=i) for i in ids)}

    assert len(answers) == 1
    assert next(iter(answers))[::2] == (404, "not_found")


def test_without_an_active_agent_there_is_a_404(visitor: Visitor, cast: Cast) -> None:
    set_status(agent=cast.acme.agent, status="paused", by=None)

    assert visitor.say().status_code == 404


def test_each_turn_names_the_version_that_answered_it(visitor: Visitor, cast: Cast) -> None:
    visitor.told()
    agent = Agent.objects.get(pk=cast.acme.agent.pk)
    agent.instructions = "Be brief."
    agent.save(update_fields=["instructions"])
    publish(agent=agent, by=None)
    visitor.told()

    numbers = Turn.objects.order_by("accepted_at").values_list("agent_version__number", flat=True)
    assert list(numbers) == [1, 2]
