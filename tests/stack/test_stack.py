"""Promises that only real processes can keep: web, Redis, worker, PostgreSQL, and what happens when one dies."""

from __future__ import annotations

import http.client
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from conversations.watching import PER_SESSION
from halo import wire
from tests.conversations.receiver import Receiver
from tests.product import Stack, until

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(300)]


def workers_answer(stack: Stack) -> None:
    """Waits until no web process believes any more that Redis is away, and would answer by itself."""
    until(stack.worker_answers, seconds=30, what="workers answer")
    time.sleep(wire.AWAY_SECONDS + 0.2)
    stack.model.reset()


def test_a_message_goes_from_web_over_redis_to_a_worker_and_back(stack: Stack) -> None:
    stack.model.reply("You can reset it under **Settings**.")

    answer = stack.say("How do I reset my password?")

    assert answer.status == 200
    assert answer.body["text"] == "You can reset it under **Settings**."
    assert answer.body["agent_id"] == stack.org["agent_id"]
    authors = "SELECT author FROM conversations_message WHERE turn_id = %s ORDER BY part"
    assert stack.sql(authors, uuid.UUID(answer.body["turn_id"])) == [("visitor",), ("agent",)]


def watch(stack: Stack, session: object) -> tuple[int, Callable[[], None]]:
    """Begins to watch a session: the status, and how to hang up."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
    key = {"Authorization": f"Bearer {stack.org['widget_key']}"}
    connection.request("GET", f"/api/sdk/sessions/{session}/events", headers=key)
    answer = connection.getresponse()
    answer.readline()

    def hang_up() -> None:
        answer.close()
        connection.close()

    return answer.status, hang_up


def test_who_clicks_from_page_to_page_is_not_refused_for_watching_at_each(stack: Stack) -> None:
    session = stack.say("I am looking around").body["session_id"]
    for _ in range(5 * PER_SESSION):
        status, hang_up = watch(stack, session)
        assert status == 200
        hang_up()


def test_a_turn_whose_worker_is_killed_is_answered_once_by_the_next_worker(stack: Stack) -> None:
    workers_answer(stack)
    stack.model.reply("too late", delay=20)
    stack.model.reply("from the second worker")
    waiting = stack.in_background("Are you there?")
    until(lambda: stack.model.requests, seconds=10, what="the model is asked")

    killed_at = time.monotonic()
    stack.kill("worker")
    answer = waiting.answer()

    assert (answer.status, answer.body["text"]) == (200, "from the second worker")
    assert time.monotonic() - killed_at < 30
    replies = stack.sql(
        "SELECT text FROM conversations_message WHERE turn_id = %s AND part = 1", uuid.UUID(answer.body["turn_id"])
    )
    assert replies == [("from the second worker",)]
    assert stack.sql("SELECT lost FROM conversations_turn WHERE id = %s", uuid.UUID(answer.body["turn_id"])) == [(1,)]


def test_a_killed_web_process_loses_no_turn_and_its_client_gets_the_answer_with_its_key(stack: Stack) -> None:
    stack.model.reply("written down", delay=2)
    key = {"Idempotency-Key": str(uuid.uuid4())}
    stack.in_background("Remember this", headers=key)
    until(lambda: stack.model.requests, seconds=10, what="the model is asked")

    stack.kill("web")

    def again() -> bool:
        try:
            return stack.say("Remember this", headers=key).body.get("text") == "written down"
        except OSError:
            return False

    until(again, seconds=15, what="the retry is answered")
    assert len(stack.model.requests) == 1


@pytest.mark.parametrize("name", ["web", "worker", "worker-default", "beat"])
def test_a_killed_process_is_started_again_within_a_second(stack: Stack, name: str) -> None:
    old = stack.kill(name)

    def is_back() -> bool:
        try:
            pid = stack.pid(name)
            os.kill(pid, 0)
        except (OSError, ValueError):
            return False
        return pid != old

    until(is_back, seconds=2, what=f"{name} is back")
    until(stack.answers, seconds=20, what="the next message is answered")


def test_while_redis_is_frozen_messages_are_still_answered(stack: Stack) -> None:
    pid = stack.kill("valkey", signal.SIGSTOP)
    try:
        frozen = stack.say("Is anybody there?", timeout=30)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert frozen.status == 200
    until(stack.worker_answers, seconds=10, what="workers answer again")


def test_a_killed_redis_costs_no_accepted_turn(stack: Stack) -> None:
    stack.model.reply("still here", delay=2)
    waiting = stack.in_background("Hold on")
    until(lambda: stack.model.requests, seconds=10, what="the model is asked")

    stack.kill("valkey")

    assert waiting.answer().body["text"] == "still here"
    until(stack.worker_answers, seconds=15, what="workers answer again")


def test_a_restart_of_postgresql_costs_no_accepted_turn(stack: Stack) -> None:
    stack.model.reply("still here", delay=3)
    waiting = stack.in_background("Hold on")
    until(lambda: stack.model.requests, seconds=10, what="the model is asked")

    stack.kill("postgres", signal.SIGQUIT)

    assert waiting.answer().body["text"] == "still here"
    assert len(stack.model.requests) == 1


def test_sixteen_messages_at_once_are_answered_in_one_unbroken_order(stack: Stack) -> None:
    session = stack.say("first").body["session_id"]
    waiting = [stack.in_background(f"number {n}", session_id=session) for n in range(16)]
    answers = [one.answer() for one in waiting]

    assert {answer.status for answer in answers} == {200}
    assert {answer.body["session_id"] for answer in answers} == {session}
    rows = stack.sql(
        "SELECT m.seq, m.part FROM conversations_message m JOIN conversations_conversation c ON c.id ="
        " m.conversation_id JOIN chat_sessions_chatsession s ON s.id = c.session_id WHERE s.session_id = %s"
        " ORDER BY m.seq, m.part",
        session,
    )
    assert rows == [(seq, part) for seq in range(1, 18) for part in (0, 1)]


def at_once(stack: Stack, message: str, *, times: int = 100) -> dict[str, object]:
    """The same request, with the same key, many times at once; the one body that all were answered."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    waiting = [stack.in_background(message, headers=key) for _ in range(times)]
    answers = [one.answer() for one in waiting]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.raw for answer in answers}) == 1
    turns = stack.sql("SELECT turn_id FROM conversations_message WHERE part = 0 AND text = %s", message)
    assert turns == [(uuid.UUID(answers[0].body["turn_id"]),)]
    return answers[0].body


def tickets_of(stack: Stack, turn_id: object) -> int:
    return int(stack.sql("SELECT count(*) FROM conversations_ticket WHERE turn_id = %s", uuid.UUID(str(turn_id)))[0][0])


def test_a_hundred_identical_requests_at_once_are_one_turn_one_ticket_and_one_model_call(stack: Stack) -> None:
    stack.model.reply("I will get somebody.", delay=1)

    told = at_once(stack, "I want to talk to a human, and I say it a hundred times")

    assert len(stack.model.requests) == 1
    assert tickets_of(stack, told["turn_id"]) == 1
    assert [action["type"] for action in told["actions"]] == ["escalate"]  # type: ignore[attr-defined]


# --- Effects ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Receiver]:
    """Another system with a tool that may be called again, and one that may not."""
    receiver = Receiver()
    stack.offer_tool("pay", f"{receiver.base}/pay")
    stack.offer_tool("reserve", f"{receiver.base}/reserve", is_idempotent=True)
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def keys_of(shop: Receiver) -> list[str]:
    return [headers["idempotency-key"] for _, _, headers, _ in shop.asked]


def test_a_hundred_identical_requests_at_once_call_another_system_once(stack: Stack, shop: Receiver) -> None:
    shop.asked.clear()
    stack.model.reply("", tool_calls=[("pay", {"order_id": "A1"})], delay=0.5).reply("Paid.")

    told = at_once(stack, "Pay A1, said a hundred times")

    assert keys_of(shop) == [f"halo-{told['turn_id']}-0"]
    assert len(stack.model.requests) == 2
    assert [action["type"] for action in told["actions"]] == ["custom"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("tool", "slow", "called", "actions"),
    [
        # The call had its answer, which the next attempt replays.
        ("pay", False, 1, ["custom", "create_ticket"]),
        # It had none: only the receiver knows, so nobody calls again, and nothing is claimed.
        ("pay", True, 1, ["create_ticket"]),
        # It had none, but the receiver knows a repeat by its key.
        ("reserve", True, 2, ["custom", "create_ticket"]),
    ],
)
def test_a_worker_killed_between_effects_and_record_repeats_only_what_may_be_repeated(
    stack: Stack, shop: Receiver, tool: str, slow: bool, called: int, actions: list[str]
) -> None:
    workers_answer(stack)
    shop.asked.clear()
    shop.delay = 20.0 if slow else 0.0
    asked = [("create_ticket", {"subject": "A1", "message": "Look at it."}), (tool, {"order_id": "A1"})]
    # The ticket comes second in time and last in order: it waits for the record.
    stack.model.reply("", tool_calls=asked[::-1])
    if not slow:
        stack.model.reply("too late", delay=20)
    stack.model.reply("Done.")
    waiting = stack.in_background("Do it")
    until(lambda: shop.asked if slow else len(stack.model.requests) == 2, seconds=20, what="the effect is under way")
    shop.delay = 0.0

    stack.kill("worker")
    told = waiting.answer().body

    assert told["text"] == "Done."
    assert [action["type"] for action in told["actions"]] == actions
    assert keys_of(shop) == [f"halo-{told['turn_id']}-0"] * called
    assert tickets_of(stack, told["turn_id"]) == 1


# --- Deploys ---------------------------------------------------------------------------------------------------------


def test_a_web_process_that_is_told_to_stop_answers_what_it_has_accepted(stack: Stack) -> None:
    workers_answer(stack)
    stack.model.reply("worth waiting for", delay=3, times=8)
    waiting = [stack.in_background(f"Deploying {n}?") for n in range(8)]
    until(lambda: len(stack.model.requests) == 8, seconds=20, what="the model is asked")

    stack.kill("web", signal.SIGTERM)

    assert {one.answer().body.get("text") for one in waiting} == {"worth waiting for"}
    until(stack.answers, seconds=20, what="the next web process answers")


def test_a_deploy_returns_turns_that_take_longer_to_the_queue_at_no_cost(stack: Stack) -> None:
    workers_answer(stack)
    stack.model.reply("too slow for a deploy", delay=25)
    stack.model.reply("from the new worker")
    waiting = stack.in_background("Deploying?")
    until(lambda: stack.model.requests, seconds=10, what="the model is asked")

    stack.kill("worker", signal.SIGTERM)
    answer = waiting.answer()

    assert answer.body["text"] == "from the new worker"
    assert stack.sql("SELECT lost FROM conversations_turn WHERE id = %s", uuid.UUID(answer.body["turn_id"])) == [(0,)]
