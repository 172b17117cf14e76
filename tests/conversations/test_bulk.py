"""Conversations by the many: brought in once, made up for volume, and taken away without touching anything else."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import Sum

from conversations.bulk.generating import generate
from conversations.bulk.removing import remove
from conversations.models import AnswerLabel, Conversation, HourNumbers, Message, MessageImage, Ticket, ToolCall, Turn
from orgs.models import Organization, Team
from orgs.tenancy import TenantModel
from sessions.models import ChatSession, Company, EndUser
from tests.cast import Cast

CALL = {"id": "c1", "type": "function", "function": {"name": "find_order", "arguments": '{"order":"A-1"}'}}
TRANSFER = {"id": "c2", "type": "function", "function": {"name": "transfer_to_human_agents", "arguments": "{}"}}


def recorded(key: str, *, success: bool | None = True, **more: Any) -> dict[str, Any]:
    return {
        "id": key,
        "success": success,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where is my order?"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "name": "find_order", "content": '{"state": "sent"}'},
            {"role": "assistant", "content": "It is on its way."},
            {"role": "user", "content": "Thank you! ###STOP###"},
        ],
        **more,
    }


def bring_in(tmp_path: Path, org: Organization, *lines: Any) -> str:
    """What the command prints; raises its CommandError."""
    file, out = tmp_path / "talk.jsonl", io.StringIO()
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    call_command("import_conversations", str(file), org=str(org.pk), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_a_recorded_conversation_comes_in_with_its_words_calls_and_outcome(cast: Cast, tmp_path: Path) -> None:
    told = bring_in(tmp_path, cast.acme.org, recorded("one", language="en", created_at="2026-03-01T10:00:00Z"))
    assert "1 conversations with 3 messages imported, 0 known already, 0 lines refused" in told
    conversation = Conversation.objects.for_org(cast.acme.org).get()
    assert (conversation.origin, conversation.origin_key, conversation.outcome) == ("imported", "one", "answered")
    assert (conversation.message_count, conversation.language, conversation.seq) == (3, "en", 2)
    assert conversation.created_at.isoformat() == "2026-03-01T10:00:00+00:00"
    said = list(conversation.messages.order_by("seq", "part").values_list("author", "text"))
    assert said == [
        ("visitor", "Where is my order?"),
        ("agent", "It is on its way."),
        # What a simulated visitor tells its simulator is nothing that anybody said.
        ("visitor", "Thank you!"),
    ]
    call = ToolCall.objects.for_org(cast.acme.org).get()
    assert (call.name, call.status, call.said) == ("find_order", "done", "Let me look.")
    assert json.loads(call.result) == {"state": "sent"}
    assert call.turn.trace.prompt[0] == {"role": "system", "content": "Be brief."}


def test_a_second_run_adds_nothing_and_goes_on_with_what_is_new(cast: Cast, tmp_path: Path) -> None:
    bring_in(tmp_path, cast.acme.org, recorded("one"))
    told = bring_in(tmp_path, cast.acme.org, recorded("one"), recorded("two"))
    assert "1 conversations with 3 messages imported, 1 known already" in told
    assert Conversation.objects.for_org(cast.acme.org).count() == 2
    # The same id in another organisation is another conversation.
    bring_in(tmp_path, cast.globex.org, recorded("one"))
    assert Conversation.objects.for_org(cast.globex.org).count() == 1


@pytest.mark.parametrize(
    ("messages", "success", "outcome"),
    [
        ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], False, "failed"),
        ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], None, "answered"),
        ([{"role": "user", "content": "A person!"}, {"role": "assistant", "tool_calls": [TRANSFER]}], False, "escalated"),
        ([{"role": "assistant", "content": "Welcome!"}], True, "answered"),
    ],
)  # fmt: skip
def test_the_outcome_follows_from_the_record(
    cast: Cast, tmp_path: Path, messages: Any, success: bool | None, outcome: str
) -> None:
    bring_in(tmp_path, cast.acme.org, recorded("one", success=success, messages=messages))
    assert Conversation.objects.get().outcome == outcome


def test_lines_that_are_wrong_are_named_and_the_others_come_in(cast: Cast, tmp_path: Path) -> None:
    wrong = [
        "{",
        recorded(""),
        recorded("no messages", messages=[]),
        recorded("odd role", messages=[{"role": "wizard", "content": "x"}]),
        recorded("no text", messages=[{"role": "user", "content": 5}]),
        recorded("orphan", messages=[{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c9"}]),
        recorded("odd success", success="yes"),  # type: ignore[arg-type]
        recorded("odd time", created_at="yesterday"),
        recorded("good"),
    ]
    with pytest.raises(CommandError) as refused:
        bring_in(tmp_path, cast.acme.org, recorded("good"), "", *wrong)
    lines = str(refused.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == [f"line {number}" for number in range(3, 12)]
    assert "stands on an earlier line too" in lines[-1]
    assert Conversation.objects.for_org(cast.acme.org).get().origin_key == "good"


@pytest.fixture
def generated(cast: Cast) -> Iterator[Cast]:
    Team.objects.create(org=cast.acme.org, name="Billing")
    generate(org=cast.acme.org, messages=600, months=3, seed=7)
    yield cast


def test_what_is_generated_has_the_shape_of_real_talk_and_is_marked(generated: Cast) -> None:
    theirs = Conversation.objects.for_org(generated.acme.org)
    assert not theirs.exclude(origin="generated").exists()
    assert theirs.aggregate(n=Sum("message_count"))["n"] == Message.objects.for_org(generated.acme.org).count() >= 600
    for name, least in (("outcome", 3), ("language", 4), ("answer_type", 4), ("rating", 3), ("verified", 2)):
        assert len(set(theirs.values_list(name, flat=True))) >= least, name
    turns = Turn.objects.for_org(generated.acme.org)
    assert turns.filter(escalated=True).exists() and turns.filter(status="failed").exists()
    for model in (Ticket, AnswerLabel, ToolCall, MessageImage, Company, EndUser):
        assert model.objects.for_org(generated.acme.org).exists(), model
    moments = sorted(theirs.values_list("created_at", flat=True))
    assert 60 < (moments[-1] - moments[0]).days <= 93
    numbers = list(Ticket.objects.for_org(generated.acme.org).order_by("number").values_list("number", flat=True))
    generated.acme.org.refresh_from_db()
    assert numbers == list(range(1, generated.acme.org.ticket_counter + 1))


def test_what_was_generated_goes_and_nothing_else(generated: Cast, tmp_path: Path) -> None:
    org = generated.acme.org
    bring_in(tmp_path, org, recorded("stays"))
    real = Conversation.objects.create(org=org, session=ChatSession.objects.create(org=org), agent=generated.acme.agent)
    assert remove(org=generated.globex.org, origin=Conversation.Origin.GENERATED) == 0
    assert remove(org=org, origin=Conversation.Origin.GENERATED) > 80
    left = set(Conversation.objects.for_org(org).values_list("origin_key", "pk"))
    assert len(left) == 2 and ("", real.pk) in left
    emptied = {"Turn": 2, "Message": 3, "ToolCall": 1, "ChatSession": 2, "EndUser": 0, "Company": 0, "Ticket": 0,
               "AnswerLabel": 0, "MessageImage": 0, "Event": 0}  # fmt: skip
    for model in apps.get_models():
        if issubclass(model, TenantModel) and model.__name__ in emptied:
            assert model.objects.for_org(org).count() == emptied[model.__name__], model
    assert remove(org=org, origin=Conversation.Origin.IMPORTED) == 1


def test_numbers_follow_talk_of_another_time_as_it_comes_and_goes(cast: Cast, tmp_path: Path) -> None:
    org = cast.acme.org
    generate(org=org, messages=60, months=1, seed=3)
    bring_in(tmp_path, org, recorded("old", created_at="2025-03-01T10:00:00Z"))

    def counted() -> tuple[int, int]:
        hours = HourNumbers.objects.for_org(org)
        return hours.aggregate(all=Sum("messages"))["all"] or 0, hours.filter(hour__year=2025).count()

    whole, of_old = counted()
    assert whole > 20 and of_old == 1
    remove(org=org, origin=Conversation.Origin.IMPORTED)
    assert counted() == (whole - 2, 0)
    remove(org=org, origin=Conversation.Origin.GENERATED)
    assert counted() == (0, 0)


def test_what_visitors_said_is_never_removed_as_if_it_were_made_up(cast: Cast) -> None:
    with pytest.raises(ValueError):
        remove(org=cast.acme.org, origin=Conversation.Origin.HERE)
