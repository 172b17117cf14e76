"""Answers as they are written: `POST /api/sdk/chat/stream`, and picking up where a connection was cut."""

from __future__ import annotations

import functools
import json
import time
import uuid
from typing import Any

import pytest
from django.db import connection

from conversations import answering, processes, sweep, tape
from conversations.models import Turn
from halo import wire
from orgs.models import Organization
from tests.conversations.conftest import Visitor
from tests.conversations.sse import read_events, text_of
from tests.fake_model import FakeModel, Reply

SLOWLY = Reply(chunks=["One ", "answer, ", "which ", "comes ", "in ", "pieces."], chunk_delay=0.12)
WHOLE = "One answer, which comes in pieces."
KEY = "0123456789abcdef"


def stored(turn_id: str) -> Turn:
    return Turn.objects.get(pk=turn_id)


def everything(response: Any) -> bytes:
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content)


def test_an_answer_leaves_as_it_is_written(visitor: Visitor, model: FakeModel) -> None:
    model.script(SLOWLY)
    response = visitor.stream()
    assert response["Content-Type"] == "text/event-stream"
    pieces = iter(response.streaming_content)
    read = next(pieces)
    assert read_events(read)[0].kind == "status"
    while b"event: delta" not in read:
        read += next(pieces)
    assert stored(response["X-Turn-Id"]).status == Turn.Status.RUNNING

    events = read_events(read + b"".join(pieces))
    done = events[-1]
    states = [event.data["state"] for event in events if event.kind == "status"]
    assert states == ["queued", "searching", "thinking", "writing"]
    assert len([event for event in events if event.kind == "delta"]) > 2
    assert all(event.id for event in events)
    assert (done.kind, text_of(events), done.data["text"]) == ("done", WHOLE, WHOLE)
    assert done.data == visitor.read(done.data["turn_id"], session_id=done.data["session_id"]).json()["response"]
    named = (response["X-Session-Id"], response["X-Agent-Id"], response["X-Turn-Id"])
    assert named == (done.data["session_id"], done.data["agent_id"], done.data["turn_id"])


def test_a_stream_that_is_cut_at_any_byte_is_picked_up(visitor: Visitor, model: FakeModel) -> None:
    model.script(SLOWLY)
    recorded = everything(visitor.stream("Größe?"))
    done = read_events(recorded)[-1].data

    @functools.cache
    def rest(event_id: str) -> bytes:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": event_id}
        return everything(visitor.read(f"{done['turn_id']}/stream", session_id=done["session_id"], **headers))

    for lost in (False, True):
        if lost:
            tape.forget(uuid.UUID(done["turn_id"]))
            rest.cache_clear()
        for end in range(len(recorded) + 1):
            got = read_events(recorded[:end])
            more = read_events(rest(got[-1].id if got else ""))
            assert text_of(more, so_far=text_of(got)) == WHOLE
            assert more[-1].data == done


def test_a_stream_is_picked_up_while_the_answer_goes_on(visitor: Visitor, model: FakeModel) -> None:
    model.script(SLOWLY)
    response = visitor.stream()
    pieces, read = iter(response.streaming_content), b""
    while b"event: delta" not in read:
        read += next(pieces)
    response.close()

    got = read_events(read)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": got[-1].id}
    again = visitor.read(f"{response['X-Turn-Id']}/stream", session_id=response["X-Session-Id"], **headers)
    more = read_events(everything(again))
    assert text_of(more, so_far=text_of(got)) == WHOLE
    assert len([event for event in more if event.kind == "delta"]) > 1
    assert not [event for event in more if event.kind == "reset"]
    assert len(model.requests) == 1


def test_a_lost_tape_costs_the_pieces_and_not_the_answer(visitor: Visitor, model: FakeModel) -> None:
    model.script(SLOWLY)
    response = visitor.stream()
    pieces, read = iter(response.streaming_content), b""
    while b"event: delta" not in read:
        read += next(pieces)
    tape.forget(uuid.UUID(response["X-Turn-Id"]))

    events = read_events(read + b"".join(pieces))
    assert (text_of(events), events[-1].kind) == (WHOLE, "done")
    assert not [event for event in events if event.kind == "reset"]


def test_redis_away_still_gives_the_answer(visitor: Visitor, model: FakeModel) -> None:
    wire.mark_away()
    events = read_events(everything(visitor.stream("Hello there")))
    assert (text_of(events), events[-1].kind) == (events[-1].data["text"], "done")


def test_who_reads_nothing_holds_nobody_up(visitor: Visitor, model: FakeModel) -> None:
    model.script(SLOWLY)
    unread = visitor.stream()
    ends_at = time.monotonic() + 10
    while stored(unread["X-Turn-Id"]).status != Turn.Status.DONE and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert text_of(read_events(everything(unread))) == WHOLE


def test_plain_text_ends_with_the_list_of_actions(visitor: Visitor, model: FakeModel) -> None:
    model.script(
        Reply(tool_calls=[("highlight", {"selector": "#reset", "label": "Reset"})]),
        Reply(text="It is up there."),
    )
    response = visitor.stream("Where is it?", accept="*/*")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    text, action, between, actions, end = everything(response).decode().split("\x1e")
    highlight = {"type": "highlight", "selector": "#reset", "label": "Reset"}
    assert (text, between, end) == ("It is up there.", "", "")
    assert action == "__ACTION__" + json.dumps(highlight, separators=(",", ":"))
    assert json.loads(actions.removeprefix("__ACTIONS__")) == [highlight]
    assert stored(response["X-Turn-Id"]).response["actions"] == [highlight]


def test_plain_text_comes_as_it_is_written(visitor: Visitor, model: FakeModel) -> None:
    model.script(SLOWLY)
    response = visitor.stream(accept="text/plain")
    pieces = iter(response.streaming_content)
    assert WHOLE.startswith(next(pieces).decode())
    assert stored(response["X-Turn-Id"]).status == Turn.Status.RUNNING
    b"".join(pieces)


def test_actions_and_citations_are_events(visitor: Visitor, model: FakeModel) -> None:
    model.script(Reply(tool_calls=[("highlight", {"selector": "#a"})]), Reply(text="There."))
    events = read_events(everything(visitor.stream()))
    assert [event.data for event in events if event.kind == "action"] == events[-1].data["actions"]
    assert len(events[-1].data["actions"]) == 1


def test_what_is_said_before_a_tool_is_taken_back(visitor: Visitor, model: FakeModel) -> None:
    said = Reply(text="Let me look.", tool_calls=[("search_knowledge", {"query": "shipping"})])
    model.script(said, Reply(text="Three days."))
    events = read_events(everything(visitor.stream("How long?")))
    assert (text_of(events), events[-1].data["text"]) == ("Three days.", "Three days.")
    assert "reset" in [event.kind for event in events]


def test_plain_text_keeps_what_was_said_before_a_tool(visitor: Visitor, model: FakeModel) -> None:
    said = Reply(text="Let me look.", tool_calls=[("search_knowledge", {"query": "shipping"})])
    model.script(said, Reply(text="Three days."))
    response = visitor.stream("How long?", accept="text/plain")
    text = everything(response).decode().partition("\x1e")[0]
    assert text == stored(response["X-Turn-Id"]).response["text"] == "Let me look.\n\nThree days."


BROKEN = Reply(chunks=["One ", "answer, ", "which "], chunk_delay=0.1, cut_after=3)


def test_a_model_that_breaks_off_is_an_error_event(visitor: Visitor, model: FakeModel) -> None:
    model.script(BROKEN)
    response = visitor.stream()
    events = read_events(everything(response))
    assert (events[-1].kind, events[-1].data["code"]) == ("error", "unavailable")
    assert events[-1].data["request_id"] == response["X-Request-Id"]
    told = visitor.read(response["X-Turn-Id"], session_id=response["X-Session-Id"]).json()
    assert told == {"status": "failed", "response": None}


def test_plain_text_that_breaks_off_is_the_answer(visitor: Visitor, model: FakeModel) -> None:
    model.script(BROKEN)
    response = visitor.stream(accept="text/plain")
    text = everything(response).decode().partition("\x1e")[0]
    turn = stored(response["X-Turn-Id"])
    assert text and text == turn.response["text"]
    assert (turn.status, turn.error_code) == (Turn.Status.DONE, "unavailable")


def test_plain_text_that_fails_before_its_first_word_is_a_plain_error(visitor: Visitor, model: FakeModel) -> None:
    model.script(Reply(status=400))
    refused = visitor.stream(accept="text/plain")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")


def lose(turn_id: uuid.UUID, *, said: str) -> None:
    """An attempt that sends `said` and dies."""
    process = 2**40
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE conversations_turn SET status = 'running', claimed_by = %s, claimed_at = now(), attempt = 1,"
            " claimed_epoch = 0 WHERE id = %s",
            [process, turn_id],
        )
    tape.append_if_open(turn_id, ("delta", {"round": 1, "at": 0, "text": said}), attempt=1)


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain"])
def test_an_attempt_that_dies_is_begun_anew_or_was_the_answer(
    visitor: Visitor, model: FakeModel, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    died: list[uuid.UUID] = []
    answer = answering.answer

    def dies_first(turn_id: uuid.UUID, **told: Any) -> None:
        if not died:
            died.append(turn_id)
            lose(turn_id, said="Half an")
            sweep.run(may_free=True)
        else:
            answer(turn_id, **told)

    monkeypatch.setattr(answering, "answer", dies_first)
    model.reply("Whole answer.")
    sent = everything(visitor.stream(accept=accept))
    turn = Turn.objects.get()
    if accept == "text/plain":
        assert sent.decode().partition("\x1e")[0] == turn.response["text"] == "Half an"
        assert turn.error_code == "unavailable"
        assert not model.requests
    else:
        events = read_events(sent)
        kinds = [event.kind for event in events if event.kind in ("delta", "reset", "done")]
        assert kinds[:2] == ["delta", "reset"]
        assert text_of(events) == turn.response["text"] == "Whole answer."
    assert processes.current_id() is not None


def test_the_same_key_is_the_same_turn_however_it_is_read(visitor: Visitor, model: FakeModel) -> None:
    headers = {"Idempotency-Key": KEY}
    first = everything(visitor.stream("Hello there", headers=headers))
    again = everything(visitor.stream("Hello there", headers=headers))
    whole = visitor.say("Hello there", headers=headers)
    plain = everything(visitor.stream("Hello there", accept="text/plain", headers=headers)).decode()
    assert read_events(first)[-1].data == read_events(again)[-1].data == whole.json()
    assert first.split(b"event: done\ndata: ")[1] == again.split(b"event: done\ndata: ")[1]
    assert plain.partition("\x1e")[0] == whole.json()["text"]
    assert len(model.requests) == Turn.objects.count() == 1
    assert visitor.stream("Another", headers=headers).status_code == 409


def test_a_failed_stream_is_finished_by_its_retry(visitor: Visitor, model: FakeModel) -> None:
    headers = {"Idempotency-Key": KEY}
    model.script(BROKEN, Reply(text="All is well."))
    assert read_events(everything(visitor.stream(headers=headers)))[-1].kind == "error"
    events = read_events(everything(visitor.stream(headers=headers)))
    assert text_of(events) == events[-1].data["text"] == "All is well."
    assert not [event for event in events if event.kind == "reset"]


@pytest.mark.parametrize("path", ["{}", "{}/stream"])
def test_a_turn_is_read_by_its_session_alone(
    visitor: Visitor, stranger: Visitor, acme: Organization, path: str
) -> None:
    mine, other = visitor.told("Hello"), visitor.told("Hello")
    own = path.format(mine["turn_id"])
    assert visitor.read(own, session_id=mine["session_id"]).status_code == 200
    answers = {
        visitor.read(own).content.partition(b"request_id")[0],
        visitor.read(own, session_id=other["session_id"]).content.partition(b"request_id")[0],
        stranger.read(own, session_id=mine["session_id"]).content.partition(b"request_id")[0],
        visitor.read(path.format("nonsense"), session_id=mine["session_id"]).content.partition(b"request_id")[0],
        visitor.read(path.format(uuid.uuid4()), session_id=mine["session_id"]).content.partition(b"request_id")[0],
    }
    assert len(answers) == 1 and b"not_found" in answers.pop()


def test_a_verified_turn_is_read_with_a_token(visitor: Visitor, verifying: Organization, token: Any) -> None:
    told = visitor.told("Hello", user_id="u1", user_token=token())
    read = functools.partial(visitor.read, told["turn_id"], session_id=told["session_id"])
    assert read(token=token()).json() == {"status": "done", "response": told}
    assert read().status_code == read(token=token("u2")).status_code == 404
    assert read(token="nonsense").status_code == 403


@pytest.mark.parametrize("last", ["", "nonsense", "9.9-999999-0", "1.1-3-0; DROP", "\x00", "0.0-0-9999"])
def test_any_last_event_id_ends_with_the_answer(visitor: Visitor, last: str) -> None:
    told = visitor.told("Hello there")
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last}
    events = read_events(
        everything(visitor.read(f"{told['turn_id']}/stream", session_id=told["session_id"], **headers))
    )
    assert events[-1].data == told
