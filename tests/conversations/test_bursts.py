"""Quick messages that one reply answers, where the agent's setting says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection

from agents.publishing import amend
from conversations import in_hand, takeover
from conversations.models import Conversation, Message, Ticket, Turn, TurnTrace
from orgs.models import Organization
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.conversations.sse import read_events, text_of
from tests.fake_model import FakeModel, Reply

KEY = "0123456789abcdef"


@pytest.fixture
def merging(acme: Organization, cast: Cast) -> None:
    """Acme's agent answers quick messages together."""
    amend(agent=cast.acme.agent, by=None, note="", merge_bursts=True)


@dataclass
class Burst:
    """A visitor whose first message is being answered, and who goes on writing."""

    visitor: Visitor
    model: FakeModel
    pool: ThreadPoolExecutor
    session: str = ""
    sent: list[Future[Any]] = field(default_factory=list)

    def begin(self, *, delay: float = 0.6, **reply: Any) -> None:
        self.session = self.visitor.told("Hi")["session_id"]
        self.model.requests.clear()
        self.model.reply(reply.pop("text", "First"), delay=delay, **reply)
        self.send("One")
        wait_until(lambda: len(self.model.requests) == 1)

    def send(self, message: str, *, how: str = "say", **fields: Any) -> None:
        """Sends it, and comes back when it has been accepted."""
        number = Turn.objects.count()
        self.sent.append(self.pool.submit(self._send, how, message, {"session_id": self.session, **fields}))
        wait_until(lambda: Turn.objects.count() == number + 1)

    def _send(self, how: str, message: str, fields: dict[str, Any]) -> Any:
        try:
            response = getattr(self.visitor, how)(message, **fields)
            return (
                b"".join(response.streaming_content) if response.streaming else (response.status_code, response.json())
            )
        finally:
            connection.close()

    def answers(self) -> list[dict[str, Any]]:
        told = [sent.result(timeout=30) for sent in self.sent]
        assert all(status == 200 for status, _ in told), told
        return [body for _, body in told]

    def asked(self, number: int) -> list[str]:
        """What the visitor had said by the model's `number`-th request of the burst."""
        return [line["content"] for line in self.model.requests[number].messages if line["role"] == "user"]


@pytest.fixture
def burst(visitor: Visitor, model: FakeModel) -> Iterator[Burst]:
    with ThreadPoolExecutor(8) as pool:
        yield Burst(visitor, model, pool)


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.02)
    connection.close()


def turn_of(answer: dict[str, Any]) -> Turn:
    return Turn.objects.get(pk=answer["turn_id"])


def transcript() -> list[tuple[str, str]]:
    return list(Message.objects.order_by("seq", "part").values_list("author", "text"))


# --- What is answered together ---------------------------------------------------------------------------------------


def test_what_is_written_during_an_answer_is_answered_by_one_reply(
    merging: None, burst: Burst, model: FakeModel
) -> None:
    burst.begin()
    model.reply("Both")
    burst.send("Two", headers={"Idempotency-Key": KEY})
    burst.send("Three")
    burst.send("Four", headers={"Idempotency-Key": KEY[::-1]})
    first, *rest = burst.answers()

    # One call for the first and one for the other three, which shows each of them once and in order.
    assert len(model.requests) == 2
    assert burst.asked(1) == ["Hi", "One", "Two", "Three", "Four"]
    assert "last 3 messages" in model.requests[1].messages[0]["content"]
    assert [answer["text"] for answer in (first, *rest)] == ["First", "Both", "Both", "Both"]
    assert len({answer["turn_id"] for answer in rest}) == 3
    assert len({answer["message_id"] for answer in rest}) == 1
    assert transcript()[2:] == [
        ("visitor", "One"), ("agent", "First"),
        ("visitor", "Two"), ("visitor", "Three"), ("visitor", "Four"), ("agent", "Both"),
    ]  # fmt: skip
    covering, *merged = map(turn_of, rest)
    assert [turn.merged_into_id for turn in merged] == [covering.pk] * 2
    # Paid for and counted once.
    assert covering.prompt_tokens > 0 and covering.confidence is not None
    assert all((turn.prompt_tokens, turn.cost, turn.confidence, turn.attempt) == (0, None, None, 0) for turn in merged)
    assert TurnTrace.objects.filter(turn__in=[covering, *merged]).count() == 1
    assert Conversation.objects.get().message_count == len(transcript())

    # A key stands for its own turn's answer.
    for message, key, answer in (("Two", KEY, rest[0]), ("Four", KEY[::-1], rest[2])):
        again = burst.visitor.told(message, session_id=burst.session, headers={"Idempotency-Key": key})
        assert again == answer
    assert len(model.requests) == 2
    # And the next message is answered by itself, behind all of it.
    burst.visitor.told("Five", session_id=burst.session)
    assert [line["content"] for line in model.requests[2].messages[1:]][-4:] == ["Three", "Four", "Both", "Five"]


def test_without_the_setting_each_message_has_a_reply_of_its_own(burst: Burst, model: FakeModel) -> None:
    burst.begin()
    burst.send("Two")
    burst.send("Three")
    answers = burst.answers()

    assert len(model.requests) == 3
    assert len({answer["message_id"] for answer in answers}) == 3
    assert not Turn.objects.exclude(covers_to=None, merged_into=None).exists()


def test_another_person_and_another_proof_are_answered_by_themselves(
    merging: None, burst: Burst, model: FakeModel, token: Any
) -> None:
    burst.begin()
    burst.send("Anonymous")
    burst.send("Named", user_id="u1")
    burst.send("Proved", user_id="u1", user_token=token())
    burst.send("Proved too", user_id="u1", user_token=token())
    burst.send("Proved, aloud", user_id="u1", user_token=token(), mode="voice")
    burst.answers()

    assert [burst.asked(number)[-1] for number in range(5)] == [
        "One",
        "Anonymous",
        "Named",
        "Proved too",
        "Proved, aloud",
    ]
    assert [turn.merged_into_id is not None for turn in Turn.objects.order_by("seq")] == [
        False, False, False, False, False, True, False,
    ]  # fmt: skip


def test_what_is_accepted_after_the_claim_does_not_join(merging: None, burst: Burst, model: FakeModel) -> None:
    burst.begin()
    model.reply("Both", delay=0.6)
    burst.send("Two")
    burst.send("Three")
    wait_until(lambda: len(model.requests) == 2)
    burst.send("Four")
    burst.send("Five")
    answers = burst.answers()

    assert [answer["text"] for answer in answers][:3] == ["First", "Both", "Both"]
    assert burst.asked(1)[-1] == "Three" and burst.asked(2)[-2:] == ["Four", "Five"]
    assert len(model.requests) == 3


def test_a_rule_that_one_of_them_matches_still_counts(
    merging: None, burst: Burst, model: FakeModel, cast: Cast
) -> None:
    amend(agent=cast.acme.agent, by=None, note="", escalation_phrases="lawyer")
    burst.begin()
    model.reply("Both")
    burst.send("How do refunds work?")
    burst.send("Talk to a human")
    burst.send("My lawyer is waiting")
    _, *rest = burst.answers()

    covering = turn_of(rest[0])
    assert [sign["sign"] for sign in covering.explanation["signs"]] == ["visitor", "phrase"]
    assert "How do refunds work?" in Ticket.objects.get().message and "lawyer" in Ticket.objects.get().message
    # It happened once, and is told once.
    assert [[action["type"] for action in answer["actions"]] for answer in rest] == [["escalate"], [], []]


def test_the_latest_word_on_traits_and_context_counts(merging: None, burst: Burst, model: FakeModel) -> None:
    def entry(value: str) -> dict[str, Any]:
        return {"label": "Where", "value": value}

    burst.begin()
    burst.send(
        "Two", custom_fields={"plan": "free", "seats": 3}, context={"a": entry("checkout"), "b": entry("basket")}
    )
    burst.send("Three", custom_fields={"plan": "gold"}, context={"a": entry("invoices")})
    burst.answers()

    shown = model.requests[1].messages[0]["content"]
    assert "Plan: gold" in shown and "Seats: 3" in shown and "invoices" in shown and "basket" in shown
    assert "Plan: free" not in shown and "checkout" not in shown


# --- Reading along ---------------------------------------------------------------------------------------------------


def test_streams_of_all_of_them_carry_the_one_reply_as_it_is_written(
    merging: None, burst: Burst, model: FakeModel
) -> None:
    burst.begin()
    model.script(Reply(chunks=["One ", "reply, ", "which ", "comes ", "in ", "pieces."], chunk_delay=0.3))
    burst.send("Two", how="stream")
    burst.send("Three", how="stream")
    burst.send("Four", how="stream", accept="*/*")
    streams = [sent.result(timeout=30) for sent in burst.sent[1:]]

    whole = "One reply, which comes in pieces."
    covering, merged = map(read_events, streams[:2])
    for events in (covering, merged):
        done = events[-1]
        assert (done.kind, text_of(events), done.data["text"]) == ("done", whole, whole)
        assert len([event for event in events if event.kind == "delta"]) > 2
        assert not [event for event in events if event.kind == "reset"]
        assert done.data == burst.visitor.read(done.data["turn_id"], session_id=burst.session).json()["response"]
    assert covering[-1].data["message_id"] == merged[-1].data["message_id"]
    assert covering[-1].data["turn_id"] != merged[-1].data["turn_id"]
    # Plain text could not be taken back, had the reply failed.
    assert streams[2].decode().split("\x1e")[0] == whole
    assert json.loads(streams[2].decode().split("__ACTIONS__")[1].rstrip("\x1e")) == []

    # A cut stream is picked up at the one reply's position, by whichever turn.
    cut = next(event for event in merged if event.kind == "delta")
    headers = {"Accept": "text/event-stream", "Last-Event-ID": cut.id}
    again = burst.visitor.read(f"{merged[-1].data['turn_id']}/stream", session_id=burst.session, **headers)
    more = read_events(b"".join(again.streaming_content))
    assert text_of(more, so_far=cut.data["text"]) == whole and more[-1].data == merged[-1].data


def test_whoever_comes_later_reads_along_too(merging: None, burst: Burst, model: FakeModel) -> None:
    burst.begin()
    model.script(Reply(chunks=["One ", "reply, ", "which ", "comes ", "in ", "pieces."], chunk_delay=0.5))
    burst.send("Two")
    burst.send("Three")
    wait_until(lambda: len(model.requests) == 2)
    merged = Turn.objects.order_by("-seq")[0]

    assert burst.visitor.read(str(merged.pk), session_id=burst.session).json() == {
        "status": "running",
        "response": None,
    }
    headers = {"Accept": "text/event-stream"}
    along = burst.visitor.read(f"{merged.pk}/stream", session_id=burst.session, **headers)
    events = read_events(b"".join(along.streaming_content))
    assert len([event for event in events if event.kind == "delta"]) > 1
    assert (text_of(events), events[-1].data) == (events[-1].data["text"], burst.answers()[-1])


# --- What goes wrong -------------------------------------------------------------------------------------------------


def test_where_the_reply_fails_the_others_are_answered_by_themselves(
    merging: None, burst: Burst, model: FakeModel
) -> None:
    burst.begin()
    model.reply(status=400)
    burst.send("Two", headers={"Idempotency-Key": KEY})
    burst.send("Three", how="stream")
    burst.send("Four")
    first, failed, streamed, fourth = [sent.result(timeout=30) for sent in burst.sent]

    assert (first[0], failed[0], fourth[0]) == (200, 503, 200)
    assert [burst.asked(number)[-1] for number in range(4)] == ["One", "Four", "Three", "Four"]
    events = read_events(streamed)
    assert text_of(events) == events[-1].data["text"] == "You said: Three" and fourth[1]["text"] == "You said: Four"
    assert not Turn.objects.exclude(merged_into=None).exists() and not Turn.objects.exclude(lost=0).exists()
    # And the one that failed, once its client sends it again.
    again = burst.visitor.told("Two", session_id=burst.session, headers={"Idempotency-Key": KEY})
    assert again["text"] == "You said: Two"


def test_a_takeover_ends_all_of_them(merging: None, burst: Burst, model: FakeModel, cast: Cast) -> None:
    burst.begin()
    model.reply("Too late", delay=1.5)
    burst.send("Two")
    burst.send("Three")
    wait_until(lambda: len(model.requests) == 2)
    takeover.take_over(conversation=Conversation.objects.get(), by=cast.sue)
    _, *rest = burst.answers()

    assert [answer["routing"] for answer in rest] == [{"action": "human"}] * 2
    # The attempt goes on until its model has answered.
    wait_until(lambda: not in_hand.claims())
    assert not Message.objects.filter(text="Too late").exists()
